"""A scene: what a storybook picture shows, as far as its caption says it.

A ``Scene`` is a small frozen tree. What it leaves as ``None`` is unsaid: the drawer chooses it from the picture's seed,
and the judge does not ask for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from limner.errors import InputError, expected
from limner.storybook.world import animals, colours, doing, garments, moods, plants, settings, shapes, styles, things
from limner.storybook.world.textures import TEXTURES as _TEXTURES

COLOURS = tuple(colours.COLOURS)
"""The ten colours of things and garments (GenEval's)."""

BACKGROUNDS = (*colours.BACKGROUNDS, *settings.SETTINGS)
"""Pale colours, so that a thing of any colour stands out, and places."""

SIZES = ("small", "medium", "large", "huge")
SENSES = {"glasses": ("spectacles", "tumbler")}
"""Words with two senses: the kinds that each may be drawn as."""
THINGS = (*things.THING_KINDS, *SENSES)
ANIMALS = tuple(animals.ANIMAL_KINDS)
PLANTS = tuple(plants.PLANT_KINDS)
CHARACTERS = ANIMALS + PLANTS
"""Who has a face and limbs, wears garments, is a baby, does something."""
KINDS = THINGS + CHARACTERS
GARMENTS = tuple(garments.GARMENT_KINDS)
TEXTURES = tuple(_TEXTURES)
SHAPES = tuple(shapes.SHAPES)
HOSTS = tuple(kind for kind, entry in things.THING_KINDS.items() if entry.host)
"""What can be in the shape of something else."""
SUPPORTS = tuple(kind for kind, entry in things.THING_KINDS.items() if entry.top is not None)
CONTAINERS = tuple(kind for kind, entry in things.THING_KINDS.items() if entry.holds is not None)
"""What something can stand on, and what something can be inside of."""
DOINGS = tuple(doing.DOINGS)
MOODS = tuple(moods.MOODS)
STYLES = tuple(styles.STYLES)
VIEWS = ("close-up", "from behind", "upside down")
PANELS = ("sketch", "sketches", "pixel art", "upside down")
"""What the lower of two panels shows of the upper one's thing."""
LOWER_STYLES = {"sketch": "sketch", "sketches": "sketch", "pixel art": "pixel art"}
"""The lower panel's style, where it has one of its own."""
DIRECTIONS = ("left of", "right of", "above", "below")
TOUCHING = ("on", "inside", "behind")
RELATIONS = DIRECTIONS + TOUCHING
MOST = 6
"""The largest count."""
SEVERAL = 0
"""The count of a collection: three or four, the number unsaid."""

FAMILIES = {
    "single": "one thing or character, with its colour and size or without",
    "counting": "one to six alike",
    "two": "two things, no relation said",
    "relation": "two things in a relation",
    "several": "three or four things",
    "garments": "a character with one to four garments, or said to be without one",
    "character": "a baby, a mood, something done",
    "texture": "a thing of a material, or made of an animal's coat",
    "shape": "a thing in the shape of something else",
    "chimera": "half one animal, half another",
    "stack": "blocks on one another, from top to bottom",
    "collection": "several alike on a support",
    "style": "any single thing or character, drawn in a style",
    "view": "a close-up, from behind, upside down",
    "panels": "the same thing twice, in two ways",
}
"""What a scene is about, and which captions it has."""
_THINGS_OF = {"two": (2, 2), "relation": (2, 2), "collection": (2, 2), "several": (3, 4), "stack": (2, 4)}
_CHARACTERS = frozenset(CHARACTERS)
_KINDS = frozenset(KINDS)


def _known(what: str, word: str | None, words: Iterable[str]) -> None:
    if word is not None and word not in words:
        raise InputError(expected(what, "one of " + ", ".join(words), repr(word)))


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment and its own colour (None where unsaid: "a tutu")."""

    kind: str
    colour: str | None = None

    def __post_init__(self) -> None:
        _known("garment", self.kind, GARMENTS)
        _known("colour of a garment", self.colour, COLOURS)


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing or a character, as far as it is described.

    ``colour`` and ``size`` are None where unsaid (characters then have their natural colour). Things alone have a
    ``texture`` ("wooden"; "porcupine": made of it) or the ``shape`` of something (hosts only). Characters alone have
    ``garments``, garments that they are said to be ``without``, a ``mood``, something they are ``doing``; they may be a
    ``baby``. ``half``: the animal whose body follows below the head of ``kind`` (a "giraffe turtle" has a turtle's).
    """

    kind: str
    colour: str | None = None
    size: str | None = None
    garments: tuple[Garment, ...] = ()
    without: tuple[str, ...] = ()
    texture: str | None = None
    shape: str | None = None
    half: str | None = None
    baby: bool = False
    mood: str | None = None
    doing: str | None = None

    @property
    def in_own_colour(self) -> bool:
        """Whether it is said to have the colour that it has anyway: a pink pig, a yellow banana-shaped cup."""
        if self.colour is None:
            return False
        if self.shape:
            return shapes.SHAPES[self.shape].looks == self.colour
        if self.texture:
            return _TEXTURES[self.texture].looks == self.colour
        kind = animals.ANIMAL_KINDS.get(self.kind) or plants.PLANT_KINDS.get(self.kind)
        return kind is not None and kind.looks == self.colour

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            _known("thing", self.kind, KINDS)
        _known(f"colour of a {self.kind}", self.colour, COLOURS)
        _known(f"size of a {self.kind}", self.size, SIZES)
        if self.kind in _CHARACTERS:
            self._check_character()
        else:
            self._check_thing()

    def _check_character(self) -> None:
        _known("animal of the body", self.half, ANIMALS)
        _known(f"mood of a {self.kind}", self.mood, MOODS)
        _known(f"what a {self.kind} is doing", self.doing, DOINGS)
        if self.texture or self.shape:
            raise InputError(expected("texture or shape", "a thing that has it", f"the {self.kind}, a character"))
        if self.half and (self.half == self.kind or self.kind not in ANIMALS or self.colour):
            raise InputError(expected("chimera", "two different animals in their own colours", repr(self)))
        worn = [garment.kind for garment in self.garments]
        if len(set(worn)) != len(worn):
            raise InputError(expected("garments", "each kind once", worn))
        for kind in worn:
            for other in garments.GARMENT_KINDS[kind].excludes:
                if other in worn:
                    raise InputError(expected("garments", f"a {kind} without {other}", worn))
        for kind in self.without:
            _known("garment that is not worn", kind, [name for name in GARMENTS if name not in worn])

    def _check_thing(self) -> None:
        _known(f"texture of a {self.kind}", self.texture, TEXTURES)
        if self.shape is not None:
            _known("thing in the shape of another", self.kind, HOSTS)
            _known(f"shape of a {self.kind}", self.shape, [name for name in SHAPES if name != self.kind])
            if self.texture:
                raise InputError(expected(f"{self.kind}", "a texture or a shape", "both"))
        if self.garments or self.without or self.half or self.baby or self.mood or self.doing:
            raise InputError(
                expected(
                    "garments, baby, mood, doing and half", "a character, one of " + ", ".join(CHARACTERS), self.kind
                )
            )


@dataclass(frozen=True, slots=True)
class Scene:
    """``things`` in the order in which the caption names them; ``things[0]`` is ``relation`` ``things[1]``.

    ``count`` is the number of ``things[0]``: above 1 only in the family counting (1–6), ``SEVERAL`` in a collection,
    which stands on ``things[1]``. A stack's things are named from top to bottom.
    """

    family: str
    things: tuple[Thing, ...]
    relation: str | None = None
    count: int = 1
    background: str | None = None
    style: str | None = None
    view: str | None = None
    panel: str | None = None

    def __post_init__(self) -> None:
        family, first = self.family, self.things[0] if self.things else None
        _known("family", family, FAMILIES)
        for what, word, words in (
            ("relation", self.relation, RELATIONS),
            ("background", self.background, BACKGROUNDS),
            ("style", self.style, STYLES),
            ("view", self.view, VIEWS),
            ("panel", self.panel, PANELS),
        ):
            _known(what, word, words)
        low, high = _THINGS_OF.get(family, (1, 1))
        if not low <= len(self.things) <= high:
            raise InputError(
                expected(f"things of a scene of the family {family}", f"{low} to {high}", len(self.things))
            )
        assert first is not None
        for what, said, families, elsewhere in (
            ("relation", self.relation, ("relation", "collection"), False),
            ("style", self.style, ("style",), False),
            ("view", self.view, ("view",), False),
            ("panel", self.panel, ("panels",), False),
            ("texture", first.texture, ("texture",), True),
            ("shape", first.shape, ("shape",), True),
            ("half", first.half, ("chimera",), True),
        ):
            if (family in families and not said) or (said and family not in families and not elsewhere):
                raise InputError(expected(f"{what} in the family {family}", "one of " + ", ".join(families), said))
        if family == "collection":
            if self.count != SEVERAL or self.relation != "on":
                raise InputError(expected("collection", f"count {SEVERAL} (several) and the relation on", self))
        elif not 1 <= self.count <= MOST or (self.count > 1 and family != "counting"):
            raise InputError(expected("count", f"1–{MOST}, above 1 only in the family counting", self.count))
        if family == "garments" and not (first.garments or first.without):
            raise InputError(expected("garments", "some in the family garments", first))
        if family == "character" and not (first.baby or first.mood or first.doing):
            raise InputError(expected("character", "a baby, a mood or something done", first))
        if family == "stack" and any(thing.kind != "block" for thing in self.things):
            raise InputError(expected("stack", "blocks", [thing.kind for thing in self.things]))
        if self.relation == "on":
            _known("what something stands on", self.things[1].kind, SUPPORTS)
        if self.relation == "inside":
            _known("what something is inside of", self.things[1].kind, CONTAINERS)
        if self.view == "from behind":
            _known("who is seen from behind", first.kind, CHARACTERS)
