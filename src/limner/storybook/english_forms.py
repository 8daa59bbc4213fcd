"""English templates of every family of scenes: those seen in training, and those kept from it.

Slots: {a}, {b} the first and second thing with all that is said of it ("a red cube"); {c} the second as a place ("a
table", "the table"); {w} the first without what it wears and does, {v} without what it does, {g} what it wears and what
not, {d} what it does; {n} the first without an article, {s} its name alone; {m} several of it, counted ("three red
cubes"), {ms} uncounted ("red cubes"); {l} a list of all; {k} their number; {be}, {eb} is or are, as the first or second
thing wants.
"""

from __future__ import annotations

from limner.storybook.wording import Forms, framed

_DRAWN = Forms(
    (
        *("{}",) * 3,
        "a drawing of {}",
        "a picture of {}",
        "an illustration of {}",
        "there {be} {}",
        "this drawing shows {}",
    ),
    ("this picture shows {}", "this illustration shows {}"),
)
_SHOWN = Forms((*("{}",) * 3, "this is {}", "here is {}"), ("there is {}", "this picture shows {}"))
"""Round what names a picture itself already: a drawing of a pencil sketch is none."""
_SCENE = Forms((*("{}",) * 3, "a drawing of {}", "a picture of {}", "there {be} {}"), ("this picture shows {}",))


def _turned(forms: Forms, words: dict[str, str]) -> Forms:
    """The templates of the opposite relation: each word for its opposite."""

    def turn(line: str) -> str:
        return " ".join(words.get(word, word) for word in line.split(" "))

    return Forms(tuple(map(turn, forms.seen)), tuple(map(turn, forms.kept)))


_LEFT = framed(
    ("{a} to the left of {b}", "{a} left of {b}"),
    _SCENE,
    seen=(
        "{a} {be} to the left of {b}",
        "{a} {be} left of {b}",
        "{a} on the left and {b} on the right",
        "{b} to the right of {a}",
        "to the left of {b} {eb} {a}",
    ),
    kept=("{b} {eb} to the right of {a}", "on the left {a}, on the right {b}"),
)
_ABOVE = framed(
    ("{a} above {b}", "{a} over {b}"),
    _SCENE,
    seen=(
        "{a} {be} above {b}",
        "{a} at the top and {b} at the bottom",
        "{b} below {a}",
        "above {b} {eb} {a}",
    ),
    kept=("{b} {eb} below {a}", "at the top {a}, at the bottom {b}"),
)
RELATIONS: dict[str, Forms] = {
    "left of": _LEFT,
    "right of": _turned(_LEFT, {"left": "right", "right": "left"}),
    "above": _ABOVE,
    "below": _turned(_ABOVE, {"above": "below", "below": "above", "over": "under", "top": "bottom", "bottom": "top"}),
    "on": framed(
        ("{a} on {c}", "{a} on top of {c}", "{a} sitting on {c}", "{a} standing on {c}"),
        _SCENE,
        seen=("{a} {be} sitting on {c}", "{a} {be} on {c}", "on {c} {be} {a}", "{b} with {a} on it"),
        kept=("{a} {be} on top of {c}", "on top of {c} {be} {a}"),
    ),
    "inside": framed(
        ("{a} in {c}", "{a} inside {c}", "{a} sitting in {c}"),
        _SCENE,
        seen=("{a} {be} in {c}", "{a} {be} sitting in {c}", "in {c} {be} {a}", "{b} with {a} in it"),
        kept=("{a} {be} inside {c}", "inside {c} {be} {a}"),
    ),
    "behind": framed(
        ("{a} behind {b}", "{b} in front of {a}"),
        _SCENE,
        seen=("{a} {be} behind {b}", "behind {b} {be} {a}", "{b} with {a} behind it", "{a} standing behind {b}"),
        kept=("{a} {be} standing behind {b}", "in front of {a} {be} {b}"),
    ),
}

_ONE = framed(("{a}",), _DRAWN)
_DRESSED = framed(("{a}",), _DRAWN, seen=("{w} is wearing {g}",))
_UNDRESSED = framed(("{a}",), _DRAWN, seen=("{w} is not wearing {g}",))
_DOING = framed(("{a}",), _DRAWN, seen=("{v} is {d}",), kept=("there is {v} and it is {d}",))

FAMILIES: dict[str, Forms] = {
    "single": _ONE,
    "counting": framed(("{m}",), _DRAWN),
    "two": framed(("{a} and {b}", "{b} and {a}"), _DRAWN, seen=("{a} together with {b}",)),
    "several": framed(
        ("{l}",),
        _DRAWN,
        seen=("{k} things: {l}", "a picture of {k} things: {l}"),
        kept=("a drawing of {k} things: {l}",),
    ),
    "texture": _ONE,
    "shape": _ONE,
    "chimera": _ONE,
    "collection": framed(
        (
            "a collection of {ms} on {c}",
            "a collection of {ms} sitting on {c}",
            "several {ms} on {c}",
            "some {ms} standing on {c}",
            "a few {ms} on {c}",
        ),
        Forms(("{}", "{}", "a drawing of {}", "a picture of {}"), ("this picture shows {}",)),
        seen=("several {ms} are sitting on {c}", "{b} with several {ms} on it", "on {c} are some {ms}"),
        kept=("a few {ms} are standing on {c}", "{b} with a collection of {ms} on it"),
    ),
    "style": framed(("{style}",), _SHOWN),
}
VIEWS: dict[str, Forms] = {
    "close-up": framed(("a close-up of {a}", "a close view of {a}", "{a} seen up close"), _SHOWN),
    "from behind": framed(("{a} from behind", "{a} seen from behind", "the back of {a}"), _SHOWN),
    "upside down": framed(("{a} upside down", "{a} turned upside down", "an upside down picture of {a}"), _SHOWN),
}
PANELS: dict[str, str] = {
    "sketch": "as a sketch",
    "sketches": "as several sketches",
    "pixel art": "as pixel art",
    "upside down": "turned upside down",
}
"""How the lower of two panels shows the upper one's thing."""
PANEL = Forms(
    (
        "the exact same {n} on the top {p} on the bottom",
        "the same {n} on the top and {p} on the bottom",
        "{a} on the top and the same {s} {p} on the bottom",
        "on the top {a}, on the bottom the same {s} {p}",
        "{a} at the top, the exact same {s} {p} at the bottom",
        "two pictures: {a} on the top, the same {s} {p} on the bottom",
    ),
    (
        "at the top {a}, at the bottom the same {s} {p}",
        "two pictures: the exact same {n} on the top {p} on the bottom",
    ),
)
STACK = framed(
    ("{chain}", "{chain}", "a stack of {k} blocks: {places}", "a stack of {k} blocks, from top to bottom: {l}"),
    _DRAWN,
    seen=("{k} blocks on top of each other: {places}", "{k} blocks, from bottom to top: {r}"),
    kept=("a stack of {k} blocks, from bottom to top: {r}", "{k} blocks, from top to bottom: {l}"),
)


def of_character(dressed: bool, missing: bool, doing: bool) -> Forms:
    """The templates of who wears something, is said not to, does something."""
    if doing:
        return _DOING
    return _UNDRESSED if missing and not dressed else _DRESSED if dressed else _ONE
