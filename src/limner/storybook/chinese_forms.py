"""Chinese templates of every family of scenes: those seen in training, and those kept from it.

Slots: {a}, {b} the first and second thing with all that is said of it ("一个红色的立方体"); {c} the second as a place
("一张桌子", "桌子"); {w} the first without what it wears and does, {g} what it wears and does, as a predicate; {s} its
name alone with its measure word; {m} several, counted; {ms} uncounted, {few} 几 of them; {l} a list of all, {r} from
the last to the first; {k} all blocks, counted; {sit} the verb for being on or in something.
"""

from __future__ import annotations

from limner.storybook.wording import Forms, framed

_DRAWN = Forms(
    (
        *("{}",) * 3,
        "一幅画着{}的画",
        "一张画着{}的图片",
        "图中有{}",
        "画里有{}",
        "这张图片里有{}",
    ),
    ("这幅画里有{}", "图片里有{}"),
)
_SHOWN = Forms((*("{}",) * 3, "这是{}", "图中是{}"), ("图片里是{}", "这幅画是{}"))
"""Round what names a picture itself already."""
_SCENE = Forms((*("{}",) * 3, "图中{}", "画里{}"), ("图片里{}",))
"""Round whole sentences."""


def _turned(forms: Forms, words: str) -> Forms:
    """The templates of the opposite relation: left for right, above for below."""
    table = str.maketrans(words, words[::-1])
    return Forms(
        tuple(line.translate(table) for line in forms.seen), tuple(line.translate(table) for line in forms.kept)
    )


_LEFT = framed(
    ("{a}在{b}的左边", "{a}在{b}左边", "{b}的左边是{a}", "左边是{a}，右边是{b}", "{b}在{a}的右边"),
    _SCENE,
    seen=("画里左边有{a}，右边有{b}",),
    kept=("{b}的左边有{a}", "图中左边有{a}，右边有{b}"),
)
_ABOVE = framed(
    ("{a}在{b}的上方", "{a}在{b}上方", "{b}的上方是{a}", "上方是{a}，下方是{b}", "{b}在{a}的下方"),
    _SCENE,
    seen=("画里上方有{a}，下方有{b}",),
    kept=("{b}的上方有{a}", "图中上方有{a}，下方有{b}"),
)
RELATIONS: dict[str, Forms] = {
    "left of": _LEFT,
    "right of": _turned(_LEFT, "左右"),
    "above": _ABOVE,
    "below": _turned(_ABOVE, "上下"),
    "on": framed(
        ("{a}{sit}在{c}上", "{a}在{c}上", "{a}在{c}上面", "{c}上有{a}", "{c}上{sit}着{a}"),
        _SCENE,
        kept=("{a}{sit}在{c}上面", "{c}上面{sit}着{a}"),
    ),
    "inside": framed(
        ("{a}在{c}里", "{a}在{c}里面", "{a}{sit}在{c}里", "{c}里有{a}", "{c}里{sit}着{a}"),
        _SCENE,
        kept=("{a}{sit}在{c}里面", "{c}里面{sit}着{a}"),
    ),
    "behind": framed(
        ("{a}在{b}后面", "{a}在{b}的后面", "{b}后面是{a}", "{b}在{a}前面", "{b}的后面有{a}"),
        _SCENE,
        kept=("{b}在{a}的前面", "{b}后面有{a}"),
    ),
}

_ONE = framed(("{a}",), _DRAWN)
_ACTING = framed(
    ("{a}",),
    _DRAWN,
    seen=("{w}{g}", "{w}{g}", "图中有{w}，{g}", "画里的{x}{g}"),
    kept=("这幅画里有{w}，{g}", "图片里的{x}{g}"),
)
FAMILIES: dict[str, Forms] = {
    "single": _ONE,
    "counting": framed(("{m}",), _DRAWN),
    "two": framed(("{a}和{b}", "{b}和{a}"), _DRAWN),
    "several": framed(("{l}",), _DRAWN),
    "texture": _ONE,
    "shape": _ONE,
    "chimera": _ONE,
    "collection": framed(
        ("{c}上放着一些{ms}", "{c}上摆着{few}", "一些{ms}放在{c}上", "{c}上有一堆{ms}", "{few}摆在{c}上"),
        _SCENE,
        kept=("{c}上摆着一些{ms}", "{few}放在{c}上"),
    ),
    "style": framed(("{style}",), _SHOWN),
}
VIEWS: dict[str, Forms] = {
    "close-up": framed(("{a}的特写", "{a}的近景", "近看{a}"), _SHOWN),
    "from behind": framed(("{a}的背影", "从背后看{a}", "从后面看{a}"), _SHOWN),
    "upside down": framed(("上下颠倒的{a}", "倒过来的{a}", "{a}，上下颠倒"), _SHOWN),
}
PANELS: dict[str, str] = {
    "sketch": "素描",
    "sketches": "几幅素描",
    "pixel art": "像素画",
    "upside down": "上下颠倒的样子",
}
"""How the lower of two panels shows the upper one's thing."""
PANEL = Forms(
    (
        "上面是{a}，下面是同{s}的{p}",
        "上面{a}，下面同{s}的{p}",
        "上面是{a}，下面是它的{p}",
        "图中上面是{a}，下面是同{s}的{p}",
        "两幅画：上面是{a}，下面是它的{p}",
        "上半部分是{a}，下半部分是同{s}的{p}",
    ),
    ("两幅画：上面是{a}，下面是同{s}的{p}", "上半部分是{a}，下半部分是它的{p}"),
)
STACK = framed(
    (
        "{chain}",
        "{k}叠在一起，从上到下是{l}",
        "{k}叠在一起：{places}",
        "一摞积木，从上到下是{l}",
        "一摞积木，从下到上是{r}",
    ),
    Forms((*("{}",) * 2, "图中有{}", "画里有{}"), ("图片里有{}",)),
    kept=("{k}叠在一起，从下到上是{r}", "一摞积木：{places}"),
)


def of_character(acting: bool) -> Forms:
    """The templates of who wears something, is said not to, does something; or does nothing."""
    return _ACTING if acting else _ONE
