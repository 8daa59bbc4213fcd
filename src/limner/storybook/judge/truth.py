"""The truth about a drawing: what a judge that is never wrong would answer."""

from __future__ import annotations

from dataclasses import replace

from limner.storybook.draw import Figure, Layout, layout
from limner.storybook.judge.verdict import Answers, Found
from limner.storybook.place import VISIBLE
from limner.storybook.scene import ANIMALS, GARMENTS, TOUCHING, Scene

WHOLE = (0.5, 0.5, 1.0)
"""The box of what is larger than the picture: the picture."""


def truth(scene: Scene, seed: int) -> Answers:
    """The answers about ``draw(scene, seed=seed)``; the things in the layout's order."""
    return truth_of(scene, layout(scene, seed))


def truth_of(scene: Scene, plan: Layout) -> Answers:
    """The answers about the drawing of ``plan``, a layout of ``scene``."""
    return Answers(
        tuple(
            _found(figure, figure.style or scene.style, hidden=scene.relation == "inside" and number == 0)
            for number, figure in enumerate(plan.figures)
        ),
        plan.background,
        scene.style or "plain",
        any(figure.box.side > 1 for figure in plan.figures),
        "on" if scene.family == "stack" else scene.relation if scene.relation in TOUCHING else "apart",
    )


def _found(figure: Figure, style: str | None, hidden: bool) -> Found:
    """``hidden``: it looks out of another, and its place is that of what is seen of it."""
    thing, box, sketched = figure.thing, figure.box, style == "sketch"
    if hidden:
        box = replace(box, y=box.y - (1 - VISIBLE) / 2 * box.side)
    worn: dict[str, str | None] = dict.fromkeys(GARMENTS, "absent")
    for garment, dye in zip(thing.garments, figure.dyes, strict=True):
        worn[garment.kind] = "worn" if sketched else dye
    return Found(
        kind=thing.kind,
        body=thing.half or (thing.kind if thing.kind in ANIMALS else "none"),
        colour=None if sketched else figure.colour or "natural",
        texture=thing.texture or "none",
        shape=thing.shape or "none",
        baby=thing.baby,
        mood=thing.mood or "none",
        doing=thing.doing or "none",
        upside_down=figure.upside_down,
        from_behind=figure.from_behind,
        style=style or "plain",
        garments=worn,
        box=WHOLE if box.side > 1 else (box.x, box.y, box.side),
    )
