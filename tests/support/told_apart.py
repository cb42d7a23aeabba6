"""Whether two ways of asking can be told apart by how long the answers take."""

import random
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

TRIES = 500
ROUNDS = 3
SHUFFLES = 999

Statistic = Callable[[Sequence[float], Sequence[float]], float]
Ask = Callable[[], float]
"""Asks once: the seconds until the answer."""


def always_told_apart(one: Ask, other: Ask) -> dict[str, list[float]]:
    """The tests that tell `one` from `other` at 95 % in every round, with their p-values.

    Of asks that cannot be told apart, a test says that they can one time in twenty, whatever it
    is: only who says so each time of three is believed.
    """
    believed: dict[str, list[float]] = {name: [] for name in _STATISTICS}
    for _ in range(ROUNDS):
        for name, p_value in told_apart(*_asked(one, other)).items():
            if name in believed:
                believed[name].append(p_value)
        believed = {name: values for name, values in believed.items() if values[-1] < 0.05}
        if not believed:
            break
    return believed


def told_apart(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """By test, the share of chance assignments that differ as much as `one` and `other` do."""
    return {name: _p_value(one, other, statistic) for name, statistic in _STATISTICS.items()}


def _asked(one: Ask, other: Ask) -> tuple[list[float], list[float]]:
    """In pairs, each in an order of chance: what else the machine does meets both alike."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TRIES):
        turns = [(one, times[0]), (other, times[1])]
        random.shuffle(turns)
        for ask, into in turns:
            into.append(ask())
    return times


def _p_value(one: Sequence[float], other: Sequence[float], statistic: Statistic) -> float:
    """By permutation within pairs."""
    seen = statistic(one, other)
    as_much = 0
    for _ in range(SHUFFLES):
        pairs = [pair[:: random.choice((1, -1))] for pair in zip(one, other, strict=True)]  # noqa: S311
        as_much += statistic(*zip(*pairs, strict=True)) >= seen
    return (as_much + 1) / (SHUFFLES + 1)


def _medians(one: Sequence[float], other: Sequence[float]) -> float:
    return abs(statistics.median(one) - statistics.median(other))


def _middles(one: Sequence[float], other: Sequence[float]) -> float:
    """Means without the slowest tenth, which belongs to the machine."""
    most = len(one) * 9 // 10
    return abs(statistics.fmean(sorted(one)[:most]) - statistics.fmean(sorted(other)[:most]))


def _fastest(one: Sequence[float], other: Sequence[float]) -> float:
    """Tenth percentiles: where there is least noise."""
    place = len(one) // 10
    return abs(sorted(one)[place] - sorted(other)[place])


def _signs(one: Sequence[float], other: Sequence[float]) -> float:
    """How much more often one of a pair is the slower."""
    return abs(sum((a > b) - (a < b) for a, b in zip(one, other, strict=True)))


def _kolmogorov_smirnov(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest distance between the two distributions."""
    merged = sorted([(time, 1) for time in one] + [(time, -1) for time in other])
    height = largest = 0
    for (time, step), (following, _) in pairwise([*merged, (float("inf"), 0)]):
        height += step
        if following > time:
            largest = max(largest, abs(height))
    return largest / len(one)


_STATISTICS: dict[str, Statistic] = {
    "median": _medians,
    "mean": _middles,
    "tenth percentile": _fastest,
    "sign": _signs,
    "Kolmogorov-Smirnov": _kolmogorov_smirnov,
}
