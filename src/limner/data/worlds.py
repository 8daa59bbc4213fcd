"""The storybook as a stream: the pair at a position is drawn from (seed, position), without limit or file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limner.data.pair import Broken, Pair
from limner.storybook.deal import deal
from limner.storybook.draw import draw


@dataclass(frozen=True)
class Storybook:
    """Scenes of ``split`` drawn at ``size`` pixels; None of ``families`` means all of them."""

    size: int
    seed: int = 0
    split: str = "train"
    families: tuple[str, ...] | None = None
    languages: Sequence[str] = ("en", "zh")
    name: str = "storybook"
    count: None = None
    unusable: tuple[Broken, ...] = ()
    fingerprint: str = "storybook"

    def at(self, position: int, broken: list[Broken]) -> Pair:
        """The scene dealt for ``position``, drawn; never broken."""
        dealt = deal(
            position, seed=self.seed, split=self.split, families=self.families, languages=tuple(self.languages)
        )
        picture = draw(dealt.scene, size=self.size, seed=dealt.draw_seed)
        return Pair(picture, dealt.caption, f"storybook-{self.split}-{self.seed}-{position}", dealt.scene)

    def caption(self, position: int) -> str:
        """The caption at ``position`` without the picture."""
        return deal(
            position, seed=self.seed, split=self.split, families=self.families, languages=tuple(self.languages)
        ).caption
