"""SECURITY.md names a test for each claim, and the tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import ROOT

SUITE = re.compile(r"^\s*(?:@Suite(?:\(.*\))?\s+)?(?:final\s+)?(?:struct|class|enum)\s+(\w+Tests)\b")
TEST = re.compile(r"^\s*@Test\b")
FUNCTION = re.compile(r"\bfunc\s+(\w+)")
NAMED = re.compile(r"`(\w+Tests)\.(\w+)`")


def swift_tests(files: list[Path]) -> set[tuple[str, str]]:
    """Suite and function of every Swift test."""
    found: set[tuple[str, str]] = set()
    for path in files:
        suite, pending = "", False
        for line in path.read_text().splitlines():
            if named := SUITE.match(line):
                suite = named.group(1)
            pending = pending or TEST.match(line) is not None
            if pending and (function := FUNCTION.search(line)):
                found.add((suite, function.group(1)))
                pending = False
    return found


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "SECURITY.md").read_text()


def test_every_named_test_exists(text: str, tracked: list[Path]) -> None:
    tests = swift_tests([path for path in tracked if path.suffix == ".swift" and "Tests" in path.parts])
    assert len(tests) > 300
    named = NAMED.findall(text)
    assert len(named) > 60
    assert [".".join(name) for name in named if name not in tests] == []


def test_every_row_of_a_table_of_tests_names_one(text: str) -> None:
    rows, within = [], False
    for line in text.splitlines():
        if line.startswith("|") and line.rstrip().endswith("| tests |"):
            within = True
        elif not line.startswith("|"):
            within = False
        elif within and not set(line) <= set("|- "):
            rows.append(line)
    assert len(rows) > 40
    assert [row for row in rows if not NAMED.search(row.split("|")[-2])] == []
    assert [row for row in rows if any(not cell.strip() for cell in row.split("|")[1:-1])] == []


def test_a_test_that_is_missing_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "ATests.swift"
    source.write_text("@Suite struct ATests {\n    @Test(arguments: 0..<2)\n    func here(seed: UInt64) {}\n    func helper() {}\n}\n")
    assert swift_tests([source]) == {("ATests", "here")}
