"""What both languages share: templates in two sets, those that training sees and those kept for tests.

A language is a function ``say(scene, templates, pick)``: it picks one of the templates and fills its slots, picking
again wherever something can be said in several ways. ``Language`` draws one caption with dice for ``pick``, or lists
them all by going through every choice: no table of paraphrases is written, and none is computed to draw one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from limner.errors import InputError, expected
from limner.storybook.dice import Dice
from limner.storybook.scene import Scene

T = TypeVar("T")
WORDINGS = ("any", "seen", "kept")


class Pick(Protocol):
    """A choice among several ways to say something."""

    def __call__(self, options: Sequence[T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Forms:
    """A family's templates: ``seen`` in training, ``kept`` from it for tests and evaluation. One may stand twice: it is
    then drawn twice as often."""

    seen: tuple[str, ...]
    kept: tuple[str, ...]

    def of(self, wording: str) -> tuple[str, ...]:
        """The templates of a set: "seen", "kept" or "any" of them."""
        if wording not in WORDINGS:
            raise InputError(expected("wording", "one of " + ", ".join(WORDINGS), repr(wording)))
        return self.seen if wording == "seen" else self.kept if wording == "kept" else self.seen + self.kept


def framed(phrases: Iterable[str], frames: Forms, seen: Iterable[str] = (), kept: Iterable[str] = ()) -> Forms:
    """Every phrase in every frame (``"a drawing of {}"``), and further templates as they are."""
    phrases = tuple(phrases)
    inside, outside = (
        tuple(frame.replace("{}", phrase) for frame in some for phrase in phrases)
        for some in (frames.seen, frames.kept)
    )
    return Forms(inside + tuple(seen), outside + tuple(kept))


class Slots(dict[str, str]):
    """The words of a template's slots, each said only if the template asks for it."""

    def __init__(self, **words: Callable[[], str]) -> None:
        self._words = words

    def __missing__(self, slot: str) -> str:
        return self._words[slot]()


@dataclass(frozen=True, slots=True)
class Wordings:
    """A scene's paraphrases: ``seen`` in training, and ``kept`` from it for tests and evaluation."""

    seen: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """``forms``: a scene's templates; ``say``: the scene in one of them, with ``pick`` for every choice on the way."""

    name: str
    forms: Callable[[Scene], Forms]
    say: Callable[[Scene, Sequence[str], Pick], str]

    def wordings(self, scene: Scene) -> Wordings:
        """All paraphrases of a scene, lower case, without a full stop."""
        forms = self.forms(scene)

        def said(templates: Sequence[str]) -> tuple[str, ...]:
            return every(lambda pick: self.say(scene, templates, pick))

        return Wordings(said(forms.seen), said(forms.kept))

    def captions(self, scene: Scene) -> tuple[str, ...]:
        """Every paraphrase, those kept from training last."""
        found = self.wordings(scene)
        return found.seen + found.kept

    def caption(self, scene: Scene, seed: int, wording: str = "any") -> str:
        """One paraphrase by the seed: any, one "seen" in training, or one "kept" from it."""
        return self.say(scene, self.forms(scene).of(wording), Dice("caption", self.name, seed).pick)


def every(say: Callable[[Pick], str]) -> tuple[str, ...]:
    """What ``say`` returns under all choices that it can make, each once."""
    taken: list[int] = []  # which option each choice takes this time, and of how many
    counts: list[int] = []
    found: dict[str, None] = {}
    while True:
        made = 0

        def pick(options: Sequence[T]) -> T:
            nonlocal made
            if made == len(taken):
                taken.append(0)
                counts.append(len(options))
            made += 1
            return options[taken[made - 1]]

        found[say(pick)] = None
        while taken and taken[-1] + 1 == counts[-1]:
            taken.pop()
            counts.pop()
        if not taken:
            return tuple(found)
        taken[-1] += 1
