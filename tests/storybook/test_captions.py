"""Captions: right grammar, many wordings, some kept from training, no two combinations under one caption."""

from __future__ import annotations

import re
from functools import cache

import pytest

from limner.errors import InputError
from limner.storybook import chinese, english
from limner.storybook.deal import deal
from limner.storybook.english_phrase import noun
from limner.storybook.scene import FAMILIES, SEVERAL, Garment, Scene, Thing
from limner.storybook.splits import combination
from limner.storybook.wording import Forms, Wordings, framed

LANGUAGES = {"en": english, "zh": chinese}
CAT = Thing("cat", garments=(Garment("hat", "red"), Garment("gloves", "blue")))


@cache
def scenes() -> list[Scene]:
    return [
        deal(i, seed=21, split=split).scene
        for split, count in (("train", 1500), ("heldout", 375))
        for i in range(count)
    ]


@cache
def told(language: str) -> list[tuple[Scene, Wordings]]:
    """Scenes with their captions, which take a while to be written: once for all tests."""
    return [(scene, LANGUAGES[language].wordings(scene)) for scene in scenes()]


def test_known_sentences() -> None:
    cube, ball = Thing("cube", "red"), Thing("ball", "blue")
    left = english.captions(Scene("relation", (cube, ball), relation="left of"))
    assert "a red cube to the left of a blue ball" in left
    assert "a red cube on the left and a blue ball on the right" in left
    assert "a blue ball to the right of a red cube" in left
    below = english.captions(Scene("relation", (cube, ball), relation="below"))
    assert {"a red cube under a blue ball", "a blue ball above a red cube"} <= set(below)
    worn = english.captions(Scene("garments", (CAT,)))
    assert "a cat wearing a red hat and blue gloves" in worn
    assert "three red cubes" in english.captions(Scene("counting", (cube,), count=3))
    assert "a red cube on a light blue background" in english.captions(
        Scene("single", (cube,), background="light blue")
    )
    pants = english.captions(Scene("garments", (Thing("dog", garments=(Garment("trousers", "pink"),)),)))
    assert {"a dog wearing pink trousers", "a dog wearing pink pants"} <= set(pants)


def test_sentences_of_the_other_families() -> None:
    def said(scene: Scene) -> set[str]:
        return set(english.captions(scene))

    table = Thing("table")
    assert "a cat sitting on the table" in said(Scene("relation", (Thing("cat"), table), "on"))
    assert "a red cube inside a blue cup" in said(
        Scene("relation", (Thing("cube", "red"), Thing("cup", "blue")), "inside")
    )
    assert "a collection of glasses sitting on the table" in said(
        Scene("collection", (Thing("glasses"), table), "on", SEVERAL)
    )
    assert {"a wooden cube", "a cube made of wood"} <= said(Scene("texture", (Thing("cube", texture="wooden"),)))
    assert "an armchair in the shape of an avocado" in said(Scene("shape", (Thing("armchair", shape="avocado"),)))
    assert {"a giraffe turtle", "half giraffe half turtle", "a giraffe with the body of a turtle"} <= said(
        Scene("chimera", (Thing("giraffe", half="turtle"),))
    )
    assert "a pencil sketch of a cat" in said(Scene("style", (Thing("cat"),), style="sketch"))
    assert "a close-up of a cat" in said(Scene("view", (Thing("cat"),), view="close-up"))
    assert "the exact same cat on the top as a sketch on the bottom" in said(
        Scene("panels", (Thing("cat"),), panel="sketch")
    )
    blocks = tuple(Thing("block", colour) for colour in ("red", "green", "blue"))
    assert "a stack of three blocks: red on top, green in the middle, blue at the bottom" in said(
        Scene("stack", blocks)
    )
    assert {"a sad cat", "a crying cat"} <= said(Scene("character", (Thing("cat", mood="sad"),)))
    assert {"a cat without a hat", "a cat is not wearing a hat"} <= said(
        Scene("garments", (Thing("cat", without=("hat",)),))
    )


def test_verbs_agree_with_words_that_are_plural() -> None:
    for scene in (
        Scene("style", (Thing("glasses", "red"),), style="night"),
        Scene("style", (Thing("glasses", "red"),), style="pixel art"),
        Scene("view", (Thing("glasses", texture="dotted"),), view="upside down"),
        Scene("counting", (Thing("glasses", "red"),), count=1),
        Scene("single", (Thing("glasses", "red"),)),
    ):
        lines = english.captions(scene)
        assert any(re.match(r"(these|here|there) are .*glasses", line) for line in lines)
        for line in lines:
            assert not re.match(r"(this|here|there) is (?!.* of )", line), line
            assert not re.match(r"(these|here|there) are (an?|pixel art of) ", line), line


def test_captions_leave_out_nothing_that_is_worn_or_done() -> None:
    tutu = Thing("daikon", garments=(Garment("tutu"),), baby=True, doing="walking a dog")
    for line in english.captions(Scene("character", (tutu,))):
        assert all(word in line for word in ("baby", "tutu", "dog")), line
    for line in chinese.captions(Scene("character", (tutu,))):
        assert all(word in line for word in ("宝宝", "芭蕾舞裙", "狗")), line
    both = Thing("cat", garments=(Garment("hat", "red"),), without=("scarf",))
    for line in english.captions(Scene("garments", (both,))):
        assert "red hat" in line and re.search(r"(no|without a) scarf", line), line
    for line in chinese.captions(Scene("garments", (both,))):
        assert re.search(r"红色的?帽子", line) and re.search(r"没有?[穿戴]围巾", line), line


def test_known_sentences_in_chinese() -> None:
    cube, star = Thing("cube", "red"), Thing("star", "red")
    assert "一个红色的立方体" in chinese.captions(Scene("single", (cube,)))
    assert "三颗红色的星星" in chinese.captions(Scene("counting", (star,), count=3))
    assert "两只猫" in chinese.captions(Scene("counting", (Thing("cat"),), count=2))
    assert "一只猫戴着红色的帽子和蓝色的手套" in chinese.captions(Scene("garments", (CAT,)))
    shirt = Thing("cat", garments=(Garment("shirt", "green"), Garment("hat", "red")))
    assert "一只穿着绿色的衬衫、戴着红色的帽子的猫" in chinese.captions(Scene("garments", (shirt,)))
    relation = Scene("relation", (cube, Thing("ball", "blue", "large")), relation="right of")
    assert "一个红色的立方体在一个蓝色的大球的右边" in chinese.captions(relation)
    assert "一个蓝色的大球在一个红色的立方体的左边" in chinese.captions(relation)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_family_has_six_wordings_and_keeps_two(language: str) -> None:
    for scene, found in told(language):
        assert len(set(found.seen)) >= 6, scene
        assert len(set(found.kept)) >= 2, scene
        assert not set(found.seen) & set(found.kept)


def test_frames_go_round_every_phrase_and_sets_are_chosen_by_name() -> None:
    forms = framed(("{a}", "{b}"), Forms(("{}", "see {}"), ("look: {}",)), seen=("{a}!",), kept=("{b}?",))
    assert forms.seen == ("{a}", "{b}", "see {a}", "see {b}", "{a}!")
    assert forms.kept == ("look: {a}", "look: {b}", "{b}?")
    assert forms.of("seen") == forms.seen and forms.of("kept") == forms.kept
    assert forms.of("any") == forms.seen + forms.kept


def test_no_wording_is_shared_by_two_combinations() -> None:
    for language in LANGUAGES:
        owners: dict[str, str] = {}
        for scene, found in told(language):
            for line in found.seen + found.kept:
                # "Two things" and the same two in a relation are different combinations, with different captions.
                assert owners.setdefault(line, combination(scene)) == combination(scene), line


def test_english_articles_numbers_and_length() -> None:
    for scene, found in told("en"):
        for line in found.seen + found.kept:
            assert not re.search(r"\ba [aeiou]", line), line
            assert not re.search(r"\ban [^aeiou]", line), line
            assert "  " not in line
            assert line == line.lower().strip()
            assert len(line.split()) <= 34, line
            words = noun(scene.things[0].kind)
            if scene.family == "counting" and words.plural != words.singular:
                assert (f" {words.plural} " in f" {line.replace(',', '')} ") == (scene.count > 1), line
            assert "None" not in line


def test_chinese_is_chinese_only() -> None:
    for _, found in told("zh"):
        for line in found.seen + found.kept:
            assert re.fullmatch(r"[\u4e00-\u9fff，、：]+", line), line
            assert "的的" not in line and "着着" not in line
            assert len(line) <= 80, line


def test_captions_come_from_the_seed_and_the_wanted_set() -> None:
    scene = Scene("garments", (CAT,))
    for language in LANGUAGES.values():
        found = language.wordings(scene)
        for wording, allowed in (("seen", found.seen), ("kept", found.kept), ("any", found.seen + found.kept)):
            drawn = {language.caption(scene, seed, wording) for seed in range(300)}
            assert drawn == set(allowed)
        assert language.caption(scene, 7) == language.caption(scene, 7)
        with pytest.raises(InputError, match="wording"):
            language.caption(scene, 0, "loud")


def test_the_vocabulary_is_small_and_kept_wordings_add_no_word() -> None:
    seen: set[str] = set()
    kept: set[str] = set()
    for _, found in told("en"):
        seen.update(word for line in found.seen for word in re.findall(r"[a-z-]+", line))
        kept.update(word for line in found.kept for word in re.findall(r"[a-z-]+", line))
    assert kept <= seen
    assert len(seen) < 280
    characters = {
        language: {c for _, found in told("zh") for line in getattr(found, language) for c in line}
        for language in ("seen", "kept")
    }
    assert characters["kept"] <= characters["seen"]


def test_all_families_are_said() -> None:
    assert {scene.family for scene in scenes()} == set(FAMILIES)
