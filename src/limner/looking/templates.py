"""Prompt templates: sentences with ``{}`` where a class's name goes (CLIP paper, section 3.1.4; OpenAI's prompt lists).

``imagenet`` are the 80 of OpenAI's prompt-engineering notebook, ``subset`` the 7 of them that were found to do as well
together; the others are named after the data sets that OpenAI wrote them for.
"""

from __future__ import annotations

from collections.abc import Sequence

from limner.errors import InputError

PLAIN = ("{}",)
SIMPLE = ("a photo of a {}.",)

SUBSET = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)

# Pairs with "a" and "the", and what has one article only.
_BOTH = (
    *("bad", "bright", "cropped", "good", "dark", "blurry", "pixelated", "low resolution", "jpeg corrupted"),
    *("close-up", "black and white"),
)
_THINGS = ("plastic", "embroidered", "toy", "cartoon", "plushie", "origami")
_ART = (
    *("sculpture of", "rendering of", "tattoo of", "drawing of", "painting of", "doodle of", "sketch of"),
    "rendition of",
)
_KINDS = ("hard to see", "clean", "dirty", "cool", "nice", "weird", "large", "small")

IMAGENET = (
    *(f"a {quality} photo of {article} {{}}." for quality in _BOTH for article in ("a", "the")),
    *(f"a photo of {article} {kind} {{}}." for kind in _KINDS for article in ("a", "the")),
    *(f"a {work} {article} {{}}." for work in _ART for article in ("a", "the")),
    *(f"{article} {thing} {{}}." for thing in _THINGS for article in ("a", "the")),
    *(f"{work} {article} {{}}." for work in ("graffiti of", "art of") for article in ("a", "the")),
    *(f"{article} {{}} in a video game." for article in ("a", "the")),
    *(f"a photo of {article} {{}}." for article in ("a", "the", "my", "one", "many")),
    *(f"itap of {article} {{}}." for article in ("a", "the", "my")),
)

_RENDITIONS = (
    *("{article} {{}} in a video game.", "a photo of {article} {{}}.", "art of {article} {{}}."),
    *("graffiti of {article} {{}}.", "a drawing of {article} {{}}.", "a doodle of {article} {{}}."),
    *("a painting of {article} {{}}.", "a sculpture of {article} {{}}.", "a sketch of {article} {{}}."),
    *(
        "a tattoo of {article} {{}}.",
        "a rendition of {article} {{}}.",
        "{article} plastic {{}}.",
        "{article} toy {{}}.",
    ),
    *("{article} embroidered {{}}.", "{article} cartoon {{}}.", "{article} plushie {{}}.", "{article} origami {{}}."),
)
_LIGHT = ("", "blurry ", "black and white ", "low contrast ", "high contrast ", "bad ", "good ")
_SHOWS = ("photo", "video", "example", "demonstration")
_ACTS = ("", "using ", "doing ", "during ", "performing ", "practicing ")
_FROM_ABOVE = ("imagery", "photo", "view")
_CIFAR = tuple(
    template
    for article in ("a", "the")
    for template in (
        *(f"a {light}photo of {article} {{}}." for light in _LIGHT),
        *(f"a photo of {article} {size} {{}}." for size in ("big", "small")),
    )
)

TEMPLATES: dict[str, tuple[str, ...]] = {
    "plain": PLAIN,
    "simple": SIMPLE,
    "subset": SUBSET,
    "imagenet": IMAGENET,
    "food101": ("a photo of {}, a type of food.",),
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
    "birdsnap": ("a photo of a {}, a type of bird.",),
    "sun397": ("a photo of a {}.", "a photo of the {}."),
    "cars": (
        *(f"a photo of {which} {{}}." for which in ("a", "the", "my")),
        "i love my {}!",
        *(f"a photo of my {state} {{}}." for state in ("dirty", "clean", "new", "old")),
    ),
    "aircraft": ("a photo of a {}, a type of aircraft.", "a photo of the {}, a type of aircraft."),
    "voc2007": SIMPLE,
    "dtd": tuple(
        f"a photo of {a} {{}} {thing}." for a in ("a", "the") for thing in ("texture", "pattern", "thing", "object")
    ),
    "pets": ("a photo of a {}, a type of pet.",),
    "caltech101": tuple(rendition.format(article=a) for a in ("a", "the") for rendition in _RENDITIONS),
    "flowers102": ("a photo of a {}, a type of flower.",),
    "mnist": ('a photo of the number: "{}".',),
    "fer2013": (
        *(
            "a photo of a {} looking face.",
            "a photo of a face showing the emotion: {}.",
            "a photo of a face looking {}.",
        ),
        *("a face that looks {}.", "they look {}.", "look at how {} they are."),
    ),
    "stl10": ("a photo of a {}.", "a photo of the {}."),
    "eurosat": tuple(f"a centered satellite photo of {a}{{}}." for a in ("", "a ", "the ")),
    "resisc45": tuple(
        f"{eye} {what} of {a}{{}}."
        for a in ("", "a ", "the ")
        for what in _FROM_ABOVE
        for eye in ("satellite", "aerial")
    ),
    "gtsrb": tuple(f'a {how} photo of a "{{}}" traffic sign.' for how in ("zoomed in", "centered", "close up")),
    "kitti": PLAIN,
    "country211": (
        *("a photo i took in {}.", "a photo i took while visiting {}.", "a photo from my home country of {}."),
        *("a photo from my visit to {}.", "a photo showing the country of {}."),
    ),
    "pcam": ("this is a photo of {}",),
    "ucf101": tuple(f"a {show} of {a} person {act}{{}}." for a in ("a", "the") for act in _ACTS for show in _SHOWS),
    "kinetics700": (
        *(f"a {show} of {{}}." for show in _SHOWS),
        *(f"a {show} of a person {act}{{}}." for act in _ACTS for show in _SHOWS),
    ),
    "clevr_counts": ("a photo of {} objects.",),
    "hateful_memes": ("a {}.",),
    "sst2": ("a {} review of a movie.",),
}


def choose_templates(templates: str | Sequence[str] | None) -> tuple[str, ...]:
    """The templates called so, or those given; None is the label alone. Raises InputError.

    A text with ``{}`` in it is one template, any other text a name.
    """
    if templates is None:
        return PLAIN
    if isinstance(templates, str):
        if "{}" in templates:
            templates = [templates]
        elif templates in TEMPLATES:
            return TEMPLATES[templates]
        else:
            known = ", ".join(TEMPLATES)
            raise InputError(f"templates: expected a sentence with {{}} or one of {known}, got {templates!r}")
    if not templates:
        raise InputError("templates: expected at least one, got none")
    for template in templates:
        if not isinstance(template, str) or template.count("{}") != 1:
            raise InputError(f"template: expected a sentence with one {{}} for the label, got {template!r}")
    return tuple(dict.fromkeys(templates))


def fill(template: str, name: str) -> str:
    """``template`` with ``name`` in its place; other braces, and those of the name, stay as they are."""
    before, _, after = template.partition("{}")
    return f"{before}{name}{after}"
