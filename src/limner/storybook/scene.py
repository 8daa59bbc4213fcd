"""A scene: what a storybook picture shows, as far as its caption says it.

A ``Scene`` is a small frozen tree. What it leaves as ``None`` is unsaid: the drawer chooses it from the picture's seed,
and the judge does not ask for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""The ten colours of things and garments (GenEval's)."""

BACKGROUNDS = ("white", "grey", "light blue", "light green", "light yellow", "light pink")
"""Pale colours, so that a thing of any colour stands out."""

SIZES = ("small", "medium", "large")
THINGS = ("cube", "ball", "cone", "star", "heart", "house", "tree", "boat")
ANIMALS = ("cat", "dog", "rabbit", "bear", "penguin", "hedgehog")
GARMENTS = ("hat", "gloves", "shirt", "trousers")
RELATIONS = ("left of", "right of", "above", "below")
FAMILIES = ("single", "counting", "two", "relation", "garments")
"""single: one thing or animal; counting: 1–4 alike; two: two things, no relation said; relation: two things in a
relation; garments: an animal with one to four coloured garments."""


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment and its own colour."""

    kind: str
    colour: str


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing or an animal; ``colour`` and ``size`` are None where unsaid (animals then have their natural colour)."""

    kind: str
    colour: str | None = None
    size: str | None = None
    garments: tuple[Garment, ...] = ()


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
