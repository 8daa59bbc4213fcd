"""From what the judge saw to right or wrong: the questions a scene's caption raises, on GenEval's conventions.

No network is in this file: it is the part of the judge that can be read and argued with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import permutations
from typing import Any

from limner.storybook.scene import Scene, Thing

POSITION_MARGIN = 0.1
"""GenEval's: the offset of two centres is shrunk by this share of the two boxes' summed sides."""
POSITION_UNIT = 0.5
"""GenEval's: what remains, as a share of the whole offset, must be more than this along the said direction."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that the judge found; ``None`` is an abstention.

    ``box`` is (x, y of the centre, side of the square) in shares of the picture's side; ``garments`` has an answer for
    each kind of garment: "absent", a colour, or None.
    """

    kind: str | None
    colour: str | None
    size: str | None
    garments: dict[str, str | None]
    box: tuple[float, float, float]
    confidence: float


@dataclass(frozen=True, slots=True)
class Answers:
    """All that the judge says about one picture, before it knows the caption."""

    things: tuple[Found, ...]
    background: str | None

    def as_table(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``right``, or the ``reasons`` why not (one short sentence each); ``answers`` is what the judge saw."""

    right: bool
    reasons: tuple[str, ...]
    answers: dict[str, Any] = field(repr=False)


def decide(scene: Scene, answers: Answers) -> Verdict:
    """Whether the picture that ``answers`` describe shows ``scene``: the right number of things, and each as said.

    Nothing else may stand in the picture and no garment may be worn that was not said; an abstention counts as wrong.
    """
    reasons = list(_reasons(scene, answers))
    return Verdict(not reasons, tuple(reasons), answers.as_table())


def _reasons(scene: Scene, answers: Answers) -> Iterator[str]:
    wanted = scene.things * scene.count if len(scene.things) == 1 else scene.things
    found = answers.things
    if len(found) != len(wanted):
        yield f"expected {len(wanted)} thing{'s' * (len(wanted) != 1)}, found {len(found)}"
    else:
        # The things of a caption have no order in the picture: the kindest way to match them is taken.
        tries = [list(_mismatches(scene, wanted, order)) for order in permutations(found)]
        yield from min(tries, key=len)
    if scene.background and answers.background != scene.background:
        yield f"expected the background {scene.background}, found {answers.background or 'none I can name'}"


def _mismatches(scene: Scene, wanted: tuple[Thing, ...], found: tuple[Found, ...]) -> Iterator[str]:
    for thing, one in zip(wanted, found, strict=True):
        yield from _differences(thing, one)
    if scene.relation:
        seen = relations(found[0].box, found[1].box)
        if scene.relation not in seen:
            yield f"expected {scene.relation}, found {' and '.join(sorted(seen)) or 'no clear relation'}"


def _differences(thing: Thing, one: Found) -> Iterator[str]:
    unsure = "something I cannot tell"
    if one.kind != thing.kind:
        yield f"expected a {thing.kind}, found {one.kind or unsure}"
    if thing.colour and one.colour != thing.colour:
        yield f"expected the {thing.kind} {thing.colour}, found {one.colour or unsure}"
    if thing.size and one.size != thing.size:
        yield f"expected the {thing.kind} {thing.size}, found {one.size or unsure}"
    said = {garment.kind: garment.colour for garment in thing.garments}
    for kind, answer in one.garments.items():
        expected = said.get(kind, "absent")
        if answer != expected:
            yield f"expected the {kind} {expected}, found {answer or unsure}"


def relations(one: tuple[float, float, float], two: tuple[float, float, float]) -> set[str]:
    """Which relations the box ``one`` has to the box ``two``, by GenEval's rule (y grows downwards)."""
    dx, dy = one[0] - two[0], one[1] - two[1]
    length = math.hypot(dx, dy)
    if not length:
        return set()
    margin = POSITION_MARGIN * (one[2] + two[2])
    x = math.copysign(max(abs(dx) - margin, 0.0), dx) / length
    y = math.copysign(max(abs(dy) - margin, 0.0), dy) / length
    seen = {"left of": x < -POSITION_UNIT, "right of": x > POSITION_UNIT}
    seen |= {"above": y < -POSITION_UNIT, "below": y > POSITION_UNIT}
    return {name for name, holds in seen.items() if holds}
