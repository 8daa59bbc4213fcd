"""What the drawing commands share: their options, names of files, saving and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, emit
from limner.errors import InputError

if TYPE_CHECKING:
    from limner.painter import Drawn

# typer on Python 3.11 reads Optional, not X | None, inside Annotated.
Temperature = Annotated[Optional[float], typer.Option(help="0 is the likeliest token, 1 the model's own chances.")]  # noqa: UP045
TopK = Annotated[Optional[int], typer.Option(help="Draw from the k likeliest image tokens only.")]  # noqa: UP045
TopP = Annotated[Optional[float], typer.Option(help="Draw from the fewest tokens that hold this probability.")]  # noqa: UP045
Guidance = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(help="1 is none; more follows the caption closer, at twice the work."),
]
Candidates = Annotated[Optional[int], typer.Option(help="Pictures drawn, of which the best are kept.")]  # noqa: UP045
Rank = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="clip (if not given), likelihood, or weights of both: clip=1,likelihood=0.1."),
]
Cut = Annotated[bool, typer.Option("--cut", help="Shorten a caption that is too long, instead of refusing it.")]
Engine = Annotated[str, typer.Option(help="What runs the token step: torch, openvino, onnxruntime, or auto.")]
Precision = Annotated[str, typer.Option(help="Of the token step: float32, bf16, int8, or auto.")]
Particles = Annotated[int, typer.Option(help="More come nearer to what kept parts demand; 1 only forces them.")]
Sweeps = Annotated[int, typer.Option(help="Metropolis-Hastings sweeps after the particles.")]
Fit = Annotated[bool, typer.Option("--fit", help="Crop and resize the picture to the model's resolution first.")]
MaybeModel = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--model", "-m", help=f"A shipped name, a model folder or a hub id; {DEFAULT_MODEL} if not given."),
]
DrawnOut = Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")]


def parse_rank(text: str | None) -> str | dict[str, float] | None:
    """``clip``, or ``clip=1,likelihood=0.1`` as weights; None stays. Raises InputError."""
    if text is None:
        return None
    if "=" not in text:
        return text.strip()
    weights = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"rank: expected NAME=NUMBER, got {part.strip()!r}") from None
    return weights


def sampling(
    temperature: float | None, top_k: int | None, top_p: float | None, guidance: float | None
) -> dict[str, Any]:  # fmt: skip
    """The four as keyword arguments of the painter."""
    return {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance}


def file_name(caption: str, seed: int, index: int, before: str = "") -> str:
    """``a-red-cube-7-12.png``: the caption's letters and digits, seed and index."""
    letters = "".join(letter if letter.isalnum() else " " for letter in caption.lower())
    slug = "-".join(letters.split())[:40].strip("-") or "picture"
    # File names are counted in bytes, and other scripts take several for a letter.
    slug = slug.encode()[:100].decode(errors="ignore")
    return f"{before}{slug}-{seed}-{index}.png"


def free_path(folder: Path, name: str, content_of: Any) -> Path:
    """``folder / name``, or with -2, -3 … where another picture has that name already."""
    path, number = folder / name, 1
    while path.exists() and not _same(path, content_of):
        number += 1
        path = folder / f"{Path(name).stem}-{number}.png"
    return path


def _same(path: Path, drawn: Drawn) -> bool:
    from limner.errors import PictureError
    from limner.pictures.png import read_facts

    try:
        facts = read_facts(path)
    except PictureError:
        return False
    return {key: value for key, value in facts.items() if key not in ("score", "limner")} == {
        key: value for key, value in drawn.facts.items() if key != "score"
    }


def save_all(drawn: Sequence[Drawn], folder: Path, *, before: str = "") -> list[dict[str, Any]]:
    """Save the pictures in ``folder`` and give their rows of the answer."""
    from limner.files import make_folder

    make_folder(folder)
    rows = []
    for one in drawn:
        path = free_path(folder, file_name(one.caption, one.seed, one.index, before), one)
        one.save(path)
        rows.append(row_of(path, one.facts))
    return rows


def save_and_answer(draw: Callable[[Callable[[list[Drawn]], None]], list[Drawn]], out: Path, as_json: bool) -> None:
    """Save what ``draw`` gives and print the answer; interrupted, the best that it has told until then."""
    best: list[Drawn] = []

    def keep(so_far: list[Drawn]) -> None:
        best[:] = so_far

    try:
        keep(draw(keep))
    except KeyboardInterrupt:
        answer(save_all(best, out) if best else [], as_json)
        raise
    answer(save_all(best, out), as_json)


def row_of(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """One picture of the answer."""
    return {"path": str(path)} | {key: facts.get(key) for key in ("caption", "score", "seed", "index")}


def answer(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print the pictures: one JSON object, or a line for each."""
    lines = [f"{row['path']}" + (f"  {row['score']:.4f}" if row["score"] is not None else "") for row in rows]
    emit({"pictures": list(rows)}, as_json, lines)
