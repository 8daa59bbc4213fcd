"""``limner evaluate article``: the launch article's prompts, best four of 64 by CLIP, before the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limner.evaluate.composition import Draws, Outcome, draw_and_judge
from limner.evaluate.tasks import Prompt
from limner.storybook.article import ARTICLE
from limner.storybook.judge import Judge


def article_prompts(languages: Sequence[str] = ("en", "zh")) -> list[tuple[int, Prompt]]:
    """The article's prompts with their numbers, Chinese ones after the English."""
    prompts = []
    for language in languages:
        for one in ARTICLE:
            caption = one.english if language == "en" else one.chinese
            if caption:
                prompts.append((one.number, Prompt(one.name, one.scene, caption, language, "heldout", 0)))
    return prompts


def evaluate_article(
    painter: Draws,
    judge: Judge,
    *,
    count: int = 4,
    candidates: int = 64,
    seed: int = 0,
    languages: Sequence[str] = ("en", "zh"),
    sampling: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[Outcome]]:
    """Which of the ten have at least one right picture among the ``count`` best of ``candidates``; and all outcomes.

    A prompt with variations counts where each of them, in English, has a right picture.
    """
    numbered = article_prompts(languages)
    outcomes, _ = draw_and_judge(
        painter,
        judge,
        [prompt for _, prompt in numbered],
        count=count,
        candidates=candidates,
        seed=seed,
        sampling=sampling,
        title="article",
        quiet=quiet,
    )
    rows = [
        {
            "number": number,
            "name": prompt.task,
            "caption": prompt.caption,
            "language": prompt.language,
            "right_of_best": sum(outcome.row),
            "best": len(outcome.row),
            "right_of_all": sum(outcome.right) / len(outcome.right),
        }
        for (number, prompt), outcome in zip(numbered, outcomes, strict=True)
    ]
    numbers = sorted({row["number"] for row in rows})
    drawn = [n for n in numbers if all(r["right_of_best"] for r in rows if r["number"] == n and r["language"] == "en")]
    return {"drawn": len(drawn), "of": len(numbers), "numbers": drawn, "prompts": rows}, outcomes
