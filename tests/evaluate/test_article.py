"""The article's prompts before the judge: what counts as drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limner.evaluate.article import article_prompts, evaluate_article
from limner.storybook.article import ARTICLE

Makes = Callable[..., Any]


def _painter(painter_of: Makes, skill: float) -> Any:
    painter = painter_of([], skill)
    painter.known = {prompt.caption: prompt.scene for _, prompt in article_prompts()}
    return painter


def test_all_ten_are_asked_for_in_both_languages() -> None:
    prompts = article_prompts()
    assert {number for number, _ in prompts} == set(range(1, 11))
    assert sum(prompt.language == "zh" for _, prompt in prompts) == sum(bool(one.chinese) for one in ARTICLE) == 4


def test_a_painter_that_knows_them_draws_ten_and_one_that_knows_nothing_none(
    knowing_judge: Any, painter_of: Makes
) -> None:
    answer, outcomes = evaluate_article(_painter(painter_of, 1.0), knowing_judge, count=2, candidates=3, quiet=True)
    assert (answer["drawn"], answer["of"]) == (10, 10) and len(outcomes) == len(article_prompts())
    assert all(row["right_of_best"] == 2 and row["right_of_all"] == 1.0 for row in answer["prompts"])
    answer, _ = evaluate_article(_painter(painter_of, 0.0), knowing_judge, count=1, candidates=2, quiet=True)
    assert answer["drawn"] == 0 and answer["numbers"] == []


def test_a_prompt_with_variations_counts_where_all_of_them_are_right(knowing_judge: Any, painter_of: Makes) -> None:
    painter = _painter(painter_of, 1.0)
    del painter.known["three purple striped teapots"]
    answer, _ = evaluate_article(painter, knowing_judge, count=1, candidates=2, languages=("en",), quiet=True)
    assert answer["numbers"] == [1, 2, 3, 4, 5, 6, 7, 8, 10]
