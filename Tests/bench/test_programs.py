"""Every program of the bench works: once each, with tiny counts. What they measure is of no interest here; rivals are not needed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import programs
import run
from programs import messages, output, python, sink
from rows import GROUPS
from streams import Settings
from table import Row, Target, summary, table

TINY = Settings(rounds=1, divisor=500, runs=1)
# Those that need neither rivals nor hosts.
ALONE = ["streams", "link", "round-trip", "gossip", "handshakes", "counts", "memory", "idle", "library", "control"]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    programs.build()
    programs.build_counts()


@pytest.fixture
def received() -> Iterator[tuple[str, ...]]:
    with sink(*messages("sink")) as words:
        yield words


@pytest.mark.parametrize("group", ALONE)
def test_measurement_fills_its_rows(group: str) -> None:
    rows = GROUPS[group]()
    run.MEASUREMENTS[group]({row.key: row for row in rows}, TINY)
    assert [row.key for row in rows if not row.ours] == []
    assert [f"{row.key}: {row.samples}" for row in rows if any(value < 0 for values in row.samples.values() for value in values)] == []
    json.dumps([row.data() for row in rows])


def test_messages_from_c(received: tuple[str, ...]) -> None:
    assert int(output(*messages("flood", *received, "16", "1000"))) > 0


@pytest.mark.parametrize("role", ["trips", "asyncio_trips"])
def test_round_trips_from_python(role: str, received: tuple[str, ...]) -> None:
    assert len(output(*python("meshnet", role, "5", *received)).split()) == 5


@pytest.mark.parametrize("size", [16, 1 << 20])
def test_messages_from_python(size: int) -> None:
    with sink(*python("meshnet", "sink")) as words:
        assert int(output(*python("meshnet", "flood", str(size), "4", *words))) > 0


def test_every_measurement_has_rows_of_its_own() -> None:
    assert set(GROUPS) == set(run.MEASUREMENTS)
    keys = [row.key for make in GROUPS.values() for row in make()]
    assert len(keys) == len(set(keys))
    assert not set(keys) & (set(GROUPS) - {"link", "handshakes", "memory", "idle", "control", "control-link", "return"})


def test_the_table_tells_what_is_met_and_what_is_missing() -> None:
    fast = Row("fast", "as fast as others", "1/s", (Target(1.5, "other"), Target(100.0)))
    for ours, other in ((40.0, 20.0), (60.0, 30.0), (90.0, 90.0)):
        fast.add(ours=ours, other=other)
    small = Row("small", "size", "MB", (Target(10),), more_is_better=False, samples={"ours": [9.0]})
    gone = Row("gone", "not here", "s", (Target(1),), reason="no root")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table([fast, small, gone]).splitlines()[2:]]
    assert lines == [
        ["as fast as others", "1/s", "60 (40 to 90)", "other", "30 (20 to 90)", "2 (1 to 2)", "≥ 1.5", "yes"],
        ["", "", "", "", "", "", "≥ 100", "NO"],
        ["size", "MB", "9", "", "", "", "≤ 10", "yes"],
        ["not here", "s", "not measured: no root", "", "", "", "", ""],
    ]
    assert summary([fast, small, gone]) == "targets: 2 met, 1 not met, 1 not measured"


def test_what_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(by: object, settings: object) -> None:
        raise programs.Unmeasured("no such thing here")

    monkeypatch.setitem(run.MEASUREMENTS, "link", cannot)
    rows = GROUPS["link"]()
    run.fill("link", rows, TINY)
    assert [row.reason for row in rows] == ["no such thing here"]
