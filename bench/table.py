"""The table of the race: rows as data, their samples, and what is printed of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

OURS = "ours"


@dataclass(frozen=True)
class Target:
    """Ours is to be at least, for what is to be small at most, `factor` times what is beside it; times 1 where nothing is beside it."""

    factor: float
    beside: str | None = None


@dataclass
class Row:
    """What one measurement found. `samples` are by who was measured: ours, and those beside us; a round gives one of each."""

    key: str
    what: str
    unit: str
    targets: tuple[Target, ...] = ()
    more_is_better: bool = True
    samples: dict[str, list[float]] = field(default_factory=dict)
    #: Why it has no samples.
    reason: str | None = None

    def add(self, **values: float) -> None:
        """Samples of one round, by who was measured; _ in a name is a blank."""
        for who, value in values.items():
            self.samples.setdefault(who.replace("_", " "), []).append(value)

    @property
    def ours(self) -> list[float]:
        return self.samples.get(OURS, [])

    def ratios(self, beside: str) -> list[float]:
        """Ours to theirs, of each round."""
        return [a / b for a, b in zip(self.ours, self.samples.get(beside, [])) if b]

    def comparisons(self) -> list[tuple[str | None, Target | None]]:
        """Who is beside us, with the target where there is one: a line of the table each."""
        by_name = {target.beside: target for target in self.targets}
        others = [who for who in self.samples if who != OURS]
        named: list[tuple[str | None, Target | None]] = [(who, by_name.get(who)) for who in others]
        named += [(None, by_name[None])] if None in by_name else []
        named += [(who, target) for who, target in by_name.items() if who is not None and who not in others]
        return named or [(None, None)]

    def is_met(self, target: Target) -> bool | None:
        """None where something is missing."""
        values = self.ours if target.beside is None else self.ratios(target.beside)
        if not values:
            return None
        value = statistics.median(values)
        return value >= target.factor if self.more_is_better else value <= target.factor

    def data(self) -> dict[str, Any]:
        met = {target.beside or "": self.is_met(target) for target in self.targets}
        ratios = {who: self.ratios(who) for who in self.samples if who != OURS}
        return {**asdict(self), "ratios": ratios, "met": met}


def percentile(samples: Sequence[float], percent: float) -> float:
    """By nearest rank."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(samples: Sequence[float]) -> str:
    """The median, and the lowest and highest."""
    if not samples:
        return ""
    middle = short(statistics.median(samples))
    return middle if len(samples) == 1 else f"{middle} ({short(min(samples))} to {short(max(samples))})"


def lines_of(row: Row) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for beside, target in row.comparisons():
        what = (row.what, row.unit, spread(row.ours)) if not lines else ("", "", "")
        if row.reason is not None:
            return [(row.what, row.unit, f"not measured: {row.reason}", *[""] * 5)]
        theirs = spread(row.samples.get(beside, [])) if beside else ""
        ratio = spread(row.ratios(beside)) if beside else ""
        wanted = f"{'≥' if row.more_is_better else '≤'} {short(target.factor)}" if target else ""
        met = {None: "?", True: "yes", False: "NO"}[row.is_met(target)] if target else ""
        lines.append((*what, beside or "", theirs, ratio, wanted, met))
    return lines


HEAD = ("what", "unit", "ours", "beside", "theirs", "ratio", "target", "met")


def table(rows: Sequence[Row]) -> str:
    """Medians, with the lowest and highest; the ratio is that of each round."""
    lines = [line for row in rows for line in lines_of(row)]
    widths = [max(len(line[column]) for line in [HEAD, *lines]) for column in range(len(HEAD))]

    def form(line: tuple[str, ...]) -> str:
        return "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |"

    return "\n".join([form(HEAD), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(form, lines)])


def summary(rows: Sequence[Row]) -> str:
    verdicts = [row.is_met(target) for row in rows for target in row.targets]
    return f"targets: {verdicts.count(True)} met, {verdicts.count(False)} not met, {verdicts.count(None)} not measured"
