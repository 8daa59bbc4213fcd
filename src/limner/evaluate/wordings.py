"""One scene, many sentences: how far accuracy depends on the wording, and on the language.

Each scene is said in several ways, seen in training and kept from it, in English and in Chinese, and drawn with the
same seeds, so that only the words differ: the differences are those of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limner.errors import InputError
from limner.evaluate.composition import Draws, Outcome, draw_and_judge
from limner.evaluate.statistics import interval, interval_of_means, mean
from limner.evaluate.tasks import LANGUAGES, Prompt
from limner.progress import progress
from limner.storybook import chinese, english
from limner.storybook.deal import deal
from limner.storybook.dice import Dice
from limner.storybook.judge import Judge
from limner.storybook.scene import FAMILIES

TASK = "wording"
SETS = ("seen", "kept")
_SAID = {"en": english.wordings, "zh": chinese.wordings}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to say scene number ``scene``: in a language, in a wording that is "seen" or "kept"."""

    scene: int
    wording: str
    prompt: Prompt


def ways_to_say(scenes: int, each: int, *, seed: int, languages: Sequence[str] = LANGUAGES) -> Iterator[Way]:
    """``scenes`` scenes of all families in turn; ``each`` different wordings of each set in each language, or all."""
    families = tuple(FAMILIES)
    for number in range(scenes):
        dealt = deal(number, seed=seed, split="test", families=(families[number % len(families)],))
        for language in languages:
            found = _SAID[language](dealt.scene)
            for wording in SETS:
                options = sorted(set(getattr(found, wording)))
                dice = Dice("wordings", seed, number, language, wording)
                for caption in dice.sample(options, min(each, len(options))):
                    yield Way(number, wording, Prompt(TASK, dealt.scene, caption, language, "test", dealt.draw_seed))


def evaluate_wordings(
    painter: Draws,
    judge: Judge,
    scenes: int,
    *,
    each: int = 2,
    draws: int = 4,
    seed: int = 0,
    languages: Sequence[str] = LANGUAGES,
    sampling: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[Outcome]]:
    """Accuracy of single draws for each language and set of wordings, differences of pairs, and the spread.

    ``draws`` pictures are drawn of each sentence. "spread": the mean over scenes of the best sentence's accuracy less
    the worst one's, within one language. Raises InputError for fewer than one scene, sentence or draw.
    """
    for name, value in (("scenes", scenes), ("wordings of each set", each), ("draws", draws)):
        if value < 1:
            raise InputError(f"{name}: expected 1 or more, got {value}")
    ways = list(ways_to_say(scenes, each, seed=seed, languages=languages))
    outcomes: list[Outcome] = []
    options: dict[str, Any] = {"count": draws, "candidates": draws, "sampling": sampling, "quiet": True}
    with progress(TASK, len(ways), quiet=quiet) as bar:
        for way in ways:  # one at a time: all sentences of a scene are drawn with the scene's seed
            outcomes += draw_and_judge(painter, judge, [way.prompt], seed=seed + way.scene, **options)[0]
            bar.advance(right=mean([outcome.row for outcome in outcomes]))
    rows: dict[tuple[int, str, str], list[list[float]]] = {}
    for way, outcome in zip(ways, outcomes, strict=True):
        rows.setdefault((way.scene, way.prompt.language, way.wording), []).append(outcome.row)

    def share(scene: int, languages: Sequence[str], sets: Sequence[str]) -> list[float]:
        return [v for lang in languages for s in sets for row in rows.get((scene, lang, s), []) for v in row]

    numbers = range(scenes)
    groups = {
        f"{language} {wording}": _table([share(n, (language,), (wording,)) for n in numbers], seed)
        for language in languages
        for wording in SETS
    }
    differences = {
        "kept - seen": _difference([(share(n, languages, ("kept",)), share(n, languages, ("seen",))) for n in numbers])
    }
    if set(LANGUAGES) <= set(languages):
        differences["zh - en"] = _difference([(share(n, ("zh",), SETS), share(n, ("en",), SETS)) for n in numbers])
    spread = {
        language: float(np.mean([_spread([r for s in SETS for r in rows[n, language, s]]) for n in numbers]))
        for language in languages
    }
    facts = {"scenes": scenes, "sentences": len(ways), "draws": draws}
    return facts | {"groups": groups, "differences": differences, "spread": spread}, outcomes


def _table(rows: list[list[float]], seed: int) -> dict[str, Any]:
    return {"accuracy": mean(rows), "interval": list(interval(rows, seed))}


def _difference(pairs: Sequence[tuple[list[float], list[float]]]) -> dict[str, Any]:
    """The mean over scenes of one accuracy less the other, with the 95 % bootstrap interval over scenes."""
    apart = [[mean([one]) - mean([two])] for one, two in pairs]
    return {"difference": mean(apart), "interval": list(interval_of_means({"": apart}))}


def _spread(rows: Sequence[Sequence[float]]) -> float:
    shares = [mean([row]) for row in rows]
    return max(shares) - min(shares)
