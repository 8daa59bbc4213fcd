"""A scene: what a storybook picture shows, as far as its caption says it.

A ``Scene`` is a small frozen tree. What it leaves as ``None`` is unsaid: the drawer chooses it from the picture's seed,
and the judge does not ask for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from limner.errors import InputError, expected
from limner.storybook.world import animals, colours, garments, things

COLOURS = tuple(colours.COLOURS)
"""The ten colours of things and garments (GenEval's)."""

BACKGROUNDS = tuple(colours.BACKGROUNDS)
"""Pale colours, so that a thing of any colour stands out."""

SIZES = ("small", "medium", "large")
THINGS = tuple(things.THING_KINDS)
ANIMALS = tuple(animals.ANIMAL_KINDS)
GARMENTS = tuple(garments.GARMENT_KINDS)
RELATIONS = ("left of", "right of", "above", "below")
FAMILIES = ("single", "counting", "two", "relation", "garments")
"""single: one thing or animal; counting: 1–4 alike; two: two things, no relation said; relation: two things in a
relation; garments: an animal with one to four coloured garments."""

MOST = 4
"""The largest count."""

_KINDS = frozenset(THINGS + ANIMALS)


def _known(what: str, word: str | None, words: Iterable[str]) -> None:
    if word is not None and word not in words:
        raise InputError(expected(what, "one of " + ", ".join(words), repr(word)))


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment and its own colour."""

    kind: str
    colour: str

    def __post_init__(self) -> None:
        _known("garment", self.kind, GARMENTS)
        _known("colour of a garment", self.colour, COLOURS)


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing or an animal; ``colour`` and ``size`` are None where unsaid (animals then have their natural colour)."""

    kind: str
    colour: str | None = None
    size: str | None = None
    garments: tuple[Garment, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            _known("thing", self.kind, THINGS + ANIMALS)
        _known(f"colour of a {self.kind}", self.colour, COLOURS)
        _known(f"size of a {self.kind}", self.size, SIZES)
        if self.garments and self.kind not in ANIMALS:
            raise InputError(expected("garments", "an animal to wear them, one of " + ", ".join(ANIMALS), self.kind))
        if len({worn.kind for worn in self.garments}) != len(self.garments):
            raise InputError(expected("garments", "each kind once", [worn.kind for worn in self.garments]))


@dataclass(frozen=True, slots=True)
class Scene:
    """``things`` in the order in which the caption names them; ``things[0]`` is ``relation`` ``things[1]``.

    ``count`` is the number of ``things[0]`` (1–4; above 1 only in the family counting, which has one thing).
    """

    family: str
    things: tuple[Thing, ...]
    relation: str | None = None
    count: int = 1
    background: str | None = None

    def __post_init__(self) -> None:
        _known("family", self.family, FAMILIES)
        _known("relation", self.relation, RELATIONS)
        _known("background", self.background, BACKGROUNDS)
        wanted = 2 if self.family in ("two", "relation") else 1
        if len(self.things) != wanted:
            raise InputError(expected(f"things of a scene of the family {self.family}", wanted, len(self.things)))
        if (self.relation is not None) != (self.family == "relation"):
            raise InputError(expected("relation", "one in the family relation, none elsewhere", self.relation))
        if not 1 <= self.count <= MOST or (self.count > 1 and self.family != "counting"):
            raise InputError(expected("count", f"1–{MOST}, above 1 only in the family counting", self.count))
        if bool(self.things[0].garments) != (self.family == "garments") or (wanted == 2 and self.things[1].garments):
            raise InputError(expected("garments", "on the animal of the family garments, and there only", self.things))


def combination(scene: Scene) -> str:
    """What makes a scene special, as a word: everything said but the background, in an order of its own.

    Captions of the same combination differ in wording only, so that a split by this word keeps combinations apart.
    """
    parts = []
    for thing in scene.things:
        garments = ",".join(sorted(f"{g.colour} {g.kind}" for g in thing.garments))
        parts.append(" ".join(filter(None, (thing.size, thing.colour, thing.kind, garments and f"[{garments}]"))))
    things, relation = parts, scene.relation
    # "A left of B" and "B right of A" are one combination, as are "A and B", "B and A".
    opposite = {"right of": "left of", "below": "above"}
    if relation in opposite:
        things, relation = things[::-1], opposite[relation]
    elif relation is None:
        things = sorted(things)
    return f"{scene.count} " + f" {relation or 'and'} ".join(things)


def held_out(scene: Scene, share: float = 0.1) -> bool:
    """Whether the scene's combination is kept out of training: by a hash of the combination, about ``share`` of them.

    Single coloured things without garments are never held out: they are the alphabet that combinations are made of.
    """
    if len(scene.things) == 1 and len(scene.things[0].garments) < 2 and scene.count == 1:
        return False
    number = int.from_bytes(hashlib.sha256(combination(scene).encode()).digest()[:4], "big")
    return number < share * 2**32
