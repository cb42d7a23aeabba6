"""Whether two kinds of request can be told apart by how long they take.

Times are taken in rounds, one of each kind a round, in random order: whatever else the machine does
meets all kinds alike, and if they are alike, their times may be exchanged within a round. So chance
is not calculated but tried: the times of each round are exchanged at random, many times over, and
the share of exchanges that look as different as what was measured is the probability of that.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, combinations

EXCHANGES = 1000
SIGNIFICANT = 0.05

Pairs = Sequence[tuple[float, float]]
Times = Mapping[str, Sequence[float]]
"""Of each kind, round by round."""


def told_apart_twice(
    kinds: Mapping[str, Callable[[], float]], rounds: int, chance: random.Random
) -> list[dict[str, float]]:
    """What tells two kinds apart in two measurements, one after the other; nothing: it is none.

    One in twenty tells apart what is alike, so who does is measured again.
    """
    found = [told_apart(measured(kinds, rounds, chance), chance)]
    if found[0]:
        found.append(told_apart(measured(kinds, rounds, chance), chance))
    return found if all(found) else []


def measured(kinds: Mapping[str, Callable[[], float]], rounds: int, chance: random.Random) -> Times:
    """What each kind says that it took; the first rounds, in which things warm up, left out."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds + 20):
        order = list(kinds)
        chance.shuffle(order)
        for kind in order:
            times[kind].append(kinds[kind]())
    return {kind: taken[20:] for kind, taken in times.items()}


def told_apart(times: Times, chance: random.Random) -> dict[str, float]:
    """The comparisons that tell two kinds apart at 95 %, all taken together, and how surely.

    Together: of many comparisons one would else do so by chance (Bonferroni).
    """
    found = {
        f"{one} and {other} by {how}": _probability(
            list(zip(times[one], times[other], strict=True)), distance, chance
        )
        for one, other in combinations(times, 2)
        for how, distance in DISTANCES.items()
    }
    return {what: p for what, p in found.items() if p * len(found) < SIGNIFICANT}


def _probability(
    pairs: Pairs,
    distance: Callable[[Pairs], Callable[[Sequence[bool]], float]],
    chance: random.Random,
) -> float:
    """Of a distance as large when the pairs are exchanged by chance, two-sided."""
    of = distance(pairs)
    seen = of([False] * len(pairs))
    as_large = sum(
        of([bits >> bit & 1 == 1 for bit in range(len(pairs))]) >= seen
        for bits in (chance.getrandbits(len(pairs)) for _ in range(EXCHANGES))
    )
    return (as_large + 1) / (EXCHANGES + 1)


def _by_sign(pairs: Pairs) -> Callable[[Sequence[bool]], float]:
    """How much more often one was the faster of its round."""
    signs = [(one > other) - (one < other) for one, other in pairs]
    return lambda exchanged: abs(
        sum(-sign if swap else sign for sign, swap in zip(signs, exchanged, strict=True))
    )


def _by_rank(pairs: Pairs) -> Callable[[Sequence[bool]], float]:
    """How much later one stands when the times of both are put in order (Mann-Whitney)."""
    rank = {time: place for place, time in enumerate(sorted(t for pair in pairs for t in pair))}
    differences = [rank[one] - rank[other] for one, other in pairs]
    return lambda exchanged: abs(
        sum(-each if swap else each for each, swap in zip(differences, exchanged, strict=True))
    )


def _by_distribution(pairs: Pairs) -> Callable[[Sequence[bool]], float]:
    """How far apart their distributions are (Kolmogorov-Smirnov)."""
    ordered = sorted(
        (time, number, kind) for number, pair in enumerate(pairs) for kind, time in enumerate(pair)
    )

    def distance(exchanged: Sequence[bool]) -> float:
        steps = (1 if kind == exchanged[number] else -1 for _, number, kind in ordered)
        return max(map(abs, accumulate(steps)))

    return distance


DISTANCES = {
    "who is faster": _by_sign,
    "rank": _by_rank,
    "distribution": _by_distribution,
}
