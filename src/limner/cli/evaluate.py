"""``limner evaluate composition | captions | compare``: measure a painter, a CLIP, or one report against another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Quiet, Seed, Threads, emit, say, table
from limner.cli.drawing import Engine, Precision

MaybeModel = Annotated[
    Optional[str],  # noqa: UP045 - typer on Python 3.11
    typer.Option(
        "--model", "-m", help=f"A painter: shipped name, model folder or hub id; {DEFAULT_MODEL} if not given."
    ),
]
MaybeOut = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--out", "-o", help="Folder for report.json and report.html (calibration.json with --calibrate)."),
]

Number = Annotated[Optional[float], typer.Option(help="As for limner generate; the model's own if not given.")]  # noqa: UP045
Whole = Annotated[Optional[int], typer.Option(help="As for limner generate; the model's own if not given.")]  # noqa: UP045


def composition(
    model: MaybeModel = None,
    prompts_per_task: Annotated[int, typer.Option(help="Prompts of each task, in each part.")] = 20,
    count: Annotated[int, typer.Option(help="Pictures kept of each prompt, the best by CLIP.")] = 1,
    candidates: Annotated[int, typer.Option(help="Pictures drawn for each prompt.")] = 16,
    seed: Seed = 0,
    guidance: Number = None,
    temperature: Number = None,
    top_k: Whole = None,
    top_p: Number = None,
    tasks: Annotated[str, typer.Option(help="Some tasks, with commas between; all if empty.")] = "",
    parts: Annotated[str, typer.Option(help="Some of seen, heldout, wording.")] = "seen,heldout,wording",
    languages: Annotated[str, typer.Option(help="Some of en, zh; they take turns.")] = "en,zh",
    prompts: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--prompts", help="Evaluate the prompts in this file (GenEval's JSON lines) and no others."),
    ] = None,
    write_prompts: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--write-prompts", help="Only write the prompts, as GenEval's JSON lines, to this file."),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Judge the judge, with --model's dVAE where given.")
    ] = False,
    scenes: Annotated[int, typer.Option(help="Drawn scenes of each family for --calibrate.")] = 300,
    out: MaybeOut = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a painter draw the storybook's tasks, judge the pictures, and report accuracies with 95 % intervals."""
    from limner.evaluate.run import Settings
    from limner.evaluate.tasks import choose_tasks
    from limner.evaluate.tasks import write_prompts as write

    chosen = choose_tasks(_words(tasks))
    settings = Settings(prompts_per_task, count, candidates, seed, _words(parts), _words(languages))
    given = {"guidance": guidance, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    sampling = {name: value for name, value in given.items() if value is not None}
    if write_prompts is not None:
        from limner.evaluate.run import part_prompts

        asked = [prompt for part in settings.parts for prompt in part_prompts(chosen, part, settings)]
        write(asked, write_prompts)
        emit({"path": str(write_prompts), "prompts": len(asked)}, json, [f"{len(asked)} prompts in {write_prompts}"])
        return
    from limner.device import set_threads

    set_threads(threads)
    if calibrate:
        _calibrate(model, scenes, seed, out, json, quiet)
        return
    from limner.evaluate.report import write_report
    from limner.evaluate.run import evaluate_composition
    from limner.evaluate.tasks import read_prompts
    from limner.painter import load_painter
    from limner.storybook.judge import Judge

    read = None if prompts is None else read_prompts(prompts)
    judge = Judge.load()
    name = model or DEFAULT_MODEL
    say(f"loading {name} …")
    painter: Any = load_painter(name, device=device, engine=engine, precision=precision)
    report, outcomes = evaluate_composition(
        painter,
        judge,
        chosen,
        settings,
        model=name,
        prompts=read,
        sampling=sampling,
        step={"engine": painter.studio.engine, "precision": painter.studio.precision},
        reconstruct=_reconstruct(name),
        quiet=quiet,
    )
    if out is not None:
        paths = write_report(report, outcomes, out)
        say(f"report in {paths[1]}")
    emit(report, json, _composition_lines(report))


def captions(
    model: Model = DEFAULT_MODEL,
    pictures: Annotated[int, typer.Option(help="Drawn pictures for each language.")] = 1024,
    among: Annotated[int, typer.Option(help="Captions that each picture chooses from, its own among them.")] = 64,
    split: Annotated[str, typer.Option(help="test (seen combinations) or heldout.")] = "test",
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a CLIP find drawn pictures' captions among others, and tell them from near misses."""
    from limner.device import set_threads
    from limner.errors import InputError
    from limner.evaluate.captions import evaluate_captions
    from limner.looker import load_looker

    if split not in ("test", "heldout"):
        raise InputError(f"split: expected test or heldout, got {split!r}")
    set_threads(threads)
    looker: Any = load_looker(model, device=device)
    answer = evaluate_captions(looker, pictures=pictures, among=among, seed=seed, split=split, quiet=quiet)
    rows: list[tuple[object, ...]] = [(f"AMONG {among}", "ACCURACY", "95 % INTERVAL", "NUMBER")]
    for language, ways in answer["languages"].items():
        rows += [
            (f"{language}: {way} found", *_cells(t["accuracy"], t["interval"], t["count"])) for way, t in ways.items()
        ]
    hard = answer["hard_negatives"]
    rows += [("near misses: pairs", *_cells(*_three(hard["pairs"])))]
    rows += [("near misses: all of a scene", *_cells(*_three(hard["all_of_a_scene"])))]
    rows += [(f"  {name}", *_cells(*_three(t))) for name, t in hard["changes"].items()]
    emit({"model": model, **answer}, json, table(rows))


def compare(
    a: Annotated[Path, typer.Argument(help="A report.json, or the folder that holds it.")],
    b: Annotated[Path, typer.Argument(help="Another one.")],
    json: Json = False,
) -> None:
    """Show two composition reports side by side; differences that 95 % intervals cannot explain are marked with *."""
    from limner.evaluate.compare import compare as compare_reports
    from limner.evaluate.compare import read_report

    answer = compare_reports(read_report(a), read_report(b))
    rows: list[tuple[object, ...]] = [("", "A", "B", "B - A", "95 % INTERVAL")]
    for name, row in answer["rows"].items():
        low, high = row["interval"]
        mark = " *" if row["clear"] else ""
        rows.append((name, _share(row["a"]), _share(row["b"]), _share(row["difference"]) + mark, _range(low, high)))
    lines = table(rows) + ["", f"A: {answer['a']}", f"B: {answer['b']}"]
    lines += [f"{key} differs: {one} / {two}" for key, (one, two) in answer["settings_that_differ"].items()]
    emit(answer, json, lines)


def _calibrate(model: str | None, scenes: int, seed: int, out: Path | None, json: bool, quiet: bool) -> None:
    from limner.errors import InputError
    from limner.evaluate.calibrate import calibrate
    from limner.storybook.judge import Judge

    if scenes < 2:
        raise InputError(f"scenes: expected 2 or more of each family, got {scenes}")
    judge, way, untrained = Judge.load(), _reconstruct(model) if model else None, None
    if model:
        from limner.evaluate.ceiling import load_dvae, of_random_codes

        untrained = of_random_codes(load_dvae(model), 1000, seed)
    answer = calibrate(judge, scenes=scenes, seed=seed, reconstruct=way, untrained=untrained, quiet=quiet)
    answer = {"model": model, **answer}
    if out is not None:
        import json as text

        from limner.files import make_folder, write_atomically

        write_atomically(make_folder(out) / "calibration.json", text.dumps(answer, ensure_ascii=False, indent=1) + "\n")
    emit(answer, json, _calibration_lines(answer))


def _reconstruct(model: str) -> Any:
    """The way through the model's dVAE and back."""
    from functools import partial

    from limner.evaluate.ceiling import load_dvae, reconstruct

    return partial(reconstruct, load_dvae(model))


def _composition_lines(report: dict[str, Any]) -> list[str]:
    most = str(report["settings"]["candidates"])
    rows: list[tuple[object, ...]] = [
        ("TASK", "ACCURACY", "95 % INTERVAL", "SINGLE DRAW", f"ORACLE OF {most}", "PICTURES")
    ]
    for name, t in report["tasks"].items():
        oracle = _share(list(t["best_of"]["oracle"].values())[-1])
        rows.append(
            (name, _share(t["accuracy"]), _range(*t["interval"]), _share(t["single_draw"]), oracle, t["pictures"])
        )
    rows.append(("overall", _share(report["overall"]), _range(*report["overall_interval"]), "", "", ""))
    lines = [*table(rows), ""]
    parts = [(f"part {n}", _share(t["overall"]), _range(*t["overall_interval"])) for n, t in report["parts"].items()]
    said = [
        (f"language {n}", _share(t["overall"]), _range(*t["overall_interval"])) for n, t in report["languages"].items()
    ]
    checks = [(f"control {n}", _share(t["accuracy"]), _range(*t["interval"])) for n, t in report["controls"].items()]
    return lines + table([*parts, *said, *checks])


def _calibration_lines(answer: dict[str, Any]) -> list[str]:
    rows: list[tuple[object, ...]] = [("DRAWN SCENES", "ACCEPTED", "95 % INTERVAL", "NUMBER")]
    rows += [("right captions", *_cells(*_shares(answer["right_accepted"])))]
    rows += [(f"  {name}", *_cells(*_shares(t["right"]))) for name, t in answer["families"].items()]
    rows += [("wrong captions (near misses)", *_cells(*_shares(answer["wrong_accepted"])))]
    rows += [(f"  {name}", *_cells(*_shares(t))) for name, t in answer["near_misses"].items()]
    rows += [(f"{n}, {t['psnr']:.1f} dB", *_cells(*_shares(t["accepted"]))) for n, t in answer["changed"].items()]
    rows += [(f"fault: {name}", *_cells(*_shares(t))) for name, t in answer["faults"].items()]
    rows += [(f"control: {name}", *_cells(*_shares(t))) for name, t in answer["controls"].items()]
    return [*table(rows), f"{answer['pictures_per_second']:.0f} pictures judged in a second"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _three(one: dict[str, Any]) -> tuple[float, list[float], int]:
    return one["accuracy"], one["interval"], one["count"]


def _shares(one: dict[str, Any]) -> tuple[float, list[float], int]:
    return one["share"], one["interval"], one["count"]


def _cells(share: float, interval: list[float], count: int) -> tuple[str, str, int]:
    return _share(share), _range(*interval), count


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} - {100 * high:.1f}"
