"""The OpenAPI document: what the routes take and give. The tests ask the server whether it is true."""

from __future__ import annotations

from typing import Any

import limner
from limner.sampling.settings import MAX_SEED
from limner.serve.answers import KINDS
from limner.serve.asked import SIZES, UNUSED
from limner.serve.settings import Limits

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
PICTURE: Schema = {"type": "string", "format": "binary", "description": "A PNG, JPEG, WebP, GIF, TIFF, BMP or AVIF."}
BASE64: Schema = {"type": "string", "description": "A picture as base64 or data URL; addresses are not fetched."}
VISIBLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"


def document(limits: Limits) -> Schema:
    """OpenAPI 3.1 of a server with these limits."""
    drawing = _drawing(limits)
    edit = drawing | {
        "image": PICTURE | {"description": "The picture; several are refused."},
        "mask": PICTURE | {"description": "Of the same size: redrawn where it is transparent, else where white."},
        "region": TEXT | {"description": "left,top,right,bottom in pixels, instead of a mask."},
        "particles": _whole(1, limits.particles),
        "sweeps": _whole(0, 16),
    }
    vary = {name: drawing[name] for name in (*_COMMON, "prompt")} | {
        "image": PICTURE,
        "strength": _number(0, 1) | {"description": "Share of the picture that is drawn anew."},
    }
    look = {"model": TEXT, "image": BASE64}
    paths = {
        "/v1/images/generations": _post("Draw pictures", _json(drawing, ["prompt"]), _pictures(), stream=True),
        "/v1/images/edits": _post("Redraw a region", _form(edit, ["prompt", "image"]), _pictures(), stream=True),
        "/v1/images/variations": _post("Vary a picture", _form(vary, ["image"]), _pictures(), stream=True),
        "/v1/models": _get("Models", _list(_model())),
        "/v1/models/{id}": _get("A model", _model(), _in_path("id")),
        "/v1/embeddings": _post(
            "Vectors of texts or pictures",
            _json(_embedding(limits), ["input"]),
            _list({"type": "object"}),
        ),
        "/v1/classify": _post(
            "Which label fits a picture",
            _json(look | _labels(limits), ["image", "labels"]),
            {"type": "object", "required": ["data"], "properties": {"data": _array(_array({"type": "object"}))}},
        ),
        "/v1/search": _post("Pictures of the folder", _json(_search(limits), []), _list({"type": "object"})),
        "/v1/search/pictures/{id}": _get("A picture of the folder", None, _in_path("id"), kind="image/jpeg"),
        "/api/about": _get("What this server can do", {"type": "object"}),
        "/api/runs": _get("Training runs", _list({"type": "object"})),
        "/api/runs/{run}": _get("Curves of a run", {"type": "object"}, _in_path("run"), _after()),
        "/api/runs/{run}/samples/{name}": _get(
            "A sample sheet", None, _in_path("run"), _in_path("name"), kind="image/png"
        ),
        "/healthz": _get("Whether it is well", {"type": "object", "required": ["status"]}),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "limner", "version": limner.__version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _error()},
        },
        "security": [{}, {"key": []}],
    }


_COMMON = (
    "model", "n", "size", "response_format", "seed", "temperature", "guidance", "top_k", "top_p", "cut", "candidates",
    "stream", "partial_images", *UNUSED,
)  # fmt: skip


def _drawing(limits: Limits) -> Schema:
    own = {
        "prompt": TEXT | {"minLength": 1, "maxLength": limits.prompt, "pattern": VISIBLE},
        "model": TEXT | {"description": "The loaded model (GET /v1/models); dall-e-… and gpt-image-… mean it too."},
        "n": _whole(1, limits.count) | {"default": 1},
        "candidates": _whole(1, limits.candidates) | {"description": "Drawn; the n best by CLIP are answered."},
        "size": {"enum": ["auto", *(f"{s}x{s}" for s in SIZES), None], "description": "auto: the model's own."},
        "response_format": {"enum": ["b64_json", "url", None], "description": "url: a data URL."},
        "seed": _whole(0, MAX_SEED) | {"description": "Same seed, same pictures."},
        "temperature": _number(0, 100),
        "guidance": _number(0, 100),
        "top_k": _whole(1, 10**6),
        "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
        "stream": _flag() | {"description": "Server-sent events: partial pictures, then the whole."},
        "partial_images": _whole(0, 16),
        "cut": _flag() | {"description": "Shorten a caption that is too long instead of refusing it."},
    }
    return own | {name: {"description": "Taken and reported under ignored."} for name in UNUSED}


def _embedding(limits: Limits) -> Schema:
    texts = {"type": "string", "minLength": 1, "maxLength": limits.prompt, "pattern": VISIBLE}
    return {
        "input": {"anyOf": [texts, _array(texts) | {"minItems": 1, "maxItems": limits.texts}]},
        "model": TEXT,
        "modality": {"enum": ["text", "image", None]},
        "encoding_format": {"enum": ["float", "base64", None]},
        "dimensions": {"type": ["integer", "null"], "description": "The model's own, nothing else."},
        "image": {"anyOf": [BASE64, _array(BASE64) | {"maxItems": limits.pictures}]},
        "user": {},
    }


def _labels(limits: Limits) -> Schema:
    return {
        "labels": _array(TEXT | {"minLength": 1, "maxLength": 200}) | {"minItems": 1, "maxItems": limits.labels},
        "images": _array(BASE64),
        "input": _array(BASE64),
        "template": TEXT | {"description": "A name (imagenet, simple …) or a sentence with {}."},
        "threshold": _number(0, 1),
        "top": _whole(1, limits.labels),
    }


def _search(limits: Limits) -> Schema:
    return {
        "text": {"type": ["string", "null"], "maxLength": limits.prompt},
        "image": BASE64,
        "like": TEXT | {"description": "The id of a picture that was found."},
        "num_images": _whole(1, 200),
        "model": TEXT,
    }


def _pictures() -> Schema:
    entry = {
        "type": "object",
        "properties": {
            "b64_json": TEXT,
            "url": TEXT,
            "seed": COUNT,
            "index": COUNT,
            "score": {"type": ["number", "null"], "description": "CLIP's cosine with the caption."},
        },
        "required": ["seed", "index", "score"],
    }
    properties = {"created": COUNT, "data": _array(entry), "size": TEXT, "usage": {"type": "object"}}
    return {"type": "object", "properties": properties, "required": ["created", "data", "usage"]}


def _model() -> Schema:
    return {
        "type": "object",
        "properties": {"id": TEXT, "object": {"const": "model"}, "created": COUNT, "owned_by": TEXT},
        "required": ["id", "object", "created", "owned_by"],
    }


def _error() -> Schema:
    maybe = {"type": ["string", "null"]}
    fields = {"message": TEXT, "type": {"enum": sorted(set(KINDS.values()))}, "param": maybe, "code": maybe}
    error = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {"type": "object", "properties": {"error": error}, "required": ["error"], "additionalProperties": False}


def _post(summary: str, content: dict[str, Any], answer: Schema, *, stream: bool = False) -> Schema:
    body = {"required": True, "content": {kind: {"schema": schema} for kind, schema in content.items()}}
    good = {"application/json": {"schema": answer}}
    if stream:
        good["text/event-stream"] = {"schema": TEXT}
    refusals = _errors(400, 401, 403, 404, 408, 413, 415, 429, 503)
    responses = {"200": {"description": "Done.", "content": good}, **refusals}
    return {"post": {"summary": summary, "requestBody": body, "responses": responses}}


def _get(summary: str, answer: Schema | None, *parameters: Schema, kind: str = "application/json") -> Schema:
    content = {kind: {"schema": answer} if answer is not None else {}}
    responses = {"200": {"description": "Done.", "content": content}, **_errors(400, 401, 403, 404, 503)}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


def _errors(*statuses: int) -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(status): {"description": KINDS[status].replace("_", " "), "content": content} for status in statuses}


def _json(properties: Schema, required: list[str]) -> dict[str, Schema]:
    return {"application/json": _object(properties, required)}


def _form(properties: Schema, required: list[str]) -> dict[str, Schema]:
    return {"multipart/form-data": _object(properties, required)}


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _list(items: Schema) -> Schema:
    properties = {"object": {"const": "list"}, "data": _array(items)}
    return {"type": "object", "properties": properties, "required": ["object", "data"]}


def _whole(low: int, high: int) -> Schema:
    return {"type": ["integer", "null"], "minimum": low, "maximum": high}


def _number(low: float, high: float) -> Schema:
    return {"type": ["number", "null"], "minimum": low, "maximum": high}


def _flag() -> Schema:
    return {"type": ["boolean", "null"]}


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": TEXT | {"minLength": 1}}


def _after() -> Schema:
    return {"name": "after", "in": "query", "schema": {"type": "integer", "minimum": -1, "maximum": 10**12 - 1}}
