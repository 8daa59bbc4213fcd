"""Finding pictures in a folder: by a sentence, by a picture, by sums and differences of both."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from limner.errors import InputError
from limner.looking.embed import EXACT, Reading, embed_pictures, embed_texts
from limner.looking.graph import Graph
from limner.looking.index import Index, graph_file, update_index
from limner.looking.read import Source
from limner.looking.towers import Tokens, Towers, unit
from limner.looking.vectors import Exact, Found

Term = tuple[float, Any]
"""A weight (below 0: away from it) and a sentence, a path or a PIL picture."""


class Hit(NamedTuple):
    """A picture that was found and its score, the cosine to the query (-1 … 1)."""

    path: Path
    score: float


@dataclass(frozen=True)
class Query:
    """A sum of sentences (``texts``) and pictures (``pictures``: paths or PIL), each with a weight.

    ``Query(texts=((1, "a boat"), (-0.5, "people")), pictures=((1, Path("dusk.jpg")),))``
    """

    texts: tuple[tuple[float, str], ...] = ()
    pictures: tuple[tuple[float, Source], ...] = ()

    @classmethod
    def of(cls, query: Any) -> Query:
        """A sentence, a picture (PIL or ``Path``), or a Query. Raises InputError."""
        if isinstance(query, Query):
            return query
        if isinstance(query, str):
            return cls(texts=((1.0, query),))
        if isinstance(query, Path | bytes) or hasattr(query, "convert"):
            return cls(pictures=((1.0, query),))
        raise InputError(f"query: expected a sentence, a picture or a Query, got {type(query).__name__}")


def embed_query(towers: Towers, tokenizer: Tokens, query: Query, reading: Reading = EXACT) -> np.ndarray:
    """A query as a unit vector, float32 (E,): the weighted sum of its terms' unit features.

    Raises InputError (an empty query, terms that cancel), PictureError.
    """
    if not query.texts and not query.pictures:
        raise InputError("query: expected at least one sentence or picture, got none")
    for _, text in query.texts:
        if not text.strip():
            raise InputError("query: expected a sentence, got an empty one")
    total = np.zeros(towers.config.embedding, np.float32)
    if query.texts:
        weights = np.array([w for w, _ in query.texts], np.float32)
        total += weights @ embed_texts(towers, tokenizer, [text for _, text in query.texts])
    if query.pictures:
        found = embed_pictures(towers, [picture for _, picture in query.pictures], reading)
        if found.broken:
            from limner.errors import PictureError

            raise PictureError(found.broken[0].reason)
        total += np.array([w for w, _ in query.pictures], np.float32) @ found.features
    if np.linalg.norm(total) < 1e-6:
        raise InputError("query: expected terms that leave something, got ones that cancel out")
    return unit(total)


def search_index(
    index: Index,
    query: np.ndarray,
    *,
    count: int = 10,
    only: Sequence[str] = (),
    least: float | None = None,
    vectors: Callable[[np.ndarray], Any] = Exact,
) -> list[Hit]:
    """The ``count`` pictures of ``index`` nearest to the unit vector ``query``, best first.

    ``only``: patterns that a picture's path below the folder must fit (any of them); ``least``: lowest score.
    ``vectors`` makes the store that is searched of the rows: ``Exact``, ``Compact``, ``kept_graph(…)``. A part that
    ``only`` leaves is searched exactly.
    """
    if count < 1:
        raise InputError(f"count: expected 1 or more, got {count}")
    kept = [i for i, f in enumerate(index.files) if not only or any(fnmatch.fnmatch(f.path, p) for p in only)]
    if not kept:
        return []
    whole = len(kept) == len(index.files)
    store: Any = vectors(index.features) if whole else Exact(index.features[kept])
    found: Found = store.nearest(query[None], count)
    hits = [Hit(index.path(kept[int(i)]), float(s)) for i, s in zip(found.indices[0], found.scores[0], strict=True)]
    return [hit for hit in hits if least is None or hit.score >= least]


def kept_graph(index: Index, file: Path) -> Callable[[np.ndarray], Graph]:
    """For ``search_index``: an approximate store of the whole index, kept in ``file``."""
    return lambda features: Graph(features, [entry.content for entry in index.files], file)


def search_folder(
    towers: Towers,
    tokenizer: Tokens,
    folder: Path | str,
    query: Any,
    *,
    model: str,
    count: int = 10,
    only: Sequence[str] = (),
    least: float | None = None,
    reading: Reading = EXACT,
    place: Path | str | None = None,
    approximate: bool = False,
) -> list[Hit]:
    """Bring the index of ``folder`` up to date and search it; ``query`` is anything that ``Query.of`` takes.

    ``approximate``: by a graph (``usearch``) kept beside the index, for millions of pictures.
    """
    vector = embed_query(towers, tokenizer, Query.of(query), reading)
    index = update_index(towers, folder, model=model, reading=reading, place=place)
    vectors = kept_graph(index, graph_file(index.folder, model, place)) if approximate else Exact
    return search_index(index, vector, count=count, only=only, least=least, vectors=vectors)
