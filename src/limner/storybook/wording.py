"""What both languages share: paraphrases in two sets, those that training sees and those kept for tests."""

from __future__ import annotations

from dataclasses import dataclass

from limner.errors import InputError, expected
from limner.storybook.dice import Dice

WORDINGS = ("any", "seen", "kept")


@dataclass(frozen=True, slots=True)
class Wordings:
    """A scene's paraphrases: ``seen`` in training, and ``kept`` from it for tests and evaluation."""

    seen: tuple[str, ...]
    kept: tuple[str, ...]

    def choose(self, language: str, seed: int, wording: str) -> str:
        """One of them, by the seed."""
        if wording not in WORDINGS:
            raise InputError(expected("wording", "one of " + ", ".join(WORDINGS), repr(wording)))
        options = {"any": self.seen + self.kept, "seen": self.seen, "kept": self.kept}[wording]
        return Dice("caption", language, seed).pick(options)


def spread(templates: tuple[str, ...], backgrounds: tuple[str, ...], **words: str) -> tuple[str, ...]:
    """Every template filled with ``words``, in every way of naming the background (``{}`` is the caption)."""
    filled = [template.format(**words) for template in templates]
    return tuple(dict.fromkeys(form.format(line) for form in backgrounds for line in filled))
