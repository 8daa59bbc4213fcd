"""Captions in English: every paraphrase of a scene, some of them kept from training."""

from __future__ import annotations

from limner.storybook.scene import Scene, Thing
from limner.storybook.wording import Wordings, spread
from limner.storybook.world.animals import ANIMAL_KINDS
from limner.storybook.world.garments import GARMENT_KINDS
from limner.storybook.world.things import THING_KINDS
from limner.storybook.world.words import Noun

NUMBERS = ("zero", "one", "two", "three", "four")
_VOWELS = frozenset("aeiou")

Forms = tuple[tuple[str, ...], tuple[str, ...]]

# Each family's templates: (seen in training, kept from it). {a}, {b}: the things; {g}: garments; {n}: counted things.
_SINGLE: Forms = (
    ("{a}", "a drawing of {a}", "a picture of {a}", "an illustration of {a}", "there is {a}", "this drawing shows {a}"),
    ("this picture shows {a}", "{a} in a picture"),
)
_COUNTING: Forms = (
    (
        "{n}",
        "a drawing of {n}",
        "a picture of {n}",
        "an illustration of {n}",
        "there {are} {n}",
        "this drawing shows {n}",
    ),
    ("this picture shows {n}", "{n} in a picture"),
)
_TWO: Forms = (
    (
        "{a} and {b}",
        "{b} and {a}",
        "{a} with {b}",
        "a drawing of {a} and {b}",
        "a picture of {a} and {b}",
        "there is {a} and {b}",
        "this drawing shows {b} and {a}",
    ),
    ("this picture shows {a} and {b}", "a picture of {a} with {b}"),
)
_GARMENTS: Forms = (
    (
        "{a} wearing {g}",
        "{a} in {g}",
        "{a} with {g}",
        "{a} is wearing {g}",
        "a drawing of {a} wearing {g}",
        "a picture of {a} in {g}",
        "an illustration of {a} with {g}",
        "there is {a} wearing {g}",
    ),
    ("an illustration of {a} wearing {g}", "a picture of {a} with {g}"),
)
_LEFT: Forms = (
    (
        "{a} to the left of {b}",
        "{a} left of {b}",
        "{a} is to the left of {b}",
        "{a} is left of {b}",
        "{a} on the left and {b} on the right",
        "{b} to the right of {a}",
        "to the left of {b} is {a}",
        "there is {a} to the left of {b}",
        "a drawing of {a} to the left of {b}",
        "a picture of {a} left of {b}",
    ),
    ("a picture of {a} to the left of {b}", "{b} is to the right of {a}"),
)
_ABOVE: Forms = (
    (
        "{a} above {b}",
        "{a} over {b}",
        "{a} is above {b}",
        "{b} below {a}",
        "{a} at the top and {b} at the bottom",
        "above {b} is {a}",
        "there is {a} above {b}",
        "a drawing of {a} above {b}",
        "a picture of {a} over {b}",
    ),
    ("a picture of {a} above {b}", "{b} is below {a}"),
)


def _mirrored(forms: Forms, words: dict[str, str]) -> Forms:
    """The templates of the opposite relation: each word for its opposite."""

    def turn(line: str) -> str:
        return " ".join(words.get(word, word) for word in line.split(" "))

    seen, kept = forms
    return tuple(map(turn, seen)), tuple(map(turn, kept))


_RELATIONS: dict[str, Forms] = {
    "left of": _LEFT,
    "right of": _mirrored(_LEFT, {"left": "right", "right": "left"}),
    "above": _ABOVE,
    "below": _mirrored(
        _ABOVE,
        {"above": "below", "below": "above", "over": "under", "top": "bottom", "bottom": "top"},
    ),
}


def noun(kind: str) -> Noun:
    """The words of a thing or an animal."""
    return (THING_KINDS.get(kind) or ANIMAL_KINDS[kind]).noun


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[0] in _VOWELS else 'a'} {phrase}"


def _described(thing: Thing, name: str) -> str:
    return " ".join(word for word in (thing.size, thing.colour, name) if word)


def _one(thing: Thing) -> str:
    return article(_described(thing, noun(thing.kind).singular))


def _garments(thing: Thing, pants: bool) -> str:
    """ "a red hat, blue gloves and a green shirt", in the order of the scene."""
    worn = []
    for garment in thing.garments:
        words = GARMENT_KINDS[garment.kind].noun
        if words.paired:
            worn.append(f"{garment.colour} {words.others[0] if pants and words.others else words.plural}")
        else:
            worn.append(article(f"{garment.colour} {words.singular}"))
    return worn[0] if len(worn) == 1 else ", ".join(worn[:-1]) + " and " + worn[-1]


def wordings(scene: Scene) -> Wordings:
    """All paraphrases of a scene in English, lower case, without a full stop."""
    first = scene.things[0]
    words: dict[str, str] = {}
    if scene.family == "counting":
        forms = _COUNTING
        name = noun(first.kind)
        counted = _described(first, name.singular if scene.count == 1 else name.plural)
        words = {"n": f"{NUMBERS[scene.count]} {counted}", "are": "is" if scene.count == 1 else "are"}
    elif len(scene.things) == 2:
        forms = _RELATIONS[scene.relation] if scene.relation else _TWO
        words = {"a": _one(first), "b": _one(scene.things[1])}
    elif first.garments:
        forms = _GARMENTS
        words = {"a": _one(first), "g": _garments(first, False)}
    else:
        forms = _SINGLE
        words = {"a": _one(first)}
    backgrounds: tuple[str, ...] = ("{}",)
    if scene.background:
        backgrounds = (f"{{}} on {article(scene.background)} background", f"{{}}, {scene.background} background")
    seen, kept = (spread(lines, backgrounds, **words) for lines in forms)
    if any(GARMENT_KINDS[worn.kind].noun.others for worn in first.garments):
        words["g"] = _garments(first, True)
        seen, kept = (lines + spread(form, backgrounds, **words) for lines, form in zip((seen, kept), forms))
    return Wordings(seen, kept)


def captions(scene: Scene) -> tuple[str, ...]:
    """Every paraphrase, those kept from training last."""
    found = wordings(scene)
    return found.seen + found.kept


def caption(scene: Scene, seed: int, wording: str = "any") -> str:
    """One paraphrase by the seed: any, one "seen" in training, or one "kept" from it."""
    return wordings(scene).choose("en", seed, wording)
