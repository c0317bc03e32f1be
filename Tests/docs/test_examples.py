"""Every example in the documents is run as it stands there.

A fenced block behind the comment `<!-- run: python -->` (or c, swift, shell) is a whole program that ends by itself with
status 0. The block behind `<!-- prints -->`, where there is one, is what it prints. A fenced block of these languages
without such a comment is a mistake, so that no example escapes.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / ".build" / "lib"
COMMANDS = ROOT / ".build" / "release"
LANGUAGES = {"python", "c", "swift", "shell"}
SECONDS_MAX = {"python": 60, "c": 60, "shell": 60, "swift": 900}

FENCE = re.compile(r"(?:<!-- *(?P<mark>run: *\w+|prints|not run: [^>]*?) *-->\s*\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Example:
    place: str
    language: str
    text: str
    prints: str | None


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(path: Path) -> list[re.Match[str]]:
    return list(FENCE.finditer(path.read_text()))


def examples() -> list[Example]:
    found = []
    for path in documents():
        matches = blocks(path)
        for index, match in enumerate(matches):
            mark = match["mark"] or ""
            if not mark.startswith("run:"):
                continue
            following = matches[index + 1] if index + 1 < len(matches) else None
            prints = following["text"] if following is not None and following["mark"] == "prints" else None
            line = path.read_text()[: match.start("text")].count("\n") + 1
            found.append(Example(f"{path.relative_to(ROOT)}:{line}", mark.removeprefix("run:").strip(), match["text"], prints))
    return found


def test_no_example_escapes() -> None:
    escaped = [
        f"{path.relative_to(ROOT)}: a {match['language']} block without a comment"
        for path in documents()
        for match in blocks(path)
        if match["language"] in LANGUAGES and not match["mark"]
    ]
    assert escaped == []


def test_the_readme_shows_every_language() -> None:
    assert {example.language for example in examples() if example.place.startswith("README.md")} >= {"python", "c", "swift"}


def command_for(example: Example, folder: Path) -> list[str]:
    match example.language:
        case "python":
            (folder / "example.py").write_text(example.text)
            return [sys.executable, "-W", "error", "example.py"]
        case "shell":
            return ["bash", "-euo", "pipefail", "-c", example.text]
        case "c":
            (folder / "example.c").write_text(example.text)
            flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT / 'include'}", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
            subprocess.run(["gcc", "example.c", *flags, "-lmeshnet", "-o", "example"], cwd=folder, check=True)
            return ["./example"]
        case "swift":
            return ["swift", "run", "--quiet", "--package-path", str(swift_package(example)), "Example"]
    raise AssertionError(f"{example.place}: nothing runs {example.language}")


def swift_package(example: Example) -> Path:
    """A package of its own that depends on this one, kept so that a second run need not build all again."""
    package = ROOT / ".build" / "docs-swift"
    source = package / "Sources" / "Example" / "Example.swift"
    source.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists() or source.read_text() != example.text:
        source.write_text(example.text)
    link = package / "meshnet"
    if not link.is_symlink():
        link.symlink_to(ROOT)
    (package / "Package.swift").write_text(
        "// swift-tools-version: 6.2\n"
        "import PackageDescription\n"
        'let package = Package(name: "Example", dependencies: [.package(name: "meshnet", path: "meshnet")], targets: [\n'
        '    .executableTarget(name: "Example", dependencies: [.product(name: "MeshNet", package: "meshnet")]),\n'
        "])\n"
    )
    return package


@pytest.mark.parametrize("example", examples(), ids=lambda example: f"{example.language}-{example.place}")
def test_example_runs(example: Example, tmp_path: Path) -> None:
    # Nodes of an example find each other by discovery, and nobody else: a tag of this run alone.
    discovery = {"MESHNET_DISCOVERY_MODE": "mdns,gossip", "MESHNET_SERVICE_TAG": f"_e{secrets.token_hex(4)}._udp"}
    environment = {**os.environ, **discovery, "PATH": f"{COMMANDS}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = command_for(example, tmp_path)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX[example.language]
    )
    assert done.returncode == 0, f"{example.place} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    if example.prints is not None:
        assert done.stdout == example.prints, example.place


def test_links_lead_somewhere() -> None:
    """Links between the documents and into the repository; those to other sites are left alone."""
    broken = []
    for path in documents():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []


def test_tests_that_documents_name_exist() -> None:
    """The documents prove their claims by tests, written as `Suite.test` or `file.py::test`."""
    sources = "\n".join(path.read_text() for path in (ROOT / "Tests").rglob("*") if path.suffix in {".swift", ".py"})
    sources += "\n".join(path.read_text() for folder in ("python/tests", "bindings/c/tests") for path in (ROOT / folder).rglob("*.*") if path.is_file())
    missing = []
    for path in documents():
        text = path.read_text()
        named = re.findall(r"`(?:\w+Tests)\.(\w+)`", text) + re.findall(r"`\w+\.py::(\w+)`", text)
        missing += [f"{path.relative_to(ROOT)}: {name}" for name in named if not re.search(rf"\b(?:func|def|void|int)\s+{name}\b", sources)]
    assert missing == []
