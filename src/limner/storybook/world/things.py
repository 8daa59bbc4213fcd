"""All things, by name. A new thing is one more entry in one of the files by subject."""

from __future__ import annotations

from limner.storybook.world.belongings import BELONGINGS
from limner.storybook.world.furniture import FURNITURE
from limner.storybook.world.outdoors import OUTDOORS
from limner.storybook.world.solids import SOLIDS
from limner.storybook.world.thing_kind import ThingKind
from limner.storybook.world.vessels import VESSELS

THING_KINDS: dict[str, ThingKind] = {**SOLIDS, **OUTDOORS, **FURNITURE, **VESSELS, **BELONGINGS}
