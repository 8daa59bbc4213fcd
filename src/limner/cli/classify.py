"""``limner classify``: which of some labels a picture shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Quiet, Threads, emit

if TYPE_CHECKING:
    from limner.looker import Answer, Looker
    from limner.looking.embed import Reading
    from limner.looking.heads import Head

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE…", help="Pictures, folders, patterns such as '*.jpg', or - for a list on stdin."),
]
Precision = Annotated[str, typer.Option("--precision", help="float32, bf16, int8, or auto: what the chip does best.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 1 if a picture could not be read.")]
Exif = Annotated[bool, typer.Option("--exif", help="Turn pictures upright as their EXIF says (CLIP's owners do not).")]
Fast = Annotated[bool, typer.Option("--fast", help="Decode large JPEGs smaller: faster, not bit-exact.")]


def classify(
    files: Files,
    labels: Annotated[str, typer.Option("--labels", "-l", help="Labels with commas between: 'a cat,a dog'.")] = "",
    labels_file: Annotated[
        Optional[Path],  # noqa: UP045 - typer on Python 3.11
        typer.Option("--labels-file", help="One label a line, or JSON: a list, or label to list of names."),
    ] = None,
    templates: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--templates", help="A set of sentences around each label: imagenet, simple, food101, …"),
    ] = None,
    template: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--template", help="Your own sentence with {} for the label; may be given several times."),
    ] = None,
    threshold: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--threshold", help="Judge each label by itself; list those with this probability (0 to 1)."),
    ] = None,
    top: Annotated[Optional[int], typer.Option("--top", min=1, help="List so many labels at most.")] = None,  # noqa: UP045
    none: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--none", help="Pictures that show none of the labels: learns when to answer so."),
    ] = None,
    none_rate: Annotated[float, typer.Option(help="Share of such pictures that may still get a label.")] = 0.05,
    cut: Annotated[bool, typer.Option("--cut", help="Cut labels that are too long.")] = False,
    save_head: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--save-head",
            help="Keep the labels' rows for --head (.safetensors and .json), or for other programs (FILE.npz).",
        ),
    ] = None,
    head: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option("--head", help="Kept rows instead of labels; several are averaged."),
    ] = None,
    model: Model = DEFAULT_MODEL,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: path,label,probability,score.")] = False,
    strict: Strict = False,
    exif: Exif = False,
    fast: Fast = False,
    precision: Precision = "float32",
    threads: Threads = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Tell which of the labels each picture shows, with a probability and a score (the cosine)."""
    if json and csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    if templates and template:
        raise typer.BadParameter("--templates and --template exclude each other")
    if head and (labels or labels_file):
        raise typer.BadParameter("--head and labels exclude each other")
    named = None if head else read_labels(labels, labels_file)
    from limner.device import set_threads
    from limner.looker import answers, load_looker
    from limner.looking.embed import Reading
    from limner.progress import progress

    paths = find(files)
    set_threads(threads)
    looker = load_looker(model, device=device, precision=precision)  # type: ignore[arg-type]
    reading = Reading(exif=exif, fast=fast, threads=threads)
    chosen = _head(looker, named, templates or template, cut, head, none, none_rate, reading)
    if save_head is not None:
        from limner.looking.heads import export_head
        from limner.looking.heads import save_head as save

        (export_head if save_head.suffix == ".npz" else save)(chosen, save_head)
    with progress("looking", len(paths), quiet=quiet) as bar:
        found = looker.look(paths, reading=reading, each=bar.advance)
    broken = [b.reason for b in found.broken]
    refuse_nothing(broken, len(paths))
    rows = answers(chosen, found.features, threshold=threshold, top=top)
    _print([str(paths[i]) for i in found.indices], rows, json, csv)
    tell_broken(broken, len(paths), strict)


def find(files: list[str]) -> list[Path]:
    """The pictures that the arguments name, ``-`` for a list on stdin. Raises PictureError, InputError."""
    import sys

    from limner.errors import InputError
    from limner.looking.read import find_pictures

    places: list[str] = []
    for file in files:
        places += [line.rstrip("\r\n") for line in sys.stdin if line.strip()] if file == "-" else [file]
    paths = find_pictures(places)
    if not paths:
        raise InputError(f"pictures: expected at least one, found none in {', '.join(files)}")
    return paths


def read_labels(text: str, file: Path | None) -> list[str] | dict[str, list[str]]:
    """Labels of ``--labels`` and ``--labels-file``, checked. Raises InputError before a model is loaded."""
    from limner.errors import InputError

    labels: list[str] | dict[str, list[str]] = [part.strip() for part in text.split(",")] if text.strip() else []
    if file is not None:
        import json

        try:
            content = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: expected a readable list of labels, got {error}") from None
        if file.suffix == ".json":
            try:
                listed: Any = json.loads(content)
            except ValueError as error:
                raise InputError(f"{file}: expected JSON, got something else ({error})") from None
            if isinstance(listed, dict) and not labels:
                labels = listed
            elif isinstance(listed, list):
                labels = [*labels, *listed]
            else:
                raise InputError(f"{file}: expected a list of labels, or a table without --labels, got something else")
        else:
            labels = [*labels, *(line.strip() for line in content.splitlines() if line.strip())]
    _check(labels)
    return labels


def _check(labels: list[str] | dict[str, list[str]]) -> None:
    from limner.errors import InputError

    if not labels:
        raise InputError("labels: expected at least one, got none; give --labels a,b or --labels-file FILE")
    seen: set[str] = set()
    for label in labels:
        if not isinstance(label, str) or not label.strip():
            raise InputError(f"labels: expected names, got {label!r}; leave it out")
        if label in seen:
            raise InputError(f"labels: expected each once, got {label!r} twice; leave one out")
        seen.add(label)


def tell_broken(reasons: list[str], of: int, strict: bool) -> None:
    """Say on stderr which pictures were skipped; with ``strict`` that is an error, said after the answer."""
    from limner.errors import PictureError

    if not reasons:
        return
    for reason in reasons[:10]:
        typer.echo(f"limner: skipped: {reason}", err=True)
    if len(reasons) > 10:
        typer.echo(f"limner: skipped: … and {len(reasons) - 10} more", err=True)
    line = f"{len(reasons)} of {of} pictures could not be read"
    if strict:
        raise PictureError(f"{line}; mend or leave them out")
    typer.echo(f"limner: {line} and were skipped", err=True)


def refuse_nothing(reasons: list[str], of: int) -> None:
    """Where no picture could be read there is no answer. Raises PictureError."""
    from limner.errors import PictureError

    if reasons and len(reasons) == of:
        more = f" (and {of - 1} more, none could be read)" if of > 1 else ""
        raise PictureError(f"{reasons[0]}{more}")


def _head(
    looker: Looker,
    labels: list[str] | dict[str, list[str]] | None,
    templates: str | list[str] | None,
    cut: bool,
    heads: list[Path] | None,
    none: list[str] | None,
    rate: float,
    reading: Reading,
) -> Head:
    from limner.looking.heads import average, calibrated, load_head

    if heads:
        chosen = (
            average([load_head(path, model=looker.fingerprint) for path in heads])
            if heads[1:]
            else load_head(heads[0], model=looker.fingerprint)
        )
    else:
        assert labels is not None
        chosen = looker.head(labels, templates, cut=cut)
    if not none:
        return chosen
    return calibrated(chosen, looker.look(find(none), reading=reading).features, rate=rate)


def _print(paths: list[str], rows: list[list[Answer]], as_json: bool, as_csv: bool) -> None:
    if as_csv:
        import csv
        import sys

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("path", "label", "probability", "score"))
        for path, row in zip(paths, rows, strict=True):
            writer.writerows((path, a.label, f"{a.probability:.6g}", f"{a.score:.6g}") for a in row)
        return
    pictures = [
        {
            "path": path,
            "labels": [{"label": a.label, "probability": a.probability, "score": a.score} for a in row],
        }
        for path, row in zip(paths, rows, strict=True)
    ]
    lines = []
    for path, row in zip(paths, rows, strict=True):
        told = ", ".join(f"{a.label} {100 * a.probability:.1f} %" for a in row[:5]) or "none of the labels"
        lines.append(f"{path}: {told}")
    emit({"pictures": pictures}, as_json, lines)
