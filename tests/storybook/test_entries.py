"""A new thing, animal, garment, texture or style is one entry in one place: all else follows from it."""

from __future__ import annotations

import subprocess
import sys

NEW = """
from dataclasses import replace
from limner.storybook.world import animals, garments, styles, textures, things
from limner.storybook.world.words import Noun, Phrases

things.THING_KINDS["crate"] = replace(things.THING_KINDS["block"], noun=Noun("crate", "crates", "木箱", "个"))
animals.ANIMAL_KINDS["wolf"] = replace(animals.ANIMAL_KINDS["dog"], noun=Noun("wolf", "wolves", "狼", "只"))
garments.GARMENT_KINDS["jumper"] = replace(
    garments.GARMENT_KINDS["shirt"], noun=Noun("jumper", "jumpers", "毛衣", "件"), excludes=("shirt",)
)
garments.GARMENT_KINDS["shirt"] = replace(garments.GARMENT_KINDS["shirt"], excludes=("jumper",))
textures.TEXTURES["tartan"] = replace(
    textures.TEXTURES["checkered"], words=Phrases(("tartan {}", "{} with a tartan"), ("苏格兰{}", "带苏格兰格子的{}"))
)
styles.STYLES["poster"] = replace(styles.STYLES["crayon"], words=Phrases(("a poster of {}",), ("{}的海报",)))

from limner.evaluate.tasks import TASKS, prompts_of
from limner.storybook import chinese, english
from limner.storybook.deal import deal
from limner.storybook.draw import draw
from limner.storybook.judge.nearmiss import near_misses
from limner.storybook.judge.network import PICTURE_QUESTIONS, THING_QUESTIONS
from limner.storybook.judge.truth import truth
from limner.storybook.judge.verdict import decide
from limner.storybook.scene import Garment, Scene, Thing
from limner.storybook.vocabulary import unknown_words

wolf = Thing("wolf", garments=(Garment("jumper", "red"),))
scenes = [
    Scene("single", (Thing("crate", "blue"),)),
    Scene("garments", (wolf,)),
    Scene("texture", (Thing("crate", texture="tartan"),)),
    Scene("relation", (wolf, Thing("crate", "green")), "on"),
    Scene("style", (wolf,), style="poster"),
]
for scene in scenes:
    assert draw(scene, size=64).shape == (64, 64, 3)
    for line in (*english.captions(scene), *chinese.captions(scene)):
        assert not unknown_words(line), line
    assert decide(scene, truth(scene, 3)).right
    assert not any(decide(wrong, truth(scene, 3)).right for _, wrong in near_misses(scene))
assert "crate" in THING_QUESTIONS["kind"] and "jumper" in THING_QUESTIONS and "poster" in PICTURE_QUESTIONS["style"]
dealt = {word for i in range(3000) for word in deal(i, languages=("en",)).caption.replace(",", "").split()}
assert {"crate", "wolf", "jumper", "tartan", "poster"} <= dealt, dealt
assert len(prompts_of(TASKS[0], 40, split="test", seed=0)) == 40
"""


def test_an_entry_is_dealt_said_drawn_and_judged_without_another_line() -> None:
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", NEW], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-800:]
