"""The storybook as a stream: the pair at a position is drawn from (seed, position), without limit or file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limner.data.pair import Broken, Pair
from limner.storybook.deal import LANGUAGES, Dealt, deal
from limner.storybook.dice import Dice
from limner.storybook.draw import draw
from limner.storybook.judge.nearmiss import near_misses
from limner.storybook.scene import held_out


@dataclass(frozen=True)
class Storybook:
    """Scenes of ``split`` drawn at ``size`` pixels; None of ``families`` means all of them.

    ``near`` above 1 deals in blocks of so many neighbours: a scene, then scenes that differ from it in one thing (a
    colour, a garment, the relation …), each drawn and said. A batch of a contrastive loss then holds hard negatives.
    """

    size: int
    seed: int = 0
    split: str = "train"
    families: tuple[str, ...] | None = None
    languages: Sequence[str] = ("en", "zh")
    near: int = 1
    name: str = "storybook"
    count: None = None
    unusable: tuple[Broken, ...] = ()
    fingerprint: str = "storybook"

    def at(self, position: int, broken: list[Broken]) -> Pair:
        """The scene dealt for ``position``, drawn; never broken."""
        dealt = self._dealt(position)
        picture = draw(dealt.scene, size=self.size, seed=dealt.draw_seed)
        return Pair(picture, dealt.caption, f"storybook-{self.split}-{self.seed}-{position}", dealt.scene)

    def bookmarks(self) -> dict[str, list[int]]:
        """None are needed: every position can be entered."""
        return {}

    def remember(self, bookmarks: dict[str, list[int]]) -> None:
        """Nothing to remember."""

    def caption(self, position: int) -> str:
        """The caption at ``position`` without the picture."""
        return self._dealt(position).caption

    def _dealt(self, position: int) -> Dealt:
        def dealt(index: int) -> Dealt:
            languages, families = tuple(self.languages), self.families
            return deal(index, seed=self.seed, split=self.split, families=families, languages=languages)

        if self.near <= 1:
            return dealt(position)
        block, member = divmod(position, self.near)
        # The first scene of a block is the deal at the block's start, so that blocks share no scene.
        first, own = dealt(block * self.near), dealt(position)
        if member == 0:
            return first
        # Neighbours that belong to the same split.
        misses = [miss for miss in near_misses(first.scene, block) if held_out(miss[1]) == (self.split == "heldout")]
        if not misses:
            return own
        dice = Dice("near", self.seed, block)
        _, scene = dice.sample(misses, len(misses))[(member - 1) % len(misses)]
        caption = LANGUAGES[own.language](scene, own.draw_seed, "seen" if self.split == "train" else "any")
        return Dealt(scene, caption, own.language, own.draw_seed, position)
