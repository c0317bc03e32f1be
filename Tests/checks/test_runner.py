"""`make test` counts what the runners say, and takes no silence for success."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("meshnet_test_runner", ROOT / "scripts" / "test.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SWIFT = """\
➜ Suite Off skipped: "suite off"
➜ Test a() skipped: "suite off"
➜ Test "has a name" skipped.
✔ Test b() passed after 0.010 seconds.
✘ Test many(x:) recorded an issue with 1 argument x → 2 at A.swift:5:47: Expectation failed: (x → 2) == 1
✘ Test many(x:) with 2 test cases failed after 0.010 seconds with 1 issue.
✔ Test other(x:) with 5 test cases passed after 0.010 seconds.
✘ Suite Probe failed after 0.011 seconds with 3 issues (including 1 known issue).
✘ Test run with 5 tests in 4 suites failed after 0.012 seconds with 3 issues (including 1 known issue).
"""


def numbers(counts: object) -> tuple[int, int, int]:
    return counts.passed, counts.failed, counts.skipped  # type: ignore[attr-defined]


def test_counts_of_swift_testing(runner: ModuleType) -> None:
    counts = runner.swift_counts(SWIFT)
    assert numbers(counts) == (2, 1, 2)
    assert counts.reasons == ["a(): suite off", '"has a name": no reason given']
    assert counts.failures == ["many(x:) recorded an issue with 1 argument x → 2 at A.swift:5:47: Expectation failed: (x → 2) == 1"]


def test_counts_of_pytest(runner: ModuleType) -> None:
    lines = ["SKIPPED [1] test_a.py:3: no peer", "ERROR test_b.py::test_c - OSError: no"]
    log = "\n".join([*lines, "== 16 passed, 2 skipped, 63 deselected, 1 error, 1 xfailed in 3.93s (0:01:01) ==", ""])
    assert numbers(runner.pytest_counts(log)) == (16, 1, 3)
    assert runner.pytest_counts(log).reasons == ["test_a.py:3: no peer"]
    assert runner.pytest_counts(log).failures == ["test_b.py::test_c - OSError: no"]


def test_counts_of_plain_lines(runner: ModuleType) -> None:
    assert numbers(runner.plain_counts("skipped: x: no valgrind\nc: 3 passed, 0 failed, 1 skipped\n")) == (3, 0, 1)
    assert numbers(runner.plain_counts("not ok a\n3 passed, 2 failed\n")) == (3, 2, 0)
    assert runner.plain_counts("ok b\nnot ok a\n3 passed, 2 failed\n").failures == ["a"]


@pytest.mark.parametrize("count", ["swift_counts", "pytest_counts", "plain_counts"])
def test_a_log_without_closing_line_is_no_result(runner: ModuleType, count: str) -> None:
    with pytest.raises(runner.NoClosingLine):
        getattr(runner, count)("✔ Test b() passed after 0.010 seconds.\nno tests ran in 0.00s\nSegmentation fault\n")


@pytest.mark.parametrize(
    ("says", "status", "failed"),
    [("3 passed, 0 failed", 0, 0), ("3 passed, 0 failed", 1, 1), ("0 passed, 0 failed", 0, 1), ("2 passed, 1 failed", 1, 1), ("", 0, 1)],
)
def test_a_suite_fails_for_silence_no_tests_and_a_wrong_status(runner: ModuleType, says: str, status: int, failed: int, tmp_path: object) -> None:
    runner.LOGS = tmp_path
    suite = runner.Suite("probe", ["sh", "-c", f"echo '{says}'; exit {status}"], runner.plain_counts)
    assert runner.Run().suite(suite).failed == failed


def test_a_missing_program_is_a_failure(runner: ModuleType, tmp_path: object) -> None:
    runner.LOGS = tmp_path
    assert runner.Run().suite(runner.Suite("probe", ["no/such/program"], runner.plain_counts)).failed == 1
