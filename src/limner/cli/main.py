"""``limner``: the table of commands, and the one place where errors become lines and exit codes.

A command's module is imported when it is called, not before, so that ``--help`` stays quick; no command module imports
torch at its top.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

import limner
from limner.cli.common import settings
from limner.errors import LimnerError


class Entry(NamedTuple):
    """One command: the function behind it and its line in ``limner --help``."""

    place: str
    about: str


COMMANDS: dict[str, Entry | dict[str, Entry]] = {
    "generate": Entry("generate:generate", "Draw pictures for captions, ranked by CLIP."),
    "edit": Entry("edit:edit", "Redraw a region of a picture."),
    "complete": Entry("complete:complete", "Finish a picture from its upper rows."),
    "variations": Entry("variations:variations", "Draw variations of a picture."),
    "classify": Entry("classify:classify", "Tell which of some labels a picture shows."),
    "search": Entry("search:search", "Find pictures of a folder by a sentence."),
    "embed": Entry("embed:embed", "Pictures or texts as CLIP's vectors."),
    "train": Entry("train:train", "Train a dVAE, a DALL·E or a CLIP."),
    "evaluate": {
        "composition": Entry("evaluate:composition", "A painter before the judge (--calibrate: the judge)."),
        "captions": Entry("evaluate:captions", "A CLIP before the storybook's captions and near misses."),
        "zeroshot": Entry("zeroshot:zeroshot", "A CLIP before pictures whose classes are named."),
        "compare": Entry("evaluate:compare", "Two composition reports side by side."),
    },
    "import": Entry("import_:import_", "Make a model folder of somebody else's checkpoint."),
    "export": Entry("export:export", "Make a model folder of a training run."),
    "models": {
        "list": Entry("models:list_models", "Models on this machine."),
        "show": Entry("models:show", "A model's sizes, origin, licence and card."),
        "pull": Entry("models:pull", "Fetch a model from the hub (the only command that uses the network)."),
        "rm": Entry("models:rm", "Remove a model that was fetched from the hub."),
    },
    "data": {
        "check": Entry("data:check", "Count a data set's pairs and name what is broken."),
        "dedupe": Entry("data:dedupe", "Find near-duplicates, and write a data set without them."),
        "tokenize": Entry("tokenize:tokenize", "Compute image tokens once and store them."),
    },
    "plan": Entry("plan:plan", "What a recipe needs: parameters, memory, operations."),
    "info": Entry("info:info", "What a picture, a model or a run says about itself."),
    "doctor": Entry("doctor:doctor", "Check this installation."),
    "serve": Entry("serve:serve", "Serve the models over HTTP."),
}

_GROUPS = {
    "evaluate": "Measure a model.",
    "models": "List, show, fetch and remove models.",
    "data": "Look after training data.",
}


class _Lazy(TyperGroup):
    """A group whose commands are imported at their first use."""

    entries: Mapping[str, Entry | dict[str, Entry]]
    path: str = ""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if isinstance(entry, dict):
            return _group(cmd_name, entry, _GROUPS[cmd_name])
        module, function = entry.place.split(":")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, help=None)(getattr(importlib.import_module(f"limner.cli.{module}"), function))
        command = typer.main.get_command(single)
        known = {parameter.name: parameter for parameter in command.params if parameter.name}
        command.context_settings["default_map"] = settings(f"{self.path} {cmd_name}".strip(), known)
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, self._about(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _about(self, name: str) -> str:
        entry = self.entries[name]
        return _GROUPS[name] if isinstance(entry, dict) else entry.about

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _line("interrupted")
            raise SystemExit(130) from None


def _group(name: str, entries: Mapping[str, Entry | dict[str, Entry]], about: str, top: bool = False) -> _Lazy:
    app = typer.Typer(
        cls=_Lazy,
        help=about,
        add_completion=top,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_top_options if top else _no_options)
    group = typer.main.get_command(app)
    assert isinstance(group, _Lazy)
    group.entries, group.path = entries, "" if top else name
    return group


def _no_options() -> None:
    return


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"limner {limner.__version__}")
        raise typer.Exit


def _top_options(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_print_version, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="On an error, show where it happened (at any place)."),
) -> None:
    return


ABOUT = "limner draws what a caption says and tells what a picture shows: DALL·E and CLIP."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``limner`` with ``arguments`` (default: the process's) and return its exit code.

    0 done, 1 one clear line on stderr, 2 wrong usage, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    _quieten(debug)
    try:
        _group("limner", COMMANDS, ABOUT, top=True)(words, prog_name="limner")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except Exception as error:
        if debug:
            raise
        return _explain(error)
    return 0


def _quieten(debug: bool) -> None:
    """Keep stderr for our own lines, and let no letter of a caption break a terminal that cannot show it."""
    import warnings

    if not debug:
        warnings.filterwarnings("ignore")
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _explain(error: Exception) -> int:
    """Print the one line that belongs to ``error``; returns the exit code."""
    if isinstance(error, LimnerError):
        _line(str(error))
        return error.exit_code
    if isinstance(error, MemoryError) or _out_of_memory(error):
        _line("out of memory; draw fewer candidates at once, take a smaller batch or model, or use --device cpu")
    elif isinstance(error, OSError):
        from limner.files import explain

        _line(explain(error, error.filename or "file"))
    else:
        _line(f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}; --debug shows where")
    return 1


def _out_of_memory(error: Exception) -> bool:
    # By name and text: torch must not be imported for the sake of an error of another kind.
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _line(text: str) -> None:
    print(f"limner: {text}", file=sys.stderr, flush=True)
