"""The world's words: all that captions have, and nothing beside."""

from __future__ import annotations

from limner.storybook import chinese, english
from limner.storybook.article import ARTICLE
from limner.storybook.deal import deal
from limner.storybook.vocabulary import known_words, unknown_words


def test_every_word_of_every_caption_is_known() -> None:
    for i in range(500):
        scene = deal(i, seed=17, split=("test", "heldout")[i % 2]).scene
        for language in (english, chinese):
            for line in language.captions(scene)[:200]:
                assert not unknown_words(line), line
    for prompt in ARTICLE:
        assert not unknown_words(f"{prompt.english} {prompt.chinese}")


def test_known_words_are_words_that_captions_have() -> None:
    said = {
        word
        for i in range(4000)
        for word in deal(i, wording="any", split="test", languages=("en",)).caption.replace(",", "").split()
    }
    own = {word for word in known_words() if word.isascii()}
    assert len(own - {word.split("-")[0] for word in said} - {part for word in said for part in word.split("-")}) < 15


def test_words_of_other_worlds_are_named_once_and_numbers_are_none() -> None:
    assert unknown_words("A mauve zebra, 3 cats and a zebra") == ("mauve", "zebra")
    assert unknown_words("一条红色的龙") == ("龙",)
    assert unknown_words("") == ()
