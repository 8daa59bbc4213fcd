"""Draws a character: its body with the features of its kind, its garments, its face, and what it has with it.

A character is drawn in two spaces: the body's and the head's. Each is the unit box of the kind that it comes from, laid
over the other so that the necks meet; a baby's head is larger and its body smaller, a chimera's head is another kind's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

from limner.storybook.world.animals import ANIMAL_KINDS
from limner.storybook.world.body import Frame, Fur, Pose, draw_hands, draw_limbs, dyed, hands
from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import COLOURS, Tone, tone
from limner.storybook.world.doing import DOINGS, Hands, Prop
from limner.storybook.world.garments import GARMENT_KINDS, GarmentKind
from limner.storybook.world.kinds import AnimalKind
from limner.storybook.world.moods import MOODS, draw_baby, draw_calm
from limner.storybook.world.plants import PLANT_KINDS

CHARACTER_KINDS: dict[str, AnimalKind] = ANIMAL_KINDS | PLANT_KINDS
"""Everything with a face and limbs."""

GROUND, CEILING = 0.496, -0.496
"""Where feet stand, and what no ear rises above, in box units."""


class Worn(Protocol):
    """A garment, as far as it is drawn."""

    @property
    def kind(self) -> str: ...


class Character(Protocol):
    """What is drawn of a thing: see ``limner.storybook.scene.Thing``."""

    @property
    def kind(self) -> str: ...
    @property
    def half(self) -> str | None: ...
    @property
    def baby(self) -> bool: ...
    @property
    def mood(self) -> str | None: ...
    @property
    def doing(self) -> str | None: ...
    @property
    def garments(self) -> Sequence[Worn]: ...


Space = tuple[float, float, float]
"""Where a space lies in the character's box: x, y, scale."""

Wardrobe = list[tuple[GarmentKind, Tone]]

_WHOLE_BOX: Space = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """The kinds of a character's head and of its body, with their measures, colours and places."""

    top: AnimalKind
    low: AnimalKind
    head_frame: Frame
    body_frame: Frame
    head_fur: Fur
    body_fur: Fur
    head: Space
    body: Space

    def hands(self, pose: Pose) -> Hands:
        """Where the hands are in the character's box."""
        x, y, scale = self.body
        (x0, y0), (x1, y1) = hands(self.body_frame, pose)
        return (x + x0 * scale, y + y0 * scale), (x + x1 * scale, y + y1 * scale)


def draw_character(
    brush: Brush,
    thing: Character,
    colour: str | None,
    pose: Pose,
    garment_colours: Sequence[str],
    behind: bool = False,
) -> None:
    """Draws an animal or a plant into the brush's box.

    ``colour``: its colour, None for its natural fur. ``garment_colours``: one for each of ``thing.garments``.
    ``behind``: seen from behind. Raises KeyError for unknown kinds (a ``Thing`` has none).
    """
    wardrobe = [
        (GARMENT_KINDS[worn.kind], tone(COLOURS[dye].rgb)) for worn, dye in zip(thing.garments, garment_colours)
    ]
    if len(wardrobe) > 1:
        wardrobe.sort(key=lambda worn: worn[0].layer)
    draw = _draw_back if behind else _draw_front
    if thing.doing is None:
        draw(brush, _figure(thing.kind, thing.half, colour, thing.baby, 1.0), thing, pose, wardrobe, None)
        return
    doing = DOINGS[thing.doing]
    figure = _figure(thing.kind, thing.half, colour, thing.baby, doing.reach)
    # In steps: leashes and strings end at the hands, and every path that was ever drawn is kept.
    pose = Pose(round(pose.left * 0.5 + doing.lift[0], 2), round(pose.right * 0.5 + doing.lift[1], 2))
    x, y, scale = doing.x, doing.y, doing.scale
    (x0, y0), (x1, y1) = figure.hands(pose)
    spots: Hands = ((x + x0 * scale, y + y0 * scale), (x + x1 * scale, y + y1 * scale))
    doing.behind(brush, spots)
    brush.inner((x, y, scale))
    draw(brush, figure, thing, pose, wardrobe, doing.held)
    brush.leave()
    doing.front(brush, spots)


@cache
def _figure(kind: str, half: str | None, colour: str | None, baby: bool, reach: float) -> Figure:
    top, low = CHARACTER_KINDS[kind], CHARACTER_KINDS[half or kind]
    furs = [k.fur if colour is None else dyed(COLOURS[colour].rgb, k.fur) for k in (top, low)]
    head_frame, body_frame = top.frame, replace(low.frame, hand_x=low.frame.hand_x * reach)
    if baby:
        head_frame = replace(head_frame, eye_r=head_frame.eye_r * 1.3, eye_y=head_frame.eye_y + 0.012)
    if low.whole:
        scale = 0.76 if baby else 1.0
        space = (0.0, GROUND * (1 - scale), scale)
        return Figure(top, low, head_frame, body_frame, furs[0], furs[1], space, space)
    if not baby and half is None:
        return Figure(top, low, head_frame, body_frame, furs[0], furs[1], _WHOLE_BOX, _WHOLE_BOX)
    body, head = (0.68, 1.12) if baby else (1.0, 1.0)

    def neck() -> float:
        return GROUND + (body_frame.neck_y - GROUND) * body

    highest = neck() + (min(head_frame.top, head_frame.hat_y - 0.15) - head_frame.neck_y) * head
    shrink = min(1.0, (GROUND - CEILING) / (GROUND - highest))
    body, head = body * shrink, head * shrink
    places = (0.0, neck() - head_frame.neck_y * head, head), (0.0, GROUND * (1 - body), body)
    return Figure(top, low, head_frame, body_frame, furs[0], furs[1], *places)


class _Spaces:
    """Goes between the spaces of body and head, as few times as there is need to."""

    def __init__(self, brush: Brush) -> None:
        self._brush = brush
        self._now = _WHOLE_BOX

    def enter(self, space: Space) -> None:
        """All that follows is drawn there."""
        if space == self._now:
            return
        if self._now != _WHOLE_BOX:
            self._brush.leave()
        if space != _WHOLE_BOX:
            self._brush.inner(space)
        self._now = space


def _dress(brush: Brush, frame: Frame, pose: Pose, wardrobe: Wardrobe, low: int, high: int, behind: bool) -> None:
    for kind, colour in wardrobe:
        if low <= kind.layer < high:
            (kind.back if behind and kind.back else kind.draw)(brush, frame, pose, colour)


def _draw_front(
    brush: Brush, figure: Figure, thing: Character, pose: Pose, wardrobe: Wardrobe, held: Prop | None
) -> None:
    top, low, spaces = figure.top, figure.low, _Spaces(brush)
    body, fur, head, head_fur = figure.body_frame, figure.body_fur, figure.head_frame, figure.head_fur
    spaces.enter(figure.body)
    low.tail(brush, body, fur, pose)
    low.body_behind(brush, body, fur, pose)
    spaces.enter(figure.head)
    top.head_behind(brush, head, head_fur, pose)
    spaces.enter(figure.body)
    draw_limbs(brush, body, fur, pose)
    low.torso(brush, body, fur, pose)
    low.coat(brush, body, fur, pose)
    low.belly(brush, body, fur, pose)
    _dress(brush, body, pose, wardrobe, 0, 5, False)
    if held is not None:
        held(brush, hands(body, pose))
        draw_hands(brush, body, fur, pose)
    _dress(brush, body, pose, wardrobe, 5, 6, False)
    spaces.enter(figure.head)
    top.head(brush, head, head_fur, pose)
    top.face(brush, head, head_fur, pose)
    express = MOODS[thing.mood].draw if thing.mood else draw_calm
    express(brush, head, head_fur.face or head_fur.coat)
    if thing.baby:
        draw_baby(brush, head, dummy=thing.mood is None)
    spaces.enter(figure.body)
    _dress(brush, body, pose, wardrobe, 6, 10, False)
    spaces.enter(figure.head)
    _dress(brush, head, pose, wardrobe, 10, 20, False)
    spaces.enter(_WHOLE_BOX)


def _draw_back(
    brush: Brush, figure: Figure, thing: Character, pose: Pose, wardrobe: Wardrobe, held: Prop | None
) -> None:
    top, low, spaces = figure.top, figure.low, _Spaces(brush)
    body, fur, head, head_fur = figure.body_frame, figure.body_fur, figure.head_frame, figure.head_fur
    head_fur = _turned(head_fur)
    if held is not None:
        spaces.enter(figure.body)
        held(brush, hands(body, pose))
    spaces.enter(figure.head)
    top.head_behind(brush, head, head_fur, pose)
    spaces.enter(figure.body)
    dressed = any(kind.layer == 3 for kind, _ in wardrobe)
    if dressed:  # a shirt lies over shell and quills, which show around it
        low.body_behind(brush, body, fur, pose)
    draw_limbs(brush, body, fur, pose)
    low.torso(brush, body, fur, pose)
    low.coat(brush, body, fur, pose)
    if not dressed:
        low.body_behind(brush, body, fur, pose)
    _dress(brush, body, pose, wardrobe, 0, 6, True)
    low.tail(brush, body, fur, pose)
    spaces.enter(figure.head)
    top.head(brush, head, head_fur, pose)
    top.nape(brush, head, head_fur, pose)
    spaces.enter(figure.body)
    _dress(brush, body, pose, wardrobe, 6, 10, True)
    spaces.enter(figure.head)
    _dress(brush, head, pose, wardrobe, 10, 20, True)
    spaces.enter(_WHOLE_BOX)


@cache
def _turned(fur: Fur) -> Fur:
    """The fur of a head from behind: the insides of the ears cannot be seen."""
    return replace(fur, inner=fur.coat)
