"""One figure that a scenario found, and what it is held to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`figure` of `what`, with `unit` after it; without a bound it only informs."""

    database: str
    what: str
    figure: float
    unit: str
    bound: float | None = None
    at_most: bool = True
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether it keeps to its bound."""
        if self.bound is None:
            return True
        return self.figure <= self.bound if self.at_most else self.figure >= self.bound


def print_finding(finding: Finding) -> None:
    """One line."""
    verdict = "" if finding.bound is None else "met" if finding.met else "NOT MET"
    line = f"{verdict:8}{finding.what}, {finding.database}: {finding.figure:.2f}{finding.unit}"
    if finding.bound is not None:
        line += f"; {'at most' if finding.at_most else 'at least'} {finding.bound}{finding.unit}"
    if finding.detail:
        line += f" ({finding.detail})"
    print(line)
