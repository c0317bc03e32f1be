"""The house rules that a machine can check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import ROOT

FILE_LINES_MAX = 600
LINE_COLUMNS_MAX = 160  # the aim is 140
CODE = {".swift", ".c", ".h", ".py", ".pyi", ".sh", ".cpp"}

# In our own code, comments and texts of Swift left out.
DENIED_IN_SOURCES = {
    "fatalError": r"\bfatalError\s*\(",
    "try!": r"\btry!",
    "as!": r"\bas!",
    "print": r"(?<![.\w])print\s*\(",
    "Foundation": r"^\s*(?:@\w+\s+)?(?:public |package |internal |private )?import Foundation",
    "unsafe flags": r"\bunsafeFlags\b",
    "system randomness": r"\.random\((?!in: .*using:)|\.shuffled\(\)|\.shuffle\(\)|\.randomElement\(\)|SystemRandomNumberGenerator",
}
# The command-line program prints, that is its work; the parameter of `.random` there is not ours to judge.
EXCUSED = {("print", "MeshNetCommand"), ("system randomness", "MeshNetCommand")}


def code_lines(path: Path) -> list[tuple[int, str]]:
    """Lines of a Swift file without comments and string literals."""
    text = re.sub(r'"""(?:.|\n)*?"""', lambda m: "\n" * m.group().count("\n"), path.read_text())
    text = re.sub(r"/\*(?:.|\n)*?\*/", lambda m: "\n" * m.group().count("\n"), text)
    return [(number, re.sub(r'"(?:\\.|[^"\\])*"', '""', line).split("//")[0]) for number, line in enumerate(text.splitlines(), 1)]


def places(found: list[tuple[Path, int, str]]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line}: {text}" for path, line, text in found]


def code_files(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if path.suffix in CODE]


def test_files_are_short(tracked: list[Path]) -> None:
    # The C header is one file because it is the whole specification of the library.
    lengths = {path: len(path.read_text().splitlines()) for path in code_files(tracked) if path != ROOT / "include" / "meshnet.h"}
    assert [f"{path.relative_to(ROOT)}: {length}" for path, length in lengths.items() if length > FILE_LINES_MAX] == []


def test_lines_are_short(tracked: list[Path]) -> None:
    found = [
        (path, number, f"{len(line)} columns")
        for path in code_files(tracked)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LINE_COLUMNS_MAX
    ]
    assert places(found) == []


def test_nothing_is_left_for_later(tracked: list[Path]) -> None:
    words = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
    found = [
        (path, number, line.strip())
        for path in code_files(tracked)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert places(found) == []


@pytest.mark.parametrize("rule", DENIED_IN_SOURCES)
def test_sources_are_without(rule: str, tracked: list[Path]) -> None:
    pattern = re.compile(DENIED_IN_SOURCES[rule])
    sources = [path for path in tracked if path.suffix == ".swift" and path.is_relative_to(ROOT / "Sources")]
    assert sources
    found = [
        (path, number, line.strip())
        for path in [*sources, ROOT / "Package.swift"]
        if (rule, path.relative_to(ROOT).parts[1] if len(path.relative_to(ROOT).parts) > 1 else "") not in EXCUSED
        for number, line in code_lines(path)
        if pattern.search(line)
    ]
    assert places(found) == []


def test_no_path_of_one_machine(tracked: list[Path]) -> None:
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w")
    texts = [path for path in tracked if path.suffix in CODE | {".md", ".json", ".toml", ".txt", ".in", ""}]
    found = [
        (path, number, line.strip()[:200])
        for path in texts
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert places(found) == []


def test_no_large_file(tracked: list[Path]) -> None:
    assert [f"{path.relative_to(ROOT)}: {path.stat().st_size}" for path in tracked if path.stat().st_size > 1 << 20] == []
