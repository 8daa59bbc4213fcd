"""Chinese noun phrases: a thing with all that is said of it, and what a character wears and does as a predicate."""

from __future__ import annotations

from collections.abc import Sequence

from limner.storybook.english_phrase import noun
from limner.storybook.scene import Garment, Thing
from limner.storybook.wording import Pick
from limner.storybook.world.colours import COLOURS
from limner.storybook.world.doing import DOINGS
from limner.storybook.world.garments import GARMENT_KINDS
from limner.storybook.world.moods import MOODS
from limner.storybook.world.plants import PLANT_KINDS
from limner.storybook.world.shapes import SHAPES
from limner.storybook.world.textures import TEXTURES

NUMBERS = ("零", "一", "两", "三", "四", "五", "六")
SIZES = {"small": ("", "小"), "medium": ("中等大小的", ""), "large": ("", "大"), "huge": ("巨大的", "")}
"""Each size's word before the colour and the one after it."""


def listed(words: Sequence[str]) -> str:
    """ "甲、乙和丙"."""
    return words[0] if len(words) == 1 else f"{'、'.join(words[:-1])}和{words[-1]}"


def _garment(garment: Garment, of: str, measured: bool) -> str:
    words = GARMENT_KINDS[garment.kind].noun
    colour = COLOURS[garment.colour].chinese + of if garment.colour else ""
    return (NUMBERS[1] + words.measure if measured else "") + colour + words.chinese


def outfit(thing: Thing, pick: Pick, of: str, comma: str) -> str:
    """ "戴着红色的帽子和蓝色的手套，穿着绿色的衬衫，没戴围巾": what shares a verb stands together."""
    said: dict[str, list[str]] = {}
    measured = bool(thing.garments) and pick((False, True))
    for garment in thing.garments:
        said.setdefault(GARMENT_KINDS[garment.kind].chinese_verb, []).append(_garment(garment, of, measured))
    if len(said) > 1 and len(thing.garments) > 2 and comma == "，" and pick((False, False, True)):
        said = {next(iter(said)): [name for names in said.values() for name in names]}  # one verb for all
    for kind in thing.without:
        verb = "没" + GARMENT_KINDS[kind].chinese_verb.removesuffix("着")
        said.setdefault(verb, []).append(GARMENT_KINDS[kind].noun.chinese)
    lacking = "没有" if thing.without and pick(("没", "没有")) == "没有" else "没"
    return comma.join(verb.replace("没", lacking) + listed(names) for verb, names in said.items())


def predicate(thing: Thing, pick: Pick, of: str) -> str:
    """ "戴着红色的帽子，正在遛狗": what it wears and does."""
    clauses = [outfit(thing, pick, of, "，")] if thing.garments or thing.without else []
    if thing.doing:
        doing = pick(DOINGS[thing.doing].phrases.chinese)
        clauses.append(doing if "着" in doing else pick(("正在", "在")) + doing)
    return "，".join(clauses)


def _attribute(thing: Thing, pick: Pick, of: str) -> str:
    """The same before a noun: "穿着芭蕾舞裙遛狗的"."""
    clothes = outfit(thing, pick, of, "、") if thing.garments or thing.without else ""
    doing = pick(DOINGS[thing.doing].phrases.chinese) if thing.doing else ""
    comma = "、" if clothes and "着" in doing else ""
    return f"{clothes}{comma}{doing}的" if clothes or doing else ""


def _blend(thing: Thing, pick: Pick, brief: bool) -> tuple[str, str, str]:
    """A chimera's or a shaped thing's measure word, attribute and name."""
    words = noun(thing.kind)
    if thing.shape:
        shape = SHAPES[thing.shape].noun.chinese
        form = "{}形状的" if brief else pick(("{}形状的", "{}形的", "像{}一样的"))
        return pick((words.measure, "个")), form.format(shape), words.chinese
    body = noun(thing.half or "")
    ways = [
        ("", words.chinese + body.chinese),
        (f"长着{body.chinese}身体的", words.chinese),
        (f"长着{words.chinese}脑袋的", body.chinese),
        (f"一半是{words.chinese}一半是{body.chinese}的", "动物"),
    ]
    if len(ways[0][1]) < 3:  # two short names together are a word of their own: 熊猫 is a panda
        ways = ways[1:]
    attribute, name = ways[0] if brief else pick(ways)
    return ("只" if name == "动物" else pick((words.measure, "个"))), attribute, name


def _texture(thing: Thing, pick: Pick, of: str, brief: bool) -> tuple[str, str]:
    """What a texture puts before the colour and after it: 木头做的红色立方体, 红色的木头立方体."""
    ways = TEXTURES[thing.texture or ""].words.chinese
    way = (ways[0] if brief else pick(ways)).removesuffix("{}")
    return (way, "") if way.endswith("的") else ("", way + of)


def phrase(
    thing: Thing,
    pick: Pick,
    of: str,
    *,
    number: str = "一",
    measured: bool = True,
    bare: bool = False,
    brief: bool = False,
) -> str:
    """A thing with all that is said of it: "一个红色的小立方体", "一只戴着红色帽子遛狗的猫".

    ``of``: 的 or nothing after a colour. ``number`` stands before the measure word; neither if not ``measured``.
    ``bare``: without what it wears and does. ``brief``: no long paraphrases.
    """
    words = noun(thing.kind)
    measure, blended, name, made, pattern = words.measure, "", words.chinese, "", ""
    if thing.shape or thing.half:
        measure, blended, name = _blend(thing, pick, brief)
    if thing.texture:
        made, pattern = _texture(thing, pick, of, brief)
    if thing.baby:
        name += "宝宝"
        measure = "个" if thing.kind in PLANT_KINDS else measure
    before, after = SIZES[thing.size] if thing.size else ("", "")
    parts = (
        number + measure if measured else "",
        "" if bare else _attribute(thing, pick, of),
        before,
        pick(MOODS[thing.mood].phrases.chinese) if thing.mood else "",
        blended,
        made,
        COLOURS[thing.colour].chinese + of if thing.colour else "",
        pattern,
        after,
        name,
    )
    return "".join(parts)


def phrases(things: Sequence[Thing], pick: Pick, of: str) -> list[str]:
    """Each thing with its number, in short."""
    return [phrase(thing, pick, of, brief=True) for thing in things]
