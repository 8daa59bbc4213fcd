"""The house stays as docs/architecture.md draws it: floors, light imports, lengths, entry points, a true README."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "limner"

FLOORS = {
    0: {"errors", "shapes", "config", "device", "files", "libraries", "progress", "ranks"},
    1: {"storybook", "text", "pictures"},
    2: {"data", "models"},
    3: {"engines", "training", "sampling", "looking", "formats"},
    4: {"painter", "looker", "evaluate"},
    5: {"serve"},
    6: {"cli"},
    7: {"__main__"},
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
LONGEST = 450


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def module(path: Path) -> str:
    """``src/limner/text/bytepairs.py`` as ``limner.text.bytepairs``."""
    name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module(path): path for path in sources()}


@lru_cache
def imports(path: Path) -> frozenset[str]:
    """limner's modules that ``path`` imports anywhere, inside functions and for type checking too."""
    found = set()
    package = module(path) if path.name == "__init__.py" else module(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *filter(None, [base])])
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}
    return frozenset(name for name in found if name in MODULES)


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_every_room_stands_on_a_floor() -> None:
    assert {room(name) for name in MODULES} - {""} <= set(FLOOR)


def test_files_import_their_own_room_and_lower_floors_only() -> None:
    wrong = []
    for name in set(MODULES) - {"limner"}:  # the front door names the faces, for type checkers
        own = room(name)
        for other in map(room, imports(MODULES[name])):
            lower = other == "" or FLOOR[other] < FLOOR[own]
            ground = FLOOR.get(other) == FLOOR[own] == 0
            if not (other == own or lower or ground):
                wrong.append(f"{name} (floor {FLOOR[own]}) imports {other} (floor {FLOOR[other]})")
    assert wrong == []


def test_the_check_itself_sees_imports_wherever_they_stand(tmp_path: Path) -> None:
    file = SOURCE / "cli" / "info.py"
    assert {"limner.pictures.png", "limner.cli.common"} <= imports(file)  # inside a function, and at the top


def test_no_file_imports_itself_in_a_circle() -> None:
    seen: dict[str, bool] = {}  # True while on the path, False when done

    def walk(name: str, path: tuple[str, ...]) -> None:
        if seen.get(name) is False:
            return
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        for other in sorted(imports(MODULES[name])):
            if MODULES[other].name != "__init__.py" and not name.startswith(other + "."):
                walk(other, (*path, name))
        seen[name] = False

    for name in MODULES:
        walk(name, ())


def test_files_have_one_subject() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in [*sources(), *(ROOT / "tests").rglob("*.py")]
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def loaded_after(code: str) -> set[str]:
    """Names of all modules that are loaded after ``code`` in a fresh Python."""
    program = f"{code}\nimport sys; print(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(result.stdout.splitlines()[-1].split())


HEAVY = {"torch", "numpy", "rich", "skia", "tokenizers", "huggingface_hub", "PIL", "webdataset"}
HEAVY |= {"openvino", "onnx", "onnxruntime"}


def test_importing_limner_loads_nothing_heavy() -> None:
    assert not loaded_after("import limner") & HEAVY


def test_command_modules_load_nothing_heavy() -> None:
    names = sorted(name for name in MODULES if room(name) == "cli")
    assert len(names) > 8
    assert not loaded_after("import " + ", ".join(names)) & HEAVY


def test_entry_points_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for place in project["scripts"].values():
        name, function = place.split(":")
        assert callable(getattr(importlib.import_module(name), function))


def test_public_names_exist() -> None:
    import limner

    for name in limner.__all__:
        assert getattr(limner, name) is not None
    assert (SOURCE / "py.typed").is_file()


DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_paths_in_documents_exist(path: Path) -> None:
    """Paths from the root (`src/…`, `tests/…`), and names in a tree drawn under ``src/limner/``."""
    text = path.read_text(encoding="utf-8")
    tops = "src|tests|docs|benchmarks|examples"
    for found in re.findall(rf"(?<![\w/.-])(?:{tops})/[\w./-]*[\w/]", text):
        assert (ROOT / found).exists(), f"{path.name} names {found}"
    existing = [str(p.relative_to(ROOT)) + ("/" if p.is_dir() else "") for p in SOURCE.rglob("*")]
    for block in re.findall(r"```\w*\n(.*?)```", text, re.S):
        if not block.lstrip().startswith("src/limner/"):
            continue
        for name in re.findall(r"(?<![\w/])[\w/]+(?:\.py\b|/)", block.partition("\n")[2]):
            assert any(f"/{entry}".endswith(f"/{name}") for entry in existing), f"{path.name}'s tree names {name}"


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.name != "help.md"], ids=lambda p: p.name)
def test_commands_in_documents_exist(path: Path) -> None:
    """Every ``limner …`` in a code block has a command and flags that the CLI knows."""
    from limner.cli.main import COMMANDS

    for block in re.findall(r"```\w*\n(.*?)```", path.read_text(encoding="utf-8"), re.S):
        for line in re.findall(r"^\s*(?:\$ )?limner (.*)$", block.replace("\\\n", " "), re.M):
            words = re.sub(r"'[^']*'|\"[^\"]*\"", "TEXT", line.split("#")[0]).split()
            assert words[0] in COMMANDS or words[0].startswith("--"), f"{path.name}: limner {line}"
            entry = COMMANDS.get(words[0])
            command = words[:2] if isinstance(entry, dict) else words[:1]
            flags = {word.split("=")[0] for word in words if word.startswith("--")}
            assert flags <= known_flags(tuple(command)) | {"--debug", "--version"}, f"{path.name}: limner {line}"


@lru_cache
def known_flags(command: tuple[str, ...]) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-m", "limner", *command, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    return set(re.findall(r"--[a-z][\w-]*", result.stdout))
