"""What measurements are made of: rows, and the programs that they run."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".build" / "bench"
LIBRARY = ROOT / ".build" / "lib"


@dataclass(frozen=True)
class Row:
    what: str
    unit: str
    ours: list[float]
    limit: list[float]
    more_is_better: bool = True

    @property
    def ratio(self) -> float | None:
        """Of the medians, so that 1 is the limit and less is worse."""
        if not self.limit:
            return None
        ours, limit = statistics.median(self.ours), statistics.median(self.limit)
        return ours / limit if self.more_is_better else limit / ours


def output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} ended with {done.returncode}")
    return done.stdout


def port() -> int:
    """One that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def spread(samples: list[float]) -> str:
    if not samples:
        return ""
    middle = f"{statistics.median(samples):,.4g}"
    return middle if len(samples) == 1 else f"{middle} ({min(samples):,.4g} to {max(samples):,.4g})"


def table(rows: list[Row]) -> str:
    head = ("what", "unit", "ours", "limit", "ratio")
    lines = [(row.what, row.unit, spread(row.ours), spread(row.limit), "" if row.ratio is None else f"{row.ratio:.2f}") for row in rows]
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]

    def form(line: tuple[str, ...]) -> str:
        return "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |"

    return "\n".join([form(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(form, lines)])
