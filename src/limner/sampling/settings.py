"""How candidates are drawn, as one checked value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict

from limner.errors import InputError, expected

MAX_SEED = 2**64 - 1


@dataclass(frozen=True)
class SamplingSettings:
    """Temperature, filters and guidance; the defaults are the paper's (temperature 1 and nothing else, §2.6).

    - ``temperature`` ≥ 0 divides the logits; 0 takes the most probable token.
    - ``top_k`` ≥ 1 keeps the k most probable image tokens (None: all).
    - ``top_p`` in (0, 1] keeps the fewest image tokens that hold that probability (None: all), after ``top_k``.
    - ``guidance`` ≥ 0: logits u + g·(c - u) of caption c and empty caption u; 1 is none, and costs nothing.

    Raises InputError.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    guidance: float = 1.0

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, low=0.0, todo="1 draws by the model's own chances")
        check_number("guidance", self.guidance, low=0.0, todo="1 is none")
        if self.top_k is not None:
            check_count("top_k", self.top_k)
        if self.top_p is not None:
            check_number("top_p", self.top_p, low=0.0, high=1.0, todo="1 keeps every token")
            if self.top_p == 0:
                raise InputError("top_p: expected a number above 0 and up to 1, got 0; use top_k=1 for the likeliest")


class SamplingOptions(TypedDict, total=False):
    """The same as keyword arguments; what is None or left out is the model's own."""

    temperature: float | None
    top_k: int | None
    top_p: float | None
    guidance: float | None


def check_number(name: str, value: Any, *, low: float, high: float = math.inf, todo: str = "") -> float:
    """``value`` as a float in [``low``, ``high``]. Raises InputError, for NaN, infinities and other types too."""
    bounds = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a finite number of {low:g} or more"
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not low <= value <= high:
        raise InputError(expected(name, bounds, repr(value), todo))
    return float(value)


def check_count(name: str, value: Any, *, low: int = 1, high: int | None = None) -> int:
    """``value`` as an int of ``low`` or more. Raises InputError."""
    bounds = f"a whole number of {low} or more" if high is None else f"a whole number from {low} to {high}"
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        raise InputError(f"{name}: expected {bounds}, got {value!r}")
    return int(value)


def check_seed(value: Any) -> int:
    """``value`` as a seed, 0 … 2⁶⁴ - 1. Raises InputError."""
    return check_count("seed", value, low=0, high=MAX_SEED)
