"""English noun phrases: a thing with all that is said of it."""

from __future__ import annotations

from collections.abc import Sequence

from limner.storybook.scene import Thing
from limner.storybook.wording import Pick
from limner.storybook.world.animals import ANIMAL_KINDS
from limner.storybook.world.doing import DOINGS
from limner.storybook.world.garments import GARMENT_KINDS
from limner.storybook.world.moods import MOODS
from limner.storybook.world.plants import PLANT_KINDS
from limner.storybook.world.shapes import SHAPES
from limner.storybook.world.textures import TEXTURES
from limner.storybook.world.things import THING_KINDS
from limner.storybook.world.words import SENSE_NOUNS, Noun

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")
_VOWELS = frozenset("aeiou")
_NOUNS: dict[str, Noun] = SENSE_NOUNS | {
    kind: entry.noun for table in (THING_KINDS, ANIMAL_KINDS, PLANT_KINDS) for kind, entry in table.items()
}


def noun(kind: str) -> Noun:
    """The words of a thing or a character."""
    return _NOUNS[kind]


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[0] in _VOWELS else 'a'} {phrase}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _names(thing: Thing, plural: bool, brief: bool) -> tuple[tuple[str, str], ...]:
    """Ways to name it: the noun, before which adjectives go, and what follows it."""
    words = noun(thing.kind)
    name = words.plural if plural else words.singular
    if thing.half:
        body = noun(thing.half)
        compound = f"{words.singular} {body.plural if plural else body.singular}"
        if brief:
            return ((compound, ""),)
        return (
            (compound, ""),
            (compound, ""),
            (name, f"with the body of {article(body.singular)}"),
            (body.plural if plural else body.singular, f"with the head of {article(words.singular)}"),
            *(() if plural else ((f"half {words.singular} half {body.singular}", ""),)),
        )
    if thing.shape:
        shape = SHAPES[thing.shape].noun.singular
        return (
            (name, f"in the shape of {article(shape)}"),
            (f"{shape} {name}", ""),
            (f"{shape}-shaped {name}", ""),
            (name, f"imitating {article(shape)}"),
        )
    if thing.texture:
        ways = [_parted(way, name) for way in TEXTURES[thing.texture].words.english]
        return (ways[0],) if brief else (ways[0], *ways)
    return tuple((other, "") for other in (name, *(() if plural and not words.paired else words.others)))


def _parted(way: str, name: str) -> tuple[str, str]:
    """ "wooden {}" as the noun, "{} made of wood" as the noun and what follows it."""
    before, _, after = way.partition("{}")
    return f"{before}{name}", after.strip()


def outfit(thing: Thing, pick: Pick) -> str:
    """ "a red hat, blue gloves and a tutu": what it wears, in the order of the scene."""
    worn = []
    for garment in thing.garments:
        words = GARMENT_KINDS[garment.kind].noun
        name = words.plural if words.paired else words.singular
        if words.others:
            name = pick((name, *words.others))
        name = f"{garment.colour} {name}" if garment.colour else name
        worn.append(name if words.paired else article(name))
    return listed(worn)


def absent(thing: Thing, pick: Pick, no: bool = False) -> str:
    """ "a hat or gloves", or with ``no``: "no hat and no gloves": what it is said not to wear."""
    names = []
    for kind in thing.without:
        words = GARMENT_KINDS[kind].noun
        name = words.plural if words.paired else words.singular
        if words.others:
            name = pick((name, *words.others))
        names.append(f"no {name}" if no else name if words.paired else article(name))
    return listed(names) if no else listed(names, "or")


def _clothes(thing: Thing, pick: Pick) -> str:
    """ "in a red hat", "wearing a red hat and no gloves", "without a hat"."""
    if not thing.without:
        return f"{pick(('wearing', 'wearing', 'in', 'with'))} {outfit(thing, pick)}"
    if not thing.garments:
        how = pick(("without", "without", "with no", "wearing no", "not wearing"))
        if how.endswith("no"):
            return f"{how.split()[0]} {absent(thing, pick, no=True)}"
        return f"{how} {absent(thing, pick)}"
    how = pick(("wearing and no", "wearing but no", "in without", "with and no"))
    verb, *link = how.split()
    if link == ["without"]:
        return f"{verb} {outfit(thing, pick)} without {absent(thing, pick)}"
    return f"{verb} {outfit(thing, pick)} {link[0]} {absent(thing, pick, no=True)}"


def phrase(
    thing: Thing, pick: Pick, *, before: str = "a", plural: bool = False, bare: bool = False, brief: bool = False
) -> str:
    """A thing with all that is said of it: "a small red cube made of wood", "a sad cat in a tutu walking a dog".

    ``before``: "a", "the" (where nothing more is said of it than its name, else "a"), a number or nothing. ``bare``:
    without what it wears and does. ``brief``: no long paraphrases, as several things have to fit into one caption.
    """
    words = noun(thing.kind)
    name, tail = _one_of(_names(thing, plural, brief), pick)
    adjectives = (
        thing.size,
        pick(MOODS[thing.mood].phrases.english) if thing.mood else None,
        thing.colour,
        "baby" if thing.baby else None,
        name,
    )
    text = " ".join(filter(None, adjectives))
    if words.paired and thing.kind not in SENSE_NOUNS and (before or not plural):
        text = f"{'pairs' if plural else 'pair'} of {text}"
    if before == "the" and text not in (words.singular, words.plural):
        before = "a"
    if before == "a":
        text = text if thing.kind in SENSE_NOUNS or text.startswith("half ") else article(text)
    elif before:
        text = f"{before} {text}"
    if tail:
        text = f"{text} {tail}"
    if bare:
        return text
    if thing.garments or thing.without:
        text = f"{text}{', each' if plural else ''} {_clothes(thing, pick)}"
    return f"{text} {pick(DOINGS[thing.doing].phrases.english)}" if thing.doing else text


def phrases(things: Sequence[Thing], pick: Pick) -> list[str]:
    """Each thing with its "a", in short."""
    return [phrase(thing, pick, brief=True) for thing in things]


def _one_of(options: tuple[tuple[str, str], ...], pick: Pick) -> tuple[str, str]:
    return options[0] if len(options) == 1 else pick(options)
