"""From what the judge saw to right or wrong: the questions a scene's caption raises, on GenEval's conventions.

What a caption says must be seen. What it does not say is free where drawings leave it open (colours, sizes, moods,
backgrounds, styles), but nothing more may stand in the picture, be worn, or be blended in than is said.
No network is in this file: it is the part of the judge that can be read and argued with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise, permutations
from typing import Any

from limner.storybook.judge.thresholds import size_of
from limner.storybook.scene import ANIMALS, LOWER_STYLES, SENSES, SEVERAL, TOUCHING, Garment, Scene, Thing

POSITION_MARGIN = 0.1
"""GenEval's: the offset of two centres is shrunk by this share of the two boxes' summed sides."""
POSITION_UNIT = 0.5
"""GenEval's: what remains, as a share of the whole offset, must be more than this along the said direction."""
FLUSH = 0.08
"""Stacked blocks' edges may miss each other by this share of the picture."""
LEVEL = 0.02
"""Centres this near, in shares of the picture, are at one height."""
COLLECTED = (3, 5)
"""How many make a collection."""
LOWER = {"sketches": 3}
"""How many things the lower panel shows, where more than one."""

Box = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that the judge found; ``None`` is an abstention.

    ``kind`` is one that is drawn (spectacles, never glasses); ``body`` the animal that its body is of ("none" for
    things and plants); ``colour`` may be "natural"; ``texture``, ``shape``, ``mood`` and ``doing`` may be "none";
    ``style`` may be "plain". ``garments`` has an answer for each kind of garment: "absent", a colour, "worn" where no
    colour can be seen. ``box`` is (x, y of the centre, side of the square) in shares of the picture's side.
    """

    kind: str | None
    body: str | None
    colour: str | None
    texture: str | None
    shape: str | None
    baby: bool | None
    mood: str | None
    doing: str | None
    upside_down: bool | None
    from_behind: bool | None
    style: str | None
    garments: dict[str, str | None]
    box: Box
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Answers:
    """All that the judge says about one picture, before it knows the caption.

    ``arrangement``: "apart", or how things touch: "on" (stacks and collections too), "inside", "behind".
    """

    things: tuple[Found, ...]
    background: str | None
    style: str | None = "plain"
    close_up: bool | None = False
    arrangement: str | None = "apart"

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

    An abstention counts as wrong where the caption asks.
    """
    reasons = list(_reasons(scene, answers))
    return Verdict(not reasons, tuple(reasons), answers.as_table())


def shown(scene: Scene) -> range:
    """How many things a picture of ``scene`` may show."""
    if scene.count == SEVERAL:
        return range(COLLECTED[0] + 1, COLLECTED[1] + 2)
    number = 1 + LOWER.get(scene.panel, 1) if scene.panel else scene.count * len(scene.things)
    return range(number, number + 1)


def _reasons(scene: Scene, answers: Answers) -> Iterator[str]:
    found, wanted = answers.things, shown(scene)
    if len(found) not in wanted:
        number = f"{wanted[0]}" if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"
        yield f"expected {number} thing{'s' * (number != '1')}, found {len(found)}"
    else:
        # A caption's things have no places of their own: the kindest way to match them is taken.
        yield from min((list(_mismatches(scene, order, answers)) for order in _orders(scene, found)), key=len)
    if scene.background and answers.background != scene.background:
        yield f"expected the background {scene.background}, found {answers.background or 'none I can name'}"
    if scene.style and answers.style != scene.style:
        yield f"expected the style {scene.style}, found {answers.style or _UNSURE}"
    if scene.view == "close-up" and not answers.close_up:
        yield "expected a close-up, found none"


def _orders(scene: Scene, found: Sequence[Found]) -> Iterable[tuple[Found, ...]]:
    """The ways in which what was found may be meant by the caption, in the caption's order."""
    if scene.panel or scene.family == "stack":  # from top to bottom
        return (tuple(sorted(found, key=lambda one: one.box[1])),)
    if scene.count == SEVERAL:  # any may be the support
        return (tuple(one for one in found if one is not last) + (last,) for last in found)
    if len(scene.things) == 1:
        return (tuple(found),)
    return permutations(found)


def _mismatches(scene: Scene, found: tuple[Found, ...], answers: Answers) -> Iterator[str]:
    stacked = scene.family == "stack"
    turned, behind = scene.view == "upside down", scene.view == "from behind"
    for number, one in enumerate(found):
        thing = scene.things[_meant(scene, number, len(found))]
        lower = number > 0 and scene.panel is not None
        if lower and LOWER_STYLES.get(scene.panel or "") == "sketch":
            thing = uncoloured(thing)
        yield from _differences(thing, one, stacked)
        yield from _ways(thing.kind, one, turned or (lower and scene.panel == "upside down"), behind)
    if scene.panel:
        yield from _panels(scene.panel, found)
    if scene.relation and scene.count != SEVERAL:
        seen = relations(found[0].box, found[1].box, answers.arrangement)
        if scene.relation not in seen:
            yield f"expected {scene.relation}, found {' and '.join(sorted(seen)) or 'no clear relation'}"
    if stacked and not (answers.arrangement == "on" and all(_flush(a.box, b.box) for a, b in pairwise(found))):
        yield "expected a stack, found things that do not stand on one another"
    if scene.count == SEVERAL:
        base = found[-1].box
        if answers.arrangement != "on" or not all(_above(one.box, base) for one in found[:-1]):
            yield f"expected a collection on a {scene.things[1].kind}, found things elsewhere"


def _meant(scene: Scene, number: int, count: int) -> int:
    """Which of the caption's things the picture's ``number``-th is."""
    if scene.count == SEVERAL:
        return int(number == count - 1)
    return number if len(scene.things) > 1 else 0


def uncoloured(thing: Thing) -> Thing:
    """As a pencil sketch can show it."""
    return replace(thing, colour=None, garments=tuple(Garment(garment.kind) for garment in thing.garments))


_UNSURE = "something I cannot tell"


def _differences(thing: Thing, one: Found, stacked: bool = False) -> Iterator[str]:
    kinds = SENSES.get(thing.kind, (thing.kind,))
    if one.kind not in kinds:
        yield f"expected a {thing.kind}, found {one.kind or _UNSURE}"
    if thing.colour and one.colour != thing.colour and not (one.colour == "natural" and thing.in_own_colour):
        yield f"expected the {thing.kind} {thing.colour}, found {one.colour or _UNSURE}"
    if thing.size and size_of(one.box[2], stacked) != thing.size:
        yield f"expected the {thing.kind} {thing.size}, found {size_of(one.box[2], stacked)}"
    if thing.mood and one.mood != thing.mood:
        yield f"expected the {thing.kind} {thing.mood}, found {one.mood or _UNSURE}"
    body = thing.half or (thing.kind if thing.kind in ANIMALS else "none")
    for what, said, answer, default in (
        ("body", thing.half, one.body, body),
        ("texture", thing.texture, one.texture, "none"),
        ("shape", thing.shape, one.shape, "none"),
        ("doing", thing.doing, one.doing, "none"),
    ):
        # What is unsaid may be doubtful, but not surely something.
        if answer != (said or default) and (said or answer):
            yield f"expected the {thing.kind}'s {what} {said or default}, found {answer or _UNSURE}"
    if one.baby is not thing.baby and (thing.baby or one.baby):
        yield f"expected {'a baby' if thing.baby else 'no baby'}, found {'none' if thing.baby else 'one'}"
    said_garments = {garment.kind: garment for garment in thing.garments}
    for kind, worn in one.garments.items():
        garment = said_garments.get(kind)
        wanted = "absent" if garment is None else garment.colour or "worn"
        if worn != wanted and not (wanted == "worn" and worn not in ("absent", None)):
            yield f"expected the {kind} {wanted}, found {worn or _UNSURE}"


def _ways(kind: str, one: Found, turned: bool, behind: bool) -> Iterator[str]:
    for what, wanted, answer in (("upside down", turned, one.upside_down), ("from behind", behind, one.from_behind)):
        if wanted is not answer and (wanted or answer):
            yield f"expected the {kind} {'' if wanted else 'not '}{what}, found it {'' if answer else 'not '}so"


def _panels(panel: str, found: tuple[Found, ...]) -> Iterator[str]:
    """The lower panel's things must be the upper one's, in the said way; the upper one is plain."""
    first, *lower = found
    wanted = LOWER_STYLES.get(panel)
    styles = [one.style for one in lower]
    if first.style not in ("plain", None) or any(style != (wanted or "plain") for style in styles if wanted or style):
        seen = ", ".join(map(str, styles))
        yield f"expected a plain thing over {wanted or 'the same'}, found {first.style} over {seen}"
    if first.box[1] >= 0.5 or any(one.box[1] <= 0.5 for one in lower):
        yield "expected one thing in the upper half, the rest in the lower, found them elsewhere"
    if any(one.kind != first.kind for one in lower):
        yield "expected the exact same thing twice, found two kinds"
    if wanted != "sketch" and any(one.colour != first.colour or one.garments != first.garments for one in lower):
        yield "expected the exact same thing twice, found two colours"


def relations(one: Box, two: Box, arrangement: str | None = "apart") -> set[str]:
    """Which relations the box ``one`` has to the box ``two``, by GenEval's rule (y grows downwards).

    How they touch is the picture's ``arrangement``; which of the two is on, in or behind the other, the boxes tell.
    """
    dx, dy = one[0] - two[0], one[1] - two[1]
    length = math.hypot(dx, dy)
    if not length:
        return set()
    margin = POSITION_MARGIN * (one[2] + two[2])
    x = math.copysign(max(abs(dx) - margin, 0.0), dx) / length
    y = math.copysign(max(abs(dy) - margin, 0.0), dy) / length
    seen = {"left of": x < -POSITION_UNIT, "right of": x > POSITION_UNIT}
    seen |= {"above": y < -POSITION_UNIT, "below": y > POSITION_UNIT}
    if arrangement in TOUCHING:
        touching = {"on": _above, "inside": _inside, "behind": _beside}
        seen[arrangement] = touching[arrangement](one, two)
    return {name for name, holds in seen.items() if holds}


def _beside(one: Box, two: Box) -> bool:
    """Whether the boxes share a part, and the centre of ``one`` is higher."""
    reach = (one[2] + two[2]) / 2
    return one[1] < two[1] and abs(one[0] - two[0]) < reach and abs(one[1] - two[1]) < reach


def _inside(one: Box, holder: Box) -> bool:
    """As ``_above``; where the centres are at one height, the smaller one is inside."""
    level = abs(one[1] - holder[1]) < LEVEL
    if level and abs(one[0] - holder[0]) < holder[2] / 2:
        return one[2] < holder[2]
    return _above(one, holder)


def _above(one: Box, base: Box) -> bool:
    """Whether the centre of ``one`` lies over the width of ``base`` and higher than its centre, without a gap."""
    return abs(one[0] - base[0]) < base[2] / 2 and one[1] < base[1] < one[1] + (one[2] + base[2]) / 2 + FLUSH


def _flush(upper: Box, lower: Box) -> bool:
    """Whether a block stands on another: its lower edge on the other's upper edge."""
    gap = (lower[1] - lower[2] / 2) - (upper[1] + upper[2] / 2)
    return abs(gap) < FLUSH and abs(upper[0] - lower[0]) < (upper[2] + lower[2]) / 4
