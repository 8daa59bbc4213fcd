"""The article's prompts: held out with what makes them special, and said as the grammar says them."""

from __future__ import annotations

import pytest

from limner.storybook import chinese, english
from limner.storybook.article import ARTICLE
from limner.storybook.deal import deal
from limner.storybook.draw import draw
from limner.storybook.splits import SPECIAL, combination, held_out


def test_all_ten_are_there_and_each_is_special_by_its_own_rule() -> None:
    assert {prompt.number for prompt in ARTICLE} == set(range(1, 11))
    assert len(SPECIAL) == 10
    for prompt in ARTICLE:
        assert held_out(prompt.scene), prompt.name
        assert SPECIAL[prompt.number - 1](prompt.scene), prompt.name


@pytest.mark.parametrize("count", [6000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_training_sees_none_of_them_nor_what_makes_them_special(count: int) -> None:
    combinations = {combination(prompt.scene) for prompt in ARTICLE}
    captions = {prompt.english for prompt in ARTICLE} | {prompt.chinese for prompt in ARTICLE}
    for index in range(count):
        dealt = deal(index)
        assert combination(dealt.scene) not in combinations
        assert dealt.caption not in captions
        assert not any(special(dealt.scene) for special in SPECIAL)


def test_the_grammar_says_what_the_article_says() -> None:
    for prompt in ARTICLE:
        assert prompt.english in english.captions(prompt.scene)
        assert not prompt.chinese or prompt.chinese in chinese.captions(prompt.scene)


def test_each_can_be_drawn() -> None:
    pictures = {draw(prompt.scene, size=64).tobytes() for prompt in ARTICLE if prompt.name != "cube with a texture"}
    assert len(pictures) == len(ARTICLE) - 1
