"""``limner evaluate zeroshot``, and the same figure before and after fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Quiet, Threads, emit, table

if TYPE_CHECKING:
    from limner.data.pair import Source
    from limner.training.recipe import Recipe


def zeroshot(
    data: Annotated[
        str,
        typer.Argument(help="Pictures with their classes: a folder for each class, or captions as --data names them."),
    ],
    model: Model = DEFAULT_MODEL,
    pictures: Annotated[int, typer.Option(min=1, help="How many pictures at most.")] = 1000,
    classes: Annotated[
        Optional[int],  # noqa: UP045 - typer on Python 3.11
        typer.Option(min=2, help="How many classes at most; all if not given."),
    ] = None,
    templates: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--templates", help="A set of sentences around each class, or one sentence with {}."),
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only what training on the same data does not see.")
    ] = False,
    caption_key: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--caption-key", help="Of shards: the entry of a sample's JSON that is its class."),
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="float32, bf16, int8 or auto.")] = "float32",
    threads: Threads = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a CLIP tell pictures apart by naming their classes: top-1 and top-5 accuracy with intervals."""
    from limner.device import set_threads
    from limner.evaluate.zeroshot import evaluate_zeroshot, labelled
    from limner.looker import load_looker
    from limner.looking.templates import choose_templates

    choose_templates(templates)
    source = labelled(data, held_out=held_out, caption_keys=caption_key or ())
    set_threads(threads)
    looker = load_looker(model, device=device, precision=precision)  # type: ignore[arg-type]
    answer = evaluate_zeroshot(
        looker, source, pictures=pictures, classes=classes, templates=templates, quiet=quiet or json
    )
    emit({"model": model, "data": data, **answer}, json, table([HEADING, *rows("", answer)]))


HEADING = ("", "ACCURACY", "95 % INTERVAL", "NUMBER")


def rows(name: str, answer: dict[str, Any]) -> list[tuple[object, ...]]:
    """The lines of a table for one answer."""
    lines: list[tuple[object, ...]] = []
    for key, what in (("top1", "top 1"), ("top5", "top 5")):
        one = answer[key]
        low, high = one["interval"]
        among = f"{name}{what} among {answer['classes']}"
        lines.append((among, f"{one['accuracy']:.1%}", f"{low:.1%} … {high:.1%}", one["count"]))
    return lines


def before_and_after(source: Source, init: str | None, run: Path, quiet: bool) -> dict[str, Any]:
    """Zero-shot figures of ``source`` by the model ``init`` and by the ``run``'s, written to ``RUN/zeroshot.json``."""
    import json

    from limner.evaluate.zeroshot import evaluate_zeroshot
    from limner.files import write_atomically
    from limner.looker import load_looker
    from limner.models.names import part_folder

    models = {"before": part_folder(init, "clip")} if init else {}
    models["after"] = run / "model"
    found = {
        name: evaluate_zeroshot(load_looker(folder, device="cpu"), source, quiet=quiet)
        for name, folder in models.items()
    }
    write_atomically(
        run / "zeroshot.json", json.dumps({"data": source.name, **found}, indent=2, ensure_ascii=False) + "\n"
    )
    return found


def zeroshot_source(data: str, recipe: Recipe) -> Source:
    """The pictures of ``data`` for a figure before and after ``recipe``; opened before training, so that what is wrong
    with them is told then. Where training reads the same data, only what it does not see is taken.
    """
    from limner.evaluate.zeroshot import labelled

    keys = recipe.data.get("caption_keys", ())
    return labelled(data, held_out=data == recipe.data.get("source"), caption_keys=keys)
