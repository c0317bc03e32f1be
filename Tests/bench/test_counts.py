"""Counts of the engine that no clock has a part in, held to bench/baseline.json; `make bench BENCH=--renew` keeps new ones."""

from __future__ import annotations

import platform
import shutil

import pytest

import counting
import programs

ALLOCATION_SLACK = 0.05


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    assert shutil.which("valgrind"), "scripts/setup.sh installs valgrind"
    programs.build_counts()


def test_the_baseline_has_every_work() -> None:
    assert set(counting.baseline()) == set(counting.WORKS)


@pytest.mark.parametrize("name", counting.WORKS)
def test_work_costs_what_it_did(name: str) -> None:
    if platform.machine() != counting.ARCHITECTURE:
        pytest.skip(f"the baseline is of {counting.ARCHITECTURE}")
    kept, found = counting.baseline()[name], counting.count(counting.WORKS[name])
    assert found["allocations"] <= kept["allocations"] + ALLOCATION_SLACK
    allowed = kept["instructions"] * (1 + counting.TOLERANCE)
    assert found["instructions"] <= allowed, f"{found['instructions']:.0f} instructions, the baseline has {kept['instructions']:.0f}"


@pytest.mark.parametrize("option", [(), ("pnet",)])
def test_a_frame_costs_no_allocation(option: tuple[str, ...]) -> None:
    found = programs.counts("frames", "800", *option)
    assert found["frames"] > 100
    assert found["allocations"] == 0


@pytest.mark.parametrize("option", [(), ("pnet",)])
def test_the_first_answer_comes_after_three_round_trips(option: tuple[str, ...]) -> None:
    assert programs.counts("flights", *option)["round_trips"] == 3


def test_the_instructions_are_those_of_our_own_code() -> None:
    profile = "\n".join([
        *("events: Ir", "ob=(1) meshnet-counts", "fn=(1) main", "10 5"),
        *("cob=(2) libcrypto.so.3", "cfn=(2) seal", "calls=1 10", "10 1000", "+1 7"),
        *("ob=(2)", "fn=(2)", "20 1000", "ob=(1)", "fn=(3) rest", "* 3"),
    ])
    assert counting.instructions_of(profile) == 15
