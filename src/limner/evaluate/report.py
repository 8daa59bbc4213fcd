"""``report.json`` and one self-contained ``report.html``: figures with intervals, curves, pictures right and wrong."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from limner.evaluate.composition import Outcome, by_task
from limner.files import make_folder, write_atomically

EXAMPLES = 8
"""So many right and so many wrong pictures are shown for each task."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 66rem; padding: 0 1rem; }
body { color: #222; background: #fff; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .9rem .2rem 0; text-align: left; }
td.n, th.n { text-align: right; } .quiet { color: #666; } svg text { font: 12px system-ui, sans-serif; fill: #444; }
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
        f"<h1>Composition: {_text(report['model'])}</h1>",
        f"<p><b>Overall {_percent(report['overall'])}</b> ({_percent(low)} to {_percent(high)}, 95 % bootstrap "
        f"interval over prompts): the tasks' mean. Kept {settings['count']} of {settings['candidates']} candidates "
        f"by CLIP, seed {settings['seed']}, limner {_text(report['limner'])}. Verdicts by the storybook's judge, from "
        "pixels alone.</p>",
        "<h2>Tasks</h2>",
        bars({name: (t["accuracy"], *t["interval"]) for name, t in report["tasks"].items()}),
        "<h2>Best of N</h2>",
        "<p class=quiet>Mean of the tasks; the best by CLIP, and by an oracle that knows the verdicts.</p>",
        curves(report["best_of"]),
        "<h2>Parts</h2>",
        _parts_table(report["parts"]),
        "<h2>Languages</h2>",
        _rows_table(
            (name, t["overall"], t["overall_interval"], t["prompts"]) for name, t in report["languages"].items()
        ),
        "<h2>Controls</h2>",
        "<p class=quiet>Drawn scenes and the dVAE's reconstructions are ceilings; all others should be near 0.</p>",
        _rows_table((name, t["accuracy"], t["interval"], t["pictures"]) for name, t in report["controls"].items()),
        "<h2>Pictures</h2>",
        *(_examples(name, group) for name, group in by_task(outcomes).items()),
    ]
    title = f"Composition: {_text(report['model'])}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def bars(values: Mapping[str, tuple[float, float, float]]) -> str:
    """Bars with intervals, as inline SVG: name → (share, low, high)."""
    step, left, width = 26, 150, 520
    lines = []
    for i, (name, (value, low, high)) in enumerate(values.items()):
        y = i * step + 6
        lines.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{_text(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{value * width:.1f}" height="16" fill="#7aa6d8"/>'
            f'<path d="M{left + low * width:.1f} {y + 8}H{left + high * width:.1f}" stroke="#223" stroke-width="1.5"/>'
            f'<text x="{left + width + 10}" y="{y + 13}">{_percent(value)} ({_percent(low)}–{_percent(high)})</text>'
        )
    return f'<svg width="850" height="{len(values) * step + 10}" role="img">{"".join(lines)}</svg>'


def curves(best_of: Mapping[str, Mapping[str, float]]) -> str:
    """Accuracy over N (logarithmic), one line a way of choosing, as inline SVG."""
    ns = [int(n) for n in next(iter(best_of.values()), {})]
    if not ns:
        return ""
    width, height, left, top = 520, 220, 60, 12

    def x(n: int) -> float:
        return left + width * (ns.index(n) / max(1, len(ns) - 1))

    def y(value: float) -> float:
        return top + height * (1 - value)

    lines = [
        f'<path d="M{left} {y(v):.1f}H{left + width}" stroke="#ddd"/><text x="{left - 8}" y="{y(v) + 4:.1f}" '
        f'text-anchor="end">{_percent(v)}</text>'
        for v in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    lines += [f'<text x="{x(n):.1f}" y="{top + height + 18}" text-anchor="middle">{n}</text>' for n in ns]
    # The oracle is never below CLIP: its name stands above its line's end, CLIP's below.
    for (way, curve), colour, down in zip(best_of.items(), ("#2a6fbb", "#c07a1a"), (11, -3), strict=False):
        points = " ".join(f"{x(int(n)):.1f},{y(value):.1f}" for n, value in curve.items())
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        last = curve[str(ns[-1])]
        lines.append(f'<text x="{left + width + 8}" y="{y(last) + down:.1f}" style="fill:{colour}">{_text(way)}</text>')
    return f'<svg width="700" height="{height + 40}" role="img">{"".join(lines)}</svg>'


def _parts_table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for part in parts.values() for name in part["tasks"]))
    head = "".join(f"<th class=n>{_text(part)}" for part in parts)
    rows = [("overall", [part["overall"] for part in parts.values()])]
    rows += [(name, [part["tasks"].get(name, {}).get("accuracy") for part in parts.values()]) for name in names]
    body = "".join(
        f"<tr><td>{_text(name)}" + "".join(f"<td class=n>{'–' if v is None else _percent(v)}" for v in values)
        for name, values in rows
    )
    return f"<table><tr><th>{head}{body}</table>"


def _rows_table(rows: Iterable[tuple[str, float, Sequence[float], int]]) -> str:
    body = "".join(
        f"<tr><td>{_text(name)}<td class=n>{_percent(value)}"
        f"<td class=n>{_percent(low)} – {_percent(high)}<td class=n>{count}"
        for name, value, (low, high), count in rows
    )
    return f"<table><tr><th><th class=n>accepted<th class=n>95 % interval<th class=n>number{body}</table>"


def _examples(name: str, group: Sequence[Outcome]) -> str:
    shown: dict[bool, list[str]] = {True: [], False: []}
    for outcome in group:
        right = outcome.right[outcome.kept[0]]
        if len(shown[right]) < EXAMPLES:
            shown[right].append(_figure(outcome, right))
    rows = "".join(f"<div class=row>{''.join(figures)}</div><br>" for figures in shown.values() if figures)
    return f"<h3>{_text(name)}</h3>{rows}"


def _figure(outcome: Outcome, right: bool) -> str:
    file = io.BytesIO()
    Image.fromarray(outcome.pictures[0]).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    why = "".join(f"<em>{_text(reason)}</em>" for reason in outcome.reasons[0][:2])
    kind = " class=right" if right else ""
    alt = "right" if right else "wrong"
    return (
        f'<figure{kind}><img alt="{alt}" src="data:image/png;base64,{data}">'
        f"<figcaption>{_text(outcome.prompt.caption)}{why}</figcaption></figure>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
