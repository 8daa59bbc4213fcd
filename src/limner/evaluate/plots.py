"""Bars and lines as inline SVG, for pages that need no other file. Values are shares, 0 to 1."""

from __future__ import annotations

import html
from collections.abc import Mapping
from itertools import pairwise

COLOURS = ("#2a6fbb", "#c07a1a", "#3c8a4d", "#8a4d9c")
Point = tuple[float, float, float]
"""A share and its interval's ends."""


def text(value: object) -> str:
    """As HTML shows it."""
    return html.escape(str(value))


def percent(share: float) -> str:
    """0.123 as "12.3 %"."""
    return f"{100 * share:.1f} %"


def bars(values: Mapping[str, Point]) -> str:
    """A bar with an interval for each name."""
    step, left, width = 26, 150, 520
    lines = []
    for i, (name, (value, low, high)) in enumerate(values.items()):
        y = i * step + 6
        lines.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{text(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{value * width:.1f}" height="16" fill="#7aa6d8"/>'
            f'<path d="M{left + low * width:.1f} {y + 8}H{left + high * width:.1f}" stroke="#223" stroke-width="1.5"/>'
            f'<text x="{left + width + 10}" y="{y + 13}">{percent(value)} ({percent(low)}–{percent(high)})</text>'
        )
    return f'<svg width="850" height="{len(values) * step + 10}" role="img">{"".join(lines)}</svg>'


def curves(series: Mapping[str, Mapping[str, float | Point]], below: str = "") -> str:
    """A line for each name over the labels of all, in their order; points with intervals show them.

    ``below``: what the labels are. Nothing where there is nothing to show.
    """
    labels = list(dict.fromkeys(label for points in series.values() for label in points))
    if not labels:
        return ""
    if all(label.replace(".", "", 1).isdigit() for label in labels):
        labels.sort(key=float)
    width, height, left, top = 520, 220, 60, 12

    def x(label: str) -> float:
        return left + width * (labels.index(label) / max(1, len(labels) - 1))

    def y(value: float) -> float:
        return top + height * (1 - value)

    drawn = [
        f'<path d="M{left} {y(v):.1f}H{left + width}" stroke="#ddd"/><text x="{left - 8}" y="{y(v) + 4:.1f}" '
        f'text-anchor="end">{percent(v)}</text>'
        for v in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    drawn += [
        f'<text x="{x(label):.1f}" y="{top + height + 18}" text-anchor="middle">{text(label)}</text>'
        for label in labels
    ]
    if below:
        middle = left + width / 2
        drawn.append(f'<text x="{middle}" y="{top + height + 36}" text-anchor="middle">{text(below)}</text>')
    ends = []
    for (name, points), colour in zip(series.items(), COLOURS, strict=False):
        shares = {label: p if isinstance(p, float) else p[0] for label, p in points.items()}
        line = " ".join(f"{x(label):.1f},{y(value):.1f}" for label, value in shares.items())
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for label, point in points.items():
            drawn.append(f'<circle cx="{x(label):.1f}" cy="{y(shares[label]):.1f}" r="3" fill="{colour}"/>')
            if not isinstance(point, float):
                place = f"M{x(label):.1f} {y(point[1]):.1f}V{y(point[2]):.1f}"
                drawn.append(f'<path d="{place}" stroke="{colour}" stroke-width="1"/>')
        if shares:
            ends.append((y(list(shares.values())[-1]), name, colour))
    # Names stand at their lines' ends, pushed apart where the ends are near each other.
    ends.sort()
    places = [end[0] + 4 for end in ends]
    for i, (upper, lower) in enumerate(pairwise(places), 1):
        places[i] = max(lower, upper + 14)
    drawn += [
        f'<text x="{left + width + 10}" y="{place:.1f}" style="fill:{colour}">{text(name)}</text>'
        for place, (_, name, colour) in zip(places, ends, strict=True)
    ]
    return f'<svg width="760" height="{height + 56}" role="img">{"".join(drawn)}</svg>'
