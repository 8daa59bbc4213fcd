"""Captions in English: every paraphrase of a scene, some of them kept from training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from limner.storybook import english_forms
from limner.storybook.english_phrase import NUMBERS, absent, article, listed, noun, outfit, phrase, phrases
from limner.storybook.scene import Scene, Thing
from limner.storybook.wording import Forms, Language, Pick, Slots
from limner.storybook.world.doing import DOINGS
from limner.storybook.world.settings import SETTINGS
from limner.storybook.world.styles import STYLES
from limner.storybook.world.words import SENSE_NOUNS

_PLACES = {2: ("on top", "at the bottom"), 3: ("on top", "in the middle", "at the bottom")}
_CHAINS = ("on", "on top of", "sitting on", "standing on")


def forms_of(scene: Scene) -> Forms:
    """A scene's templates."""
    if scene.family in english_forms.FAMILIES:
        return english_forms.FAMILIES[scene.family]
    if scene.relation:
        return english_forms.RELATIONS[scene.relation]
    if scene.view:
        return english_forms.VIEWS[scene.view]
    if scene.panel:
        return english_forms.PANEL
    if scene.family == "stack":
        return english_forms.STACK
    first = scene.things[0]
    return english_forms.of_character(bool(first.garments), bool(first.without), bool(first.doing))


def _place(background: str, pick: Pick) -> str:
    if background in SETTINGS:
        return pick((" ", ", ")) + pick(SETTINGS[background].words.english)
    return pick((f" on {article(background)} background", f", {background} background"))


def _stacked(things: Sequence[Thing], pick: Pick) -> str:
    """ "red on top, green in the middle, blue at the bottom", or the same with "a red block"."""
    if all(thing.colour and not (thing.size or thing.texture) for thing in things) and pick(("", "block")) == "":
        names = [thing.colour or "" for thing in things]
    else:
        names = phrases(things, pick)
    if len(names) == 4:
        return f"{names[0]} on top, then {names[1]}, then {names[2]}, {names[3]} at the bottom"
    return ", ".join(f"{name} {place}" for name, place in zip(names, _PLACES[len(names)]))


def _worn(thing: Thing, pick: Pick) -> str:
    """After "wearing": "a red hat and no gloves"; after "not wearing": "a hat or gloves"."""
    if not thing.garments:
        return absent(thing, pick)
    return outfit(thing, pick) + (f" and {absent(thing, pick, no=True)}" if thing.without else "")


def _styled(scene: Scene, pick: Pick) -> str:
    """ "a sketch of a cat", "a cat at night"."""
    return pick(STYLES[scene.style or ""].words.english).format(phrase(scene.things[0], pick))


def _agreeing(line: str, plural: str) -> str:
    """ "these are red glasses at night", but "this is a sketch of red glasses", whose subject is the sketch."""
    for singular, many in (("this is", "these are"), ("here is", "here are"), ("there is", "there are")):
        if line.startswith(f"{singular} "):
            before = line.removeprefix(f"{singular} ").partition(plural)[0]
            return line if " of " in before else line.replace(singular, many, 1)
    return line


def say(scene: Scene, templates: Sequence[str], pick: Pick) -> str:
    """The scene in one of the templates, with ``pick`` for every choice on the way: lower case, without a full stop."""
    first, last = scene.things[0], scene.things[-1]
    brief = len(scene.things) > 1

    def said(thing: Thing, **how: Any) -> Callable[[], str]:
        return lambda: phrase(thing, pick, brief=brief, **how)

    slots = Slots(
        a=said(first),
        b=said(last),
        c=lambda: phrase(last, pick, brief=brief, before=pick(("a", "the"))),
        w=said(first, bare=True),
        v=said(replace(first, doing=None)),
        n=said(first, before=""),
        s=lambda: phrase(Thing(first.kind, half=first.half), pick, before="", brief=True),
        g=lambda: _worn(first, pick),
        d=lambda: DOINGS[first.doing or ""].phrases.english[0],
        m=said(first, before=NUMBERS[scene.count], plural=scene.count > 1),
        ms=said(first, before="", plural=True),
        l=lambda: listed(phrases(scene.things, pick)),
        r=lambda: listed(phrases(scene.things[::-1], pick)),
        k=lambda: NUMBERS[len(scene.things)],
        chain=lambda: f" {pick(_CHAINS)} ".join(phrases(scene.things, pick)),
        places=lambda: _stacked(scene.things, pick),
        be=lambda: "is" if scene.count == 1 and first.kind not in SENSE_NOUNS else "are",
        eb=lambda: "is" if last.kind not in SENSE_NOUNS else "are",
        p=lambda: english_forms.PANELS[scene.panel or ""],
        style=lambda: _styled(scene, pick),
    )
    line = pick(templates).format_map(slots)
    if first.kind in SENSE_NOUNS:
        line = _agreeing(line, noun(first.kind).plural)
    return line + _place(scene.background, pick) if scene.background else line


_ENGLISH = Language("en", forms_of, say)
wordings, captions, caption = _ENGLISH.wordings, _ENGLISH.captions, _ENGLISH.caption
"""All paraphrases of a scene by set; all in one list, those kept last; one by a seed."""
