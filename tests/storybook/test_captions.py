"""Captions: right grammar, many wordings, some kept from training, no two combinations under one caption."""

from __future__ import annotations

import re

import pytest

from limner.errors import InputError
from limner.storybook import chinese, english
from limner.storybook.deal import deal
from limner.storybook.scene import FAMILIES, Garment, Scene, Thing, combination

LANGUAGES = {"en": english, "zh": chinese}
CAT = Thing("cat", garments=(Garment("hat", "red"), Garment("gloves", "blue")))


def scenes(count: int = 2500) -> list[Scene]:
    dealt = [deal(i, seed=21).scene for i in range(count)]
    return dealt + [deal(i, seed=21, split="heldout").scene for i in range(count // 4)]


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
def test_every_family_has_many_wordings_and_keeps_some(language: str) -> None:
    for scene in scenes(400):
        found = LANGUAGES[language].wordings(scene)
        assert len(set(found.seen)) >= (5 if language == "en" else 4), scene
        assert found.kept
        assert not set(found.seen) & set(found.kept)


def test_no_wording_is_shared_by_two_combinations() -> None:
    for language in LANGUAGES.values():
        owners: dict[str, str] = {}
        for scene in scenes():
            for line in language.captions(scene):
                # "Two things" and the same two in a relation are different combinations, with different captions.
                assert owners.setdefault(line, combination(scene)) == combination(scene), line


def test_english_articles_numbers_and_length() -> None:
    for scene in scenes(1200):
        for line in english.captions(scene):
            assert not re.search(r"\ba [aeiou]", line), line
            assert not re.search(r"\ban [^aeiou]", line), line
            assert "  " not in line
            assert line == line.lower().strip()
            assert len(line.split()) <= 24, line
            if scene.family == "counting":
                noun = english.noun(scene.things[0].kind)
                assert (noun.plural in line.replace(",", "").split()) == (scene.count > 1), line
            assert "None" not in line


def test_chinese_is_chinese_only() -> None:
    for scene in scenes(1200):
        for line in chinese.captions(scene):
            assert re.fullmatch(r"[\u4e00-\u9fff，、]+", line), line
            assert "的的" not in line


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
    for scene in scenes():
        found = english.wordings(scene)
        seen.update(word for line in found.seen for word in line.replace(",", "").split())
        kept.update(word for line in found.kept for word in line.replace(",", "").split())
    assert kept <= seen
    assert len(seen) < 110
    characters = {
        language: {c for s in scenes(800) for line in getattr(chinese.wordings(s), language) for c in line}
        for language in ("seen", "kept")
    }
    assert characters["kept"] <= characters["seen"]


def test_all_families_are_said() -> None:
    assert {scene.family for scene in scenes(300)} == set(FAMILIES)
