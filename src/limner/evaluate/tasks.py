"""The composition tasks and their prompts, in GenEval's JSON-lines form.

A task is a name and a question to a scene; its prompts are the first scenes of the dealt stream that answer yes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.config import from_table, to_table
from limner.errors import FileError, InputError, RecipeError
from limner.files import explain, write_atomically
from limner.storybook.deal import deal
from limner.storybook.scene import ANIMALS, COLOURS, RELATIONS, THINGS, Scene, Thing

LANGUAGES = ("en", "zh")
SEARCHED = 500
"""So many scenes are dealt for each prompt wanted before a task is given up."""


@dataclass(frozen=True, slots=True)
class Task:
    """``wanted`` says whether a scene of ``families`` belongs to the task."""

    name: str
    families: tuple[str, ...]
    wanted: Callable[[Scene], bool]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A caption, the scene it says, and where both come from; ``seed`` is that of the scene's drawn picture."""

    task: str
    scene: Scene
    caption: str
    language: str
    split: str
    seed: int


def _colours(scene: Scene) -> list[str]:
    return [thing.colour for thing in scene.things if thing.colour]


def _dressed(count: int) -> Callable[[Scene], bool]:
    return lambda scene: sum(len(thing.garments) for thing in scene.things) == count


def _plain(scene: Scene) -> bool:
    return not scene.things[0].size and not scene.things[0].garments


TASKS = (
    Task("single", ("single",), lambda s: _plain(s) and not _colours(s)),
    Task("colours", ("single",), lambda s: _plain(s) and bool(_colours(s))),
    Task("size", ("single",), lambda s: bool(s.things[0].size)),
    Task("counting", ("counting",), lambda s: s.count > 1),
    Task("two", ("two",), lambda s: True),
    Task("binding", ("two",), lambda s: len(set(_colours(s))) == 2),
    Task("position", ("relation",), lambda s: len(_colours(s)) == 2),
    Task("garments 1", ("garments",), _dressed(1)),
    Task("garments 2", ("garments",), _dressed(2)),
    Task("garments 3", ("garments",), _dressed(3)),
    Task("garments 4", ("garments",), _dressed(4)),
)
"""GenEval's six and the launch article's: "binding" is GenEval's color_attr, "position" has two coloured things."""


def choose_tasks(names: Sequence[str] | None) -> tuple[Task, ...]:
    """The tasks called ``names`` (None: all). Raises InputError for an unknown name."""
    if not names:
        return TASKS
    known = {task.name: task for task in TASKS}
    for name in names:
        if name not in known:
            raise InputError(f"task: expected one of {', '.join(known)}, got {name!r}")
    return tuple(known[name] for name in names)


def prompts_of(
    task: Task,
    count: int,
    *,
    split: str,
    seed: int,
    languages: Sequence[str] = LANGUAGES,
    wording: str = "seen",
) -> list[Prompt]:
    """The first ``count`` prompts of ``task`` in the stream of ``split`` and ``seed``; languages take turns.

    A task that has no scene in a split (single things are never held out) gives an empty list.
    """
    if split == "heldout" and task.families == ("single",):
        return []
    found: list[Prompt] = []
    for index in range(SEARCHED * count):
        language = languages[len(found) % len(languages)]
        dealt = deal(index, seed=seed, split=split, families=task.families, languages=(language,), wording=wording)
        if task.wanted(dealt.scene):
            found.append(Prompt(task.name, dealt.scene, dealt.caption, language, split, dealt.draw_seed))
            if len(found) == count:
                break
        elif index > SEARCHED and not found:
            break
    return found


def all_prompts(
    tasks: Sequence[Task],
    count: int,
    *,
    split: str,
    seed: int,
    languages: Sequence[str] = LANGUAGES,
    wording: str = "seen",
) -> list[Prompt]:
    """``count`` prompts of each task, in the order of the tasks."""
    kinds = {"split": split, "seed": seed, "languages": languages, "wording": wording}
    return [prompt for task in tasks for prompt in prompts_of(task, count, **kinds)]  # type: ignore[arg-type]


def to_line(prompt: Prompt) -> dict[str, Any]:
    """The prompt as one GenEval record; what GenEval cannot say stands under the key ``limner``."""
    scene = prompt.scene
    things = [{"class": t.kind, "count": scene.count} | ({"color": t.colour} if t.colour else {}) for t in scene.things]
    if scene.relation:
        # GenEval's relation points to an earlier entry: the thing related to comes first.
        things = [things[1], things[0] | {"position": [scene.relation, 0]}]
    line: dict[str, Any] = {"tag": prompt.task, "include": things, "prompt": prompt.caption}
    if scene.count > 1:
        line["exclude"] = [{"class": scene.things[0].kind, "count": scene.count + 1}]
    facts = {"language": prompt.language, "split": prompt.split, "seed": prompt.seed, "scene": to_table(scene)}
    return line | {"limner": facts}


def from_line(line: dict[str, Any]) -> Prompt:
    """A GenEval record as a prompt. Raises InputError where it asks for what the judge's world does not have."""
    try:
        tag, include, caption = str(line["tag"]), list(line["include"]), str(line["prompt"])
        facts = dict(line.get("limner", {}))
        scene = from_table(Scene, facts["scene"], "scene") if "scene" in facts else _scene(tag, include)
    except (KeyError, TypeError, ValueError, RecipeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"prompt line: expected GenEval's keys tag, include and prompt, got {str(line)[:120]}"
        ) from error
    language, split, seed = facts.get("language", "en"), facts.get("split", "read"), int(facts.get("seed", 0))
    return Prompt(tag, scene, caption, str(language), str(split), seed)


def write_prompts(prompts: Iterable[Prompt], path: Path | str) -> None:
    """One GenEval record a line. Raises FileError."""
    write_atomically(path, "".join(json.dumps(to_line(p), ensure_ascii=False) + "\n" for p in prompts))


def read_prompts(path: Path | str) -> list[Prompt]:
    """Prompts from GenEval's JSON lines (its own or ours). Raises FileError, InputError (the line is named)."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(explain(error, path)) from error
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected JSON lines in UTF-8, got other bytes") from None
    prompts = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                prompts.append(from_line(json.loads(line)))
            except (json.JSONDecodeError, InputError) as error:
                raise InputError(f"{path}, line {number}: {error}") from None
    if not prompts:
        raise InputError(f"{path}: expected GenEval prompts, one JSON object a line, got none")
    return prompts


def _scene(tag: str, include: list[dict[str, Any]]) -> Scene:
    things, relation, count = [], None, 1
    for at, entry in enumerate(include):
        kind, colour = str(entry["class"]), entry.get("color")
        if kind not in THINGS + ANIMALS or (colour is not None and colour not in COLOURS):
            asked = f"{colour} {kind}" if colour else kind
            raise InputError(
                f"the judge knows the storybook's world alone ({', '.join(THINGS + ANIMALS)}), not {asked!r}"
            )
        things.append(Thing(kind, colour))
        count = max(count, int(entry.get("count", 1)))
        if entry.get("position"):
            relation = str(entry["position"][0])
            if (at, int(entry["position"][1])) != (1, 0) or relation not in RELATIONS:
                raise InputError(f"position: expected the second thing {' / '.join(RELATIONS)} the first, got {entry}")
    if not 1 <= len(things) <= 2 or (len(things) == 2 and count > 1):
        raise InputError(f"include: expected one kind of thing, or two single things, got {include}")
    family = "relation" if relation else "two" if len(things) == 2 else "counting" if count > 1 else "single"
    return Scene(family, tuple(things[::-1] if relation else things), relation, count)
