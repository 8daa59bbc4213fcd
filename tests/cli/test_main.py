"""The table of commands, and errors as lines and exit codes."""

from __future__ import annotations

import errno
import importlib
import inspect
import json
from pathlib import Path

import pytest

from limner.cli import main as cli
from limner.cli.main import COMMANDS, Entry, main
from limner.cli.plan import cache_of_a_picture
from limner.errors import InputError, ModelError
from limner.training.recipe import load_recipe


def entries() -> dict[str, Entry]:
    """Every command by its full name."""
    found = {}
    for name, entry in COMMANDS.items():
        found |= {f"{name} {sub}": e for sub, e in entry.items()} if isinstance(entry, dict) else {name: entry}
    return found


@pytest.mark.parametrize("name", entries())
def test_every_command_exists_and_documents_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, function = entries()[name].place.split(":")
    command = getattr(importlib.import_module(f"limner.cli.{module}"), function)
    assert inspect.getdoc(command)
    assert main([*name.split(), "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Usage: limner {name}")
    assert printed.err == ""


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """``limner info`` replaced by a function that raises what it is given."""

    def install(error: BaseException) -> None:
        def info(what: str) -> None:
            raise error

        monkeypatch.setattr("limner.cli.info.info", info)

    return install


CASES = [
    (InputError("count: expected 1 or more,\n got 0"), 1, "limner: count: expected 1 or more, got 0"),
    (ModelError("no such model"), 1, "limner: no such model"),
    (OSError(errno.ENOSPC, "No space left on device", "out/a.png"), 1, "out/a.png: the disk is full"),
    (MemoryError(), 1, "out of memory"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), 1, "out of memory"),
    (ZeroDivisionError("two\nlines"), 1, "limner: ZeroDivisionError: two lines; --debug shows where"),
    (KeyboardInterrupt(), 130, "interrupted"),
]


@pytest.mark.parametrize(("error", "code", "line"), CASES, ids=[type(c[0]).__name__ for c in CASES])
def test_errors_are_one_line(failing, capsys, error, code, line) -> None:  # type: ignore[no-untyped-def]
    failing(error)
    assert main(["info", "x"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert line in printed.err
    assert printed.err.startswith("limner: ")
    assert printed.err.count("\n") == 1


def test_torchs_own_out_of_memory(failing, capsys) -> None:  # type: ignore[no-untyped-def]
    import torch

    failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert main(["info", "x"]) == 1
    assert "take a smaller batch" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--debug", "info", "x"], ["info", "x", "--debug"]])
def test_debug_lets_the_traceback_out(failing, arguments) -> None:  # type: ignore[no-untyped-def]
    failing(ModelError("no such model"))
    with pytest.raises(ModelError):
        main(arguments)


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["info"], ["info", "a", "b"], ["models", "bogus"], ["plan", "--nope"], []]
)
def test_wrong_usage_is_two(arguments, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(arguments) == 2
    assert capsys.readouterr().out == "" or not arguments


def test_plan_takes_settings(capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for width in (16, 32):
        assert main(["plan", "dvae_debug", "--json", "--set", f"model.hidden={width}"]) == 0
        counts.append(json.loads(capsys.readouterr().out)["parameters"])
    assert counts[1] > counts[0]
    assert main(["plan", "dvae_debug"]) == 0
    assert f"{counts[0]:,}" in capsys.readouterr().out


def test_plan_tells_a_drawn_pictures_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "dalle_debug", "--json"]) == 0
    config = load_recipe("dalle_debug").model
    assert json.loads(capsys.readouterr().out)["cache"] == cache_of_a_picture(config)
    cache = cache_of_a_picture(load_recipe("dalle_12b").model)
    assert cache["patterned"] == pytest.approx(0.29e9, rel=0.02)  # what row, column and conv layers still see
    assert cache["whole"] == pytest.approx(1.30e9, rel=0.01)


def test_plan_tells_what_each_device_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "clip_debug", "--gpus", "2", "--memory", "1GB", "--rate", "10"]) == 0
    told = capsys.readouterr().out
    assert "each of 2 devices, activations recomputed" in told
    assert "at 10 TFLOP/s a device" in told
    assert main(["plan", "clip_debug", "--memory", "lots"]) == 1
    assert "80GB" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import limner

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"limner {limner.__version__}\n"


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """``limner info`` replaced by a command with settings; returns what it was called with."""
    seen: dict[str, object] = {}

    def info(what: str = "nothing", count: int = 4, top_k: int = 0, model: str = "storybook") -> None:
        seen.update(what=what, count=count, top_k=top_k, model=model)

    monkeypatch.setattr("limner.cli.info.info", info)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_config_dir", lambda name: str(tmp_path / "home"))
    return seen


def test_flag_before_environment_before_file_before_default(echo, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "limner.toml").write_text('model = "users"\n[info]\ncount = 1\ntop-k = 1\n')
    assert main(["info"]) == 0
    assert (echo["model"], echo["count"], echo["top_k"]) == ("users", 1, 1)
    (tmp_path / "limner.toml").write_text('model = "near"\n[info]\ncount = 2\n[plan]\nnothing = 1\n')
    assert main(["info"]) == 0
    assert (echo["model"], echo["count"], echo["top_k"]) == ("near", 2, 1)
    monkeypatch.setenv("LIMNER_MODEL", "everywhere")
    monkeypatch.setenv("LIMNER_INFO_COUNT", "3")
    assert main(["info"]) == 0
    assert (echo["model"], echo["count"]) == ("everywhere", 3)
    assert main(["info", "--count", "5", "--model", "flag"]) == 0
    assert (echo["model"], echo["count"]) == ("flag", 5)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("[info]\ncuont = 2\n", 1, "no setting 'cuont'"),
        ("count = \n", 1, "expected settings as TOML"),
        ('count = "many"\n', 2, "Invalid value for '--count'"),
    ],
)
def test_wrong_settings_name_their_file_or_option(echo, tmp_path, capsys, text, code, line) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "limner.toml").write_text(text)
    assert main(["info"]) == code
    assert line in capsys.readouterr().err


def test_no_command_module_is_forgotten() -> None:
    for file in Path(cli.__file__).parent.glob("*.py"):
        functions = vars(importlib.import_module(f"limner.cli.{file.stem}"))
        if callable(functions.get(file.stem)) and file.stem != "main":
            assert file.stem in {entry.place.split(":")[0] for entry in entries().values()}
