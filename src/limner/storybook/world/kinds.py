"""What makes a character: words, measures, colours, and the features that are put on the shared body.

Animals and plants are all entries of one form, so that the head of one fits on the body of another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner.storybook.world.body import Frame, Fur, Pose, draw_belly, draw_head, draw_torso
from limner.storybook.world.brush import Brush
from limner.storybook.world.words import Noun

Feature = Callable[[Brush, Frame, Fur, Pose], None]


def nothing(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    """No such feature."""


@dataclass(frozen=True, slots=True)
class AnimalKind:
    """A character. Its features, in the order in which they are drawn from the front:

    ``tail`` and ``body_behind`` (shell, quills) behind the body, ``head_behind`` (ears, horns) behind it too; then the
    limbs; ``torso``; ``coat``, the body's pattern on all sides; ``belly``, on its front only; garments; ``head``, its
    outline with the neck, if long; ``face``, all but eyes, cheeks and mouth, which the mood draws. From behind there
    is ``nape`` in place of ``face``, no ``belly``, and the tail and what is on the back come to the front.

    A chimera has the head features and head measures of one kind, all others of another. ``whole``: head and body are
    one piece (a carrot), drawn by ``torso``. ``looks``: the colour that captions may call it by and that it has
    anyway, as a pig is pink.
    """

    noun: Noun
    frame: Frame
    fur: Fur
    face: Feature
    head_behind: Feature = nothing
    head: Feature = draw_head
    nape: Feature = nothing
    tail: Feature = nothing
    body_behind: Feature = nothing
    torso: Feature = draw_torso
    coat: Feature = nothing
    belly: Feature = draw_belly
    whole: bool = False
    looks: str | None = None
