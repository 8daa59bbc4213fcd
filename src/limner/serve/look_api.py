"""Looking over HTTP: embeddings in OpenAI's form, pictures classified by naming the classes, search in the folder."""

from __future__ import annotations

import base64
import io
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from limner.errors import LimnerError
from limner.looker import Looker, answers
from limner.looking.index import Index, update_index
from limner.looking.search import Query, embed_query, search_index
from limner.pictures.load import load_picture
from limner.serve.answers import Refusal, answer
from limner.serve.asked import check_model
from limner.serve.desk import Desk
from limner.serve.fields import Fields, missing, read_fields
from limner.serve.gone import unless_gone
from limner.serve.guard import log_caption

FRESH_SECONDS = 30.0
"""How long the folder's index is taken for true."""
SIDE = 512
"""Pictures of the folder are sent no larger than this."""


def routes(desk: Desk) -> list[Route]:
    """The routes of this file, for ``desk``."""
    api = LookAPI(desk)
    return [
        Route("/v1/embeddings", api.embeddings, methods=["POST"]),
        Route("/v1/classify", api.classify, methods=["POST"]),
        Route("/v1/search", api.search, methods=["POST"]),
        Route("/v1/search/pictures/{id:path}", api.picture, methods=["GET"]),
    ]


class LookAPI:
    """A CLIP's answers, and the folder that may be searched."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._limits = desk, desk.settings.limits
        self._folder = _Folder(desk.settings.folder, desk.settings.index)

    def _check(self, fields: Fields) -> Looker:
        looker = self._desk.looker
        if looker is None:
            raise Refusal(404, "model: this server has no CLIP; start it with --clip", code="model_not_found")
        check_model(fields, Path(looker.name).name, ("text-embedding-", "clip", "openai/clip"))
        return looker

    async def embeddings(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        limits = self._limits
        fields = await read_fields(request, files=limits.pictures, most=limits.picture)
        looker = self._check(fields)
        pictures = fields.choice("modality", "text", ("text", "image")) == "image" or fields.has("image")
        packed = fields.choice("encoding_format", "float", ("float", "base64")) == "base64"
        width = looker.config.embedding
        fields.whole("dimensions", width, width, width)
        ignored = fields.ignore(["user"])
        if pictures:
            given = fields.pictures("image", "input", most=limits.pictures)
            if not given:
                raise missing("input", "pictures")
        texts = [] if pictures else fields.texts("input", most=limits.texts, longest=limits.prompt)
        fields.finish()
        work = (lambda one: one.embed_images(given)) if pictures else (lambda one: one.embed_texts(texts))
        features = await unless_gone(request, self._desk.look(work))
        data = [
            {
                "object": "embedding",
                "index": place,
                "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode() if packed else row.tolist(),
            }
            for place, row in enumerate(features)
        ]
        words = sum(len(looker.words.encode(text)) for text in texts)
        table: dict[str, Any] = {"object": "list", "data": data, "model": Path(looker.name).name}
        table |= {"usage": {"prompt_tokens": words, "total_tokens": words}}
        return answer(table | ({"ignored": ignored} if ignored else {}))

    async def classify(self, request: Request) -> Response:
        """POST /v1/classify."""
        limits = self._limits
        fields = await read_fields(request, files=limits.pictures, most=limits.picture)
        looker = self._check(fields)
        pictures = fields.pictures("image", "images", "input", most=limits.pictures)
        if not pictures:
            raise missing("image", "a picture")
        labels = fields.texts("labels", most=limits.labels, longest=200)
        if len(labels) == 1:  # a form's way of writing a list
            labels = [part.strip() for part in labels[0].split(",")]
            if not all(labels):
                raise Refusal(400, "labels: expected names, got an empty one", param="labels", code="invalid_value")
        templates = fields.text("template", "plain", most=200)
        threshold, top = fields.number("threshold", 0, 1), fields.whole("top", None, 1, limits.labels)
        fields.finish()

        def work(one: Looker) -> list[Any]:
            features = one.embed_images(pictures)
            return answers(one.head(labels, templates), features, threshold=threshold, top=top)

        found = await unless_gone(request, self._desk.look(work))
        data = [[{"label": a.label, "score": a.probability, "cosine": a.score} for a in row] for row in found]
        words = sum(len(looker.words.encode(label)) for label in labels)
        usage = {"prompt_tokens": words, "total_tokens": words}
        return answer({"object": "classify", "data": data, "model": Path(looker.name).name, "usage": usage})

    async def search(self, request: Request) -> Response:
        """POST /v1/search."""
        fields = await read_fields(request, files=1, most=self._limits.picture)
        looker = self._check(fields)
        if not self._folder.there:
            raise Refusal(404, "search: this server has no folder; start it with --folder", code="no_folder")
        text = fields.text("text", "", most=self._limits.prompt, blank=True)
        pictures = fields.pictures("image", most=1)
        like = fields.text("like", "", most=2000, blank=True)
        count = fields.whole("num_images", 20, 1, 200) or 20
        fields.finish()
        if not text.strip() and not pictures and not like:
            raise Refusal(400, "text: expected a text, an image or an id (like)", param="text", code="invalid_value")
        log_caption(request, self._desk.settings, text)

        def work(one: Looker) -> Any:
            index = self._folder.index(one)
            more = [load_picture(self._folder.find(one, like))] if like else []
            terms = tuple((1.0, load_picture(picture)) for picture in pictures) + tuple((1.0, p) for p in more)
            query = Query(((1.0, text),) if text.strip() else (), terms)
            hits = search_index(index, embed_query(one.towers, one.words, query), count=count)
            return index, [(hit.path.relative_to(index.folder).as_posix(), hit.score) for hit in hits]

        index, hits = await unless_gone(request, self._desk.look(work))
        data = [{"id": name, "similarity": score, "url": f"/v1/search/pictures/{quote(name)}"} for name, score in hits]
        return answer({"object": "list", "data": data, "pictures": len(index.files), "model": Path(looker.name).name})

    async def picture(self, request: Request) -> Response:
        """GET /v1/search/pictures/ID: a picture of the folder, at most 512 pixels wide."""
        name = request.path_params["id"]
        if self._desk.looker is None or not self._folder.there:
            raise Refusal(404, "search: this server has no folder", code="no_folder")

        def work(one: Looker) -> bytes:
            try:
                image = load_picture(self._folder.find(one, name))
            except LimnerError:
                raise Refusal(404, "id: no picture of this folder", param="id", code="not_found") from None
            image.thumbnail((SIDE, SIDE))
            packed = io.BytesIO()
            image.save(packed, "JPEG", quality=85)
            return packed.getvalue()

        packed = await unless_gone(request, self._desk.look(work))
        return Response(packed, media_type="image/jpeg", headers={"cache-control": "private, max-age=300"})


class _Folder:
    """The folder that may be searched. An id is looked up in its index, never made a path of."""

    def __init__(self, folder: Path | None, place: Path | None) -> None:
        self._folder, self._place = folder, place
        self._index: Index | None = None
        self._when = 0.0
        self._lock = threading.Lock()

    @property
    def there(self) -> bool:
        return self._folder is not None

    def index(self, looker: Looker) -> Index:
        """Up to date within ``FRESH_SECONDS``."""
        assert self._folder is not None
        with self._lock:
            if self._index is None or time.monotonic() - self._when > FRESH_SECONDS:
                self._index = update_index(looker.towers, self._folder, model=looker.fingerprint, place=self._place)
                self._when = time.monotonic()
            return self._index

    def find(self, looker: Looker, name: str) -> Path:
        """The file of an id. Raises Refusal: unknown, or a link that leads out of the folder."""
        index = self.index(looker)
        path = next((index.folder / entry.path for entry in index.files if entry.path == name), None)
        if path is None or not path.resolve().is_relative_to(index.folder.resolve()):
            raise Refusal(404, "id: no picture of this folder", param="id", code="not_found")
        return path
