"""The launch article's ten prompts as scenes, with its captions: all held out of training (``splits.py``)."""

from __future__ import annotations

from dataclasses import dataclass

from limner.storybook.scene import SEVERAL, Garment, Scene, Thing


@dataclass(frozen=True, slots=True)
class ArticlePrompt:
    """One way to ask for one of the ten: ``number`` is the prompt's, 1 to 10; ``chinese`` is "" where none is given."""

    number: int
    name: str
    english: str
    chinese: str
    scene: Scene


def _worn(**colours: str) -> tuple[Garment, ...]:
    return tuple(Garment(kind, colour) for kind, colour in colours.items())


_HEDGEHOG = _worn(hat="red", gloves="yellow", shirt="blue", trousers="green")
_PENGUIN = _worn(hat="blue", gloves="red", shirt="green", trousers="yellow")
_TEAPOT = Thing("teapot", "purple", "large", texture="striped")


def _block(colour: str, size: str | None = None) -> Thing:
    return Thing("block", colour, size)


ARTICLE: tuple[ArticlePrompt, ...] = (
    ArticlePrompt(
        1,
        "daikon in a tutu",
        "an illustration of a baby daikon radish in a tutu walking a dog",
        "一个穿着芭蕾舞裙遛狗的萝卜宝宝",
        Scene("character", (Thing("daikon", garments=(Garment("tutu"),), baby=True, doing="walking a dog"),)),
    ),
    ArticlePrompt(
        2,
        "avocado armchair",
        "an armchair in the shape of an avocado",
        "一个鳄梨形状的扶手椅",
        Scene("shape", (Thing("armchair", shape="avocado"),)),
    ),
    ArticlePrompt(
        3, "giraffe turtle", "a giraffe turtle", "一个长颈鹿乌龟", Scene("chimera", (Thing("giraffe", half="turtle"),))
    ),
    ArticlePrompt(
        4,
        "cat and sketch",
        "the exact same cat on the top as a sketch on the bottom",
        "",
        Scene("panels", (Thing("cat"),), panel="sketch"),
    ),
    ArticlePrompt(
        4,
        "cat and sketches",
        "the exact same cat on the top as several sketches on the bottom",
        "",
        Scene("panels", (Thing("cat"),), panel="sketches"),
    ),
    ArticlePrompt(
        5, "cube of porcupine", "a cube made of porcupine", "", Scene("texture", (Thing("cube", texture="porcupine"),))
    ),
    ArticlePrompt(
        5,
        "cube with a texture",
        "a cube with the texture of a porcupine",
        "",
        Scene("texture", (Thing("cube", texture="porcupine"),)),
    ),
    ArticlePrompt(
        6,
        "collection of glasses",
        "a collection of glasses sitting on the table",
        "",
        Scene("collection", (Thing("glasses"), Thing("table")), relation="on", count=SEVERAL),
    ),
    ArticlePrompt(
        7,
        "hedgehog in four colours",
        "a hedgehog wearing a red hat, yellow gloves, a blue shirt and green pants",
        "一只刺猬戴着红色的帽子、黄色的手套、蓝色的衬衫和绿色的裤子",
        Scene("garments", (Thing("hedgehog", garments=_HEDGEHOG),)),
    ),
    ArticlePrompt(
        8,
        "baby penguin emoji",
        "an emoji of a baby penguin wearing a blue hat, red gloves, a green shirt and yellow pants",
        "",
        Scene("style", (Thing("penguin", garments=_PENGUIN, baby=True),), style="emoji"),
    ),
    ArticlePrompt(9, "teapot", "a large purple striped teapot", "", Scene("texture", (_TEAPOT,))),
    ArticlePrompt(
        9,
        "teapot in another colour",
        "a large yellow striped teapot",
        "",
        Scene("texture", (Thing("teapot", "yellow", "large", texture="striped"),)),
    ),
    ArticlePrompt(
        9,
        "teapot of another size",
        "a small purple striped teapot",
        "",
        Scene("texture", (Thing("teapot", "purple", "small", texture="striped"),)),
    ),
    ArticlePrompt(
        9,
        "teapot of another material",
        "a large purple checkered teapot",
        "",
        Scene("texture", (Thing("teapot", "purple", "large", texture="checkered"),)),
    ),
    ArticlePrompt(
        9,
        "three teapots",
        "three purple striped teapots",
        "",
        Scene("counting", (Thing("teapot", "purple", texture="striped"),), count=3),
    ),
    ArticlePrompt(
        10,
        "small block on a large one",
        "a small red block sitting on a large green block",
        "",
        Scene("stack", (_block("red", "small"), _block("green", "large"))),
    ),
    ArticlePrompt(
        10,
        "three blocks in order",
        "a stack of three blocks: red on top, green in the middle, blue at the bottom",
        "",
        Scene("stack", (_block("red"), _block("green"), _block("blue"))),
    ),
)
"""Prompts with the same number are variations of one of the ten."""
