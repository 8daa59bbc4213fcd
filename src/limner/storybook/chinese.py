"""Captions in Chinese: every paraphrase of a scene, some of them kept from training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from limner.storybook import chinese_forms
from limner.storybook.chinese_phrase import NUMBERS, listed, phrase, phrases, predicate
from limner.storybook.english_phrase import noun
from limner.storybook.scene import CHARACTERS, Scene, Thing
from limner.storybook.wording import Forms, Language, Pick, Slots
from limner.storybook.world.colours import BACKGROUNDS, COLOURS
from limner.storybook.world.settings import SETTINGS
from limner.storybook.world.styles import STYLES

_PLACES = {
    2: ("上面是", "下面是"),
    3: ("最上面是", "中间是", "最下面是"),
    4: ("最上面是", "第二块是", "第三块是", "最下面是"),
}
_WHO = frozenset(CHARACTERS)


def forms_of(scene: Scene) -> Forms:
    """A scene's templates."""
    if scene.family in chinese_forms.FAMILIES:
        return chinese_forms.FAMILIES[scene.family]
    if scene.relation:
        return chinese_forms.RELATIONS[scene.relation]
    if scene.view:
        return chinese_forms.VIEWS[scene.view]
    if scene.panel:
        return chinese_forms.PANEL
    if scene.family == "stack":
        return chinese_forms.STACK
    first = scene.things[0]
    return chinese_forms.of_character(bool(first.garments or first.without or first.doing))


def _place(background: str, pick: Pick) -> str:
    if background in SETTINGS:
        return pick(("，", "，场景")) + pick(SETTINGS[background].words.chinese)
    colour = BACKGROUNDS[background].chinese
    return pick((f"，{colour}背景", f"，背景是{colour}"))


def _names(things: Sequence[Thing], pick: Pick, of: str) -> list[str]:
    """Blocks by their colours alone if nothing else is said, or each as a block."""
    if all(thing.colour and not (thing.size or thing.texture) for thing in things) and pick((True, False)):
        return [COLOURS[thing.colour or ""].chinese for thing in things]
    return phrases(things, pick, of)


def _chained(things: Sequence[Thing], pick: Pick, of: str) -> str:
    """ "一块红色的积木在一块绿色的积木上面，绿色的积木在一块蓝色的积木上面"."""
    how = pick(("在{}上面", "放在{}上", "叠在{}上"))
    uppers = [phrase(thing, pick, of, brief=True, measured=i == 0) for i, thing in enumerate(things[:-1])]
    return "，".join(
        upper + how.format(phrase(lower, pick, of, brief=True)) for upper, lower in zip(uppers, things[1:])
    )


def _placed(things: Sequence[Thing], pick: Pick, of: str) -> str:
    return "，".join(place + name for place, name in zip(_PLACES[len(things)], _names(things, pick, of)))


def _styled(scene: Scene, pick: Pick, of: str) -> str:
    """ "一只猫的素描", "夜晚的一只猫"."""
    return pick(STYLES[scene.style or ""].words.chinese).format(phrase(scene.things[0], pick, of))


def say(scene: Scene, templates: Sequence[str], pick: Pick) -> str:
    """The scene in one of the templates, with ``pick`` for every choice on the way: without a full stop."""
    things, first, last = scene.things, scene.things[0], scene.things[-1]
    of = pick(("的", ""))
    brief = len(things) > 1
    name = Thing(first.kind, half=first.half, baby=first.baby)

    def said(thing: Thing, **how: Any) -> Callable[[], str]:
        return lambda: phrase(thing, pick, of, brief=brief, **how)

    slots = Slots(
        a=said(first),
        b=said(last),
        c=lambda: phrase(last, pick, of, brief=brief, measured=pick((True, False))),
        w=said(first, bare=True),
        x=said(first, bare=True, measured=False),
        g=lambda: predicate(first, pick, of),
        s=lambda: phrase(name, pick, of, brief=True),
        m=said(first, number=NUMBERS[scene.count]),
        ms=said(first, measured=False),
        few=said(first, number="几"),
        l=lambda: listed(_names(things, pick, of) if scene.family == "stack" else phrases(things, pick, of)),
        r=lambda: listed(_names(things[::-1], pick, of)),
        k=lambda: NUMBERS[len(things)] + noun(first.kind).measure + noun(first.kind).chinese,
        chain=lambda: _chained(things, pick, of),
        places=lambda: _placed(things, pick, of),
        sit=lambda: pick(("坐", "站")) if first.kind in _WHO else pick(("放", "摆")),
        p=lambda: chinese_forms.PANELS[scene.panel or ""],
        style=lambda: _styled(scene, pick, of),
    )
    line = pick(templates).format_map(slots)
    return line + _place(scene.background, pick) if scene.background else line


_CHINESE = Language("zh", forms_of, say)
wordings, captions, caption = _CHINESE.wordings, _CHINESE.captions, _CHINESE.caption
"""All paraphrases of a scene by set; all in one list, those kept last; one by a seed."""
