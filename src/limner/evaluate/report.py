"""``report.json`` and one self-contained ``report.html``: figures with intervals, curves, pictures right and wrong."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from limner.evaluate.composition import Outcome, by_task
from limner.evaluate.plots import Point, bars, curves, percent, text
from limner.files import make_folder, write_atomically

EXAMPLES = 8
"""So many right and so many wrong pictures are shown for each task, side by side."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 66rem; padding: 0 1rem; }
body { color: #222; background: #fff; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .9rem .2rem 0; text-align: left; }
td.n, th.n { text-align: right; } .quiet { color: #666; } svg text { font: 12px system-ui, sans-serif; fill: #444; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 2rem; }
.row { display: flex; flex-wrap: wrap; gap: .8rem; } figure { margin: 0; width: 128px; }
figure img { width: 128px; height: 128px; border: 3px solid #c33; border-radius: 4px; }
figure.right img { border-color: #393; }
figcaption { font-size: 12px; line-height: 1.3; } figcaption em { color: #a22; font-style: normal; display: block; }
"""


def write_report(report: Mapping[str, Any], outcomes: Sequence[Outcome], folder: Path | str) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.html`` into ``folder``; returns both paths. Raises FileError."""
    folder = make_folder(folder)
    as_json = write_atomically(folder / "report.json", json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return as_json, write_atomically(folder / "report.html", as_page(report, outcomes))


def as_page(report: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """The report as one HTML page that needs no other file."""
    settings = report["settings"]
    low, high = report["overall_interval"]
    parts = [
        f"<h1>Composition: {text(report['model'])}</h1>",
        f"<p><b>Overall {percent(report['overall'])}</b> ({percent(low)} to {percent(high)}, 95 % bootstrap "
        f"interval over prompts): the tasks' mean. Kept {settings['count']} of {settings['candidates']} candidates "
        f"by CLIP, seed {settings['seed']}, limner {text(report['limner'])}. Verdicts by the storybook's judge, from "
        "pixels alone.</p>",
        f"<p><b>{text(report['note'])}.</b></p>" if report.get("note") else "",
        "<h2>Tasks</h2>",
        bars({name: (t["accuracy"], *t["interval"]) for name, t in report["tasks"].items()}),
        "<h2>Best of N</h2>",
        "<p class=quiet>Mean of the tasks; the best by CLIP, and by an oracle that knows the verdicts.</p>",
        curves(report["best_of"], "candidates"),
        *_more(report),
        "<h2>Parts</h2>",
        _parts_table(report["parts"]),
        "<h2>Languages</h2>",
        _rows_table(
            (name, t["overall"], t["overall_interval"], t["prompts"]) for name, t in report["languages"].items()
        ),
        *_wording(report.get("wording")),
        *_editing(report.get("editing")),
        "<h2>Controls</h2>",
        "<p class=quiet>Drawn scenes and the dVAE's reconstructions are ceilings; all others should be near 0.</p>",
        _rows_table((name, t["accuracy"], t["interval"], t["pictures"]) for name, t in report["controls"].items()),
        "<h2>Pictures</h2>",
        *(_examples(name, group) for name, group in by_task(outcomes).items()),
    ]
    title = f"Composition: {text(report['model'])}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _more(report: Mapping[str, Any]) -> list[str]:
    """Curves over how much is asked for, and over settings of the sampler."""
    page = []
    asked = {
        what: {number: _point(t, "accuracy") for number, t in numbers.items()}
        for what, numbers in report.get("amounts", {}).items()
    }
    if any(len(numbers) > 1 for numbers in asked.values()):
        page += ["<h2>More at once</h2>", curves(asked, "things or garments that the caption asks for")]
    for name, steps in report.get("sweeps", {}).items():
        lines = {
            "single draw": {f"{t['value']:g}": _point(t, "single_draw") for t in steps},
            f"best of {report['settings']['candidates']}": {f"{t['value']:g}": _point(t, "best") for t in steps},
        }
        page += [f"<h2>{text(name.capitalize())}</h2>", curves(lines, name)]
    return page


def _point(table: Mapping[str, Any], key: str) -> Point:
    low, high = table["interval" if key == "accuracy" else f"{key}_interval"]
    return table[key], low, high


def _wording(table: Mapping[str, Any] | None) -> list[str]:
    if table is None:
        return []
    spread = ", ".join(f"{text(language)} {percent(value)}" for language, value in table["spread"].items())
    rows = [(name, t["accuracy"], t["interval"], table["scenes"]) for name, t in table["groups"].items()]
    rows += [(name, t["difference"], t["interval"], table["scenes"]) for name, t in table["differences"].items()]
    return [
        "<h2>Wording</h2>",
        f"<p class=quiet>{table['scenes']} scenes in {table['sentences']} sentences, {table['draws']} single draws "
        f"each, with the same seeds. Best sentence less worst one, mean over scenes: {spread}.</p>",
        _rows_table(rows),
    ]


def _editing(table: Mapping[str, Any] | None) -> list[str]:
    if table is None:
        return []
    return [
        "<h2>Region editing</h2>",
        f"<p class=quiet>One of two drawn things redrawn as another. Nothing outside the region changed: "
        f"{percent(table['untouched_outside'])}.</p>",
        _rows_table([("region editing", table["accuracy"], table["interval"], table["prompts"])]),
    ]


def _parts_table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for part in parts.values() for name in part["tasks"]))
    head = "".join(f"<th class=n>{text(part)}" for part in parts)
    rows = [("overall", [part["overall"] for part in parts.values()])]
    rows += [(name, [part["tasks"].get(name, {}).get("accuracy") for part in parts.values()]) for name in names]
    body = "".join(
        f"<tr><td>{text(name)}" + "".join(f"<td class=n>{'–' if v is None else percent(v)}" for v in values)
        for name, values in rows
    )
    return f"<table><tr><th>{head}{body}</table>"


def _rows_table(rows: Iterable[tuple[str, float, Sequence[float], int]]) -> str:
    body = "".join(
        f"<tr><td>{text(name)}<td class=n>{percent(value)}"
        f"<td class=n>{percent(low)} – {percent(high)}<td class=n>{count}"
        for name, value, (low, high), count in rows
    )
    return f"<table><tr><th><th class=n>accepted<th class=n>95 % interval<th class=n>number{body}</table>"


def _examples(name: str, group: Sequence[Outcome]) -> str:
    shown: dict[bool, list[str]] = {True: [], False: []}
    for outcome in group:
        right = outcome.right[outcome.kept[0]]
        if len(shown[right]) < EXAMPLES:
            shown[right].append(_figure(outcome, right))
    sides = "".join(
        f"<div><p class=quiet>{word}</p><div class=row>{''.join(shown[right]) or '–'}</div></div>"
        for word, right in (("right", True), ("wrong", False))
    )
    return f"<h3>{text(name)}</h3><div class=sides>{sides}</div>"


def _figure(outcome: Outcome, right: bool) -> str:
    file = io.BytesIO()
    Image.fromarray(outcome.pictures[0]).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    why = "".join(f"<em>{text(reason)}</em>" for reason in outcome.reasons[0][:2])
    kind = " class=right" if right else ""
    alt = "right" if right else "wrong"
    return (
        f'<figure{kind}><img alt="{alt}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text(outcome.prompt.caption)}{why}</figcaption></figure>"
    )
