"""Captions in Chinese: every paraphrase of a scene, some of them kept from training."""

from __future__ import annotations

from limner.storybook.english import Forms, noun
from limner.storybook.scene import Scene, Thing
from limner.storybook.wording import Wordings, spread
from limner.storybook.world.colours import BACKGROUNDS, COLOURS
from limner.storybook.world.garments import GARMENT_KINDS

NUMBERS = ("零", "一", "两", "三", "四")
SIZES = {"small": ("", "小"), "medium": ("中等大小的", ""), "large": ("", "大")}
"""Each size's word before the colour and the one after it."""

# {a}, {b}: the things with 的 after the colour ("一个红色的立方体"); {p}, {q}: the same without ("一个红色立方体");
# {g}, {h}: the garments likewise, as a predicate; {i}, {j}: the garments before the name: {m}{i}的{k} is "一只…的猫".
_SINGLE: Forms = (
    ("{a}", "{p}", "一幅画着{a}的画", "一张画着{p}的图片", "图中有{a}", "画里有{p}", "这张图片里有{a}"),
    ("这幅画里有{a}", "图片里有{p}"),
)
_TWO: Forms = (
    (
        "{a}和{b}",
        "{p}和{q}",
        "{b}和{a}",
        "一幅画着{a}和{b}的画",
        "一张画着{p}和{q}的图片",
        "图中有{a}和{b}",
        "这张图片里有{q}和{p}",
    ),
    ("这幅画里有{a}和{b}", "图片里有{q}和{p}"),
)
_GARMENTS: Forms = (
    (
        "{a}{g}",
        "{a}{h}",
        "{m}{i}的{k}",
        "{m}{j}的{k}",
        "图中有{a}，{g}",
        "一幅画着{m}{j}的{k}的画",
        "这张图片里有{m}{i}的{k}",
    ),
    ("这幅画里有{a}，{h}", "图片里有{m}{j}的{k}"),
)
_LEFT: Forms = (
    (
        "{a}在{b}的左边",
        "{p}在{q}左边",
        "左边是{a}，右边是{b}",
        "{b}的左边是{a}",
        "{b}在{a}的右边",
        "图中{a}在{b}的左边",
        "画里左边有{p}，右边有{q}",
    ),
    ("{b}的左边有{a}", "图中左边是{p}，右边是{q}"),
)
_ABOVE: Forms = (
    (
        "{a}在{b}的上面",
        "{p}在{q}上面",
        "上面是{a}，下面是{b}",
        "{b}的上面是{a}",
        "{b}在{a}的下面",
        "图中{a}在{b}的上面",
        "画里上面有{p}，下面有{q}",
    ),
    ("{b}的上面有{a}", "图中上面是{p}，下面是{q}"),
)


def _mirrored(forms: Forms, turned: dict[int, int]) -> Forms:
    """The templates of the opposite relation: left for right, above for below."""
    seen, kept = forms
    return tuple(line.translate(turned) for line in seen), tuple(line.translate(turned) for line in kept)


_RELATIONS: dict[str, Forms] = {
    "left of": _LEFT,
    "right of": _mirrored(_LEFT, str.maketrans("左右", "右左")),
    "above": _ABOVE,
    "below": _mirrored(_ABOVE, str.maketrans("上下", "下上")),
}


def _described(thing: Thing, of: str) -> str:
    """Colour, size and name: "红色的小立方体", "中等大小的红色的球"; ``of`` is 的 or nothing."""
    before, after = SIZES[thing.size] if thing.size else ("", "")
    colour = COLOURS[thing.colour].chinese + of if thing.colour else ""
    return before + colour + after + noun(thing.kind).chinese


def _counted(thing: Thing, count: int, of: str) -> str:
    return NUMBERS[count] + noun(thing.kind).measure + _described(thing, of)


def _garments(thing: Thing, of: str, comma: str, measured: bool) -> str:
    """ "戴着红色的帽子和蓝色的手套，穿着绿色的衬衫": what shares a verb stands together."""
    by_verb: dict[str, list[str]] = {}
    for worn in thing.garments:
        kind = GARMENT_KINDS[worn.kind]
        number = NUMBERS[1] + kind.noun.measure if measured else ""
        by_verb.setdefault(kind.chinese_verb, []).append(number + COLOURS[worn.colour].chinese + of + kind.noun.chinese)
    return comma.join(verb + "和".join(worn) for verb, worn in by_verb.items())


def wordings(scene: Scene) -> Wordings:
    """All paraphrases of a scene in Chinese, without a full stop."""
    first = scene.things[0]
    words = {"a": _counted(first, scene.count, "的"), "p": _counted(first, scene.count, "")}
    if len(scene.things) == 2:
        forms = _RELATIONS[scene.relation] if scene.relation else _TWO
        words |= {"b": _counted(scene.things[1], 1, "的"), "q": _counted(scene.things[1], 1, "")}
    elif first.garments:
        forms = _GARMENTS
        words |= {
            "g": _garments(first, "的", "，", measured=False),
            "h": _garments(first, "", "，", measured=True),
            "i": _garments(first, "的", "、", measured=False),
            "j": _garments(first, "", "、", measured=True),
            "m": NUMBERS[1] + noun(first.kind).measure,
            "k": _described(first, "的"),
        }
    else:
        forms = _SINGLE
    backgrounds: tuple[str, ...] = ("{}",)
    if scene.background:
        colour = BACKGROUNDS[scene.background].chinese
        backgrounds = (f"{{}}，{colour}背景", f"{{}}，背景是{colour}")
    seen, kept = (spread(lines, backgrounds, **words) for lines in forms)
    return Wordings(seen, kept)


def captions(scene: Scene) -> tuple[str, ...]:
    """Every paraphrase, those kept from training last."""
    found = wordings(scene)
    return found.seen + found.kept


def caption(scene: Scene, seed: int, wording: str = "any") -> str:
    """One paraphrase by the seed: any, one "seen" in training, or one "kept" from it."""
    return wordings(scene).choose("zh", seed, wording)
