"""The animals: one entry each, in files by where they live. A new animal is one more entry there."""

from __future__ import annotations

from limner.storybook.world.animals_far import FAR_KINDS
from limner.storybook.world.animals_home import HOME_KINDS
from limner.storybook.world.animals_wood import WOOD_KINDS
from limner.storybook.world.kinds import AnimalKind

ANIMAL_KINDS: dict[str, AnimalKind] = HOME_KINDS | WOOD_KINDS | FAR_KINDS
