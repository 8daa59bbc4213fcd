"""Best-of-N against enumeration, intervals against their promise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from limner.evaluate.statistics import best_of, interval, interval_of_means, mean, powers_of_two


def test_best_of_n_is_what_enumerating_all_subsets_gives() -> None:
    chance = np.random.default_rng(0)
    for _ in range(20):
        right, scores = chance.random(7) < 0.4, chance.random(7)
        for n in range(1, 8):
            subsets = list(combinations(range(7), n))
            chosen = np.mean([right[max(s, key=lambda i: scores[i])] for s in subsets])
            oracle = np.mean([any(right[i] for i in s) for s in subsets])
            assert best_of(right, scores, n) == pytest.approx((chosen, oracle))


def test_best_of_n_without_scores_is_a_single_draw() -> None:
    right = [True, False, False, True]
    assert best_of(right, [0.0] * 4, 3)[0] == pytest.approx(0.5)
    with pytest.raises(ValueError):
        best_of(right, [0.0] * 4, 5)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    chance = np.random.default_rng(1)
    held = 0
    for trial in range(200):
        # Pictures of one prompt are alike: a prompt is easy or hard.
        skill = chance.beta(2, 2, 80)
        rows = [(chance.random(4) < s).astype(float).tolist() for s in skill]
        low, high = interval(rows, trial)
        assert low <= mean(rows) <= high
        held += low <= 0.5 <= high
    assert 180 <= held <= 199


def test_an_interval_is_a_function_of_its_seed() -> None:
    rows = [[0.0], [1.0], [1.0]]
    assert interval(rows, 3) == interval(rows, 3) and interval([]) == (0.0, 1.0)
    low, high = interval_of_means({"easy": [[1.0]] * 5, "hard": [[0.0]] * 50})
    assert (low, high) == (0.5, 0.5), "the overall is the mean of tasks, however many prompts each has"


def test_no_spread_among_few_prompts_is_not_taken_for_certainty() -> None:
    low, high = interval([[1.0]] * 20)
    assert high == 1.0 and low == pytest.approx(0.832, abs=0.001)
    low, high = interval([[0.0, 0.0]] * 100)
    assert low == 0.0 and high == pytest.approx(0.0362, abs=0.0005)


def test_powers_of_two_end_with_the_last() -> None:
    assert powers_of_two(16) == (1, 2, 4, 8, 16) and powers_of_two(6) == (1, 2, 4, 6) and powers_of_two(1) == (1,)
