"""Errors as OpenAI's clients understand them, and answers as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import Response

from limner.errors import FileError, InputError, LimnerError, MissingExtra, ModelError, PictureError
from limner.serve.engine import Busy, NoTurn, Stopping

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}


class Refusal(Exception):
    """A request that is not done: HTTP ``status``, one line for people, the field it is about, a code for programs."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.after = status, message, param, code, after

    @property
    def body(self) -> dict[str, Any]:
        """``{"error": {"message", "type", "param", "code"}}``."""
        error = {"message": self.message, "type": KINDS[self.status], "param": self.param, "code": self.code}
        return {"error": error}

    def response(self) -> Response:
        """The same as an HTTP response."""
        headers = {}
        if self.after is not None:
            headers["retry-after"] = str(self.after)
        if self.status in (500, 503):
            headers["x-should-retry"] = "false"  # each retry would draw all over again
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return answer(self.body, self.status, headers)


def answer(table: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON; what is not a plain value is written as text."""
    packed = json.dumps(table, ensure_ascii=False, separators=(",", ":"), default=str)
    # Half a surrogate pair cannot be sent: it becomes a question mark.
    return Response(packed.encode("utf-8", "replace"), status, headers, "application/json")


def refusal_of(error: BaseException) -> Refusal:
    """What ``error`` means to the client; nothing of this machine is told for errors that are our own."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Busy):
        return Refusal(429, f"{error}", code="queue_full", after=error.after)
    if isinstance(error, NoTurn):
        return Refusal(503, f"{error}", code="overloaded", after=30)
    if isinstance(error, Stopping):
        return Refusal(503, "the server is stopping; ask another one", code="stopping", after=5)
    if isinstance(error, InputError):
        found = re.match(r"(\w+)\b.*?:", str(error))
        code = "context_length_exceeded" if "tokens" in str(error) and "at most" in str(error) else "invalid_value"
        return Refusal(400, str(error), param=found[1] if found else None, code=code)
    if isinstance(error, PictureError):
        return Refusal(400, str(error), param="image", code="invalid_image")
    if isinstance(error, ModelError | MissingExtra):
        return Refusal(400, str(error), param="model", code="model_cannot")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Refusal(503, "out of memory; ask for fewer candidates at a time", code="out_of_memory", after=5)
    if isinstance(error, FileError | LimnerError):
        return Refusal(500, "a file that the server needs cannot be used; its log says more", code="file_error")
    return Refusal(500, "something went wrong in the server; its log says more", code="internal_error")
