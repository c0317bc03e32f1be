"""Runs every suite and closes with the plain line `N passed, N failed, N skipped`.

Each suite writes to a log of its own, shown when it fails. What counts is the closing line of its runner; a suite without
one, without a single test, or with an exit status that does not fit its counts, has failed. `make test SUITES="swift c"`
runs some alone.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".build" / "test-logs"
PYTHON = ROOT / ".build" / "venv" / "bin" / "python"
SHOWN_OF_A_LOG = 200  # lines
MOST_FAILURES = 12
LONGEST_FAILURE = 400  # characters


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped


class NoClosingLine(Exception):
    pass


def swift_counts(log: str) -> Counts:
    """Swift Testing: its closing line counts failed and skipped tests among all."""
    closing = re.findall(r"^. Test run with (\d+) tests?(?: in \d+ suites?)? (?:passed|failed) after", log, re.M)
    if not closing:
        raise NoClosingLine("Swift Testing did not print its closing line: the test process crashed or did not start")
    total = sum(map(int, closing))
    failed = len(re.findall(r"^. Test (?!run with|case )\S.* failed after ", log, re.M))
    skips = re.findall(r"^. Test (?!run with)(\S.*?) skipped(?:: \"(.*)\")?\.?$", log, re.M)
    reasons = [f"{name}: {reason or 'no reason given'}" for name, reason in skips]
    issues = re.findall(r"^. Test (?!run with|case )(\S.* recorded an issue .*)$", log, re.M)
    return Counts(total - failed - len(skips), failed, len(skips), reasons, issues)


def pytest_counts(log: str) -> Counts:
    closing = re.findall(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s", log, re.M)
    if not closing:
        raise NoClosingLine("pytest did not print its closing line")
    found = {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) (\w+)", closing[-1])}
    reasons = [f"{where}: {reason}" for where, reason in re.findall(r"^SKIPPED \[\d+\] (\S+?):? (.*)$", log, re.M)]
    skipped = found.get("skipped", 0) + found.get("xfailed", 0)
    failures = re.findall(r"^(?:FAILED|ERROR) (\S+::.*)$", log, re.M)
    return Counts(found.get("passed", 0), found.get("failed", 0) + found.get("error", 0), skipped, reasons, failures)


def plain_counts(log: str) -> Counts:
    closing = re.findall(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", log, re.M)
    if not closing:
        raise NoClosingLine("no line `N passed, N failed, N skipped`")
    passed, failed, skipped = (int(number or 0) for number in closing[-1])
    failures = re.findall(r"^not ok (.*)$", log, re.M)
    return Counts(passed, failed, skipped, re.findall(r"^skipped: (.*)$", log, re.M), failures)


def holds_files(folder: str, pattern: str = "*") -> bool:
    return any(path.is_file() for path in (ROOT / folder).rglob(pattern))


def holds_swift_tests(folder: str) -> bool:
    return any("@Test" in path.read_text() for path in (ROOT / folder).rglob("*.swift"))


def pytest(*arguments: str) -> list[str]:
    return [str(PYTHON), "-m", "pytest", "-ra", "--tb=short", "-p", "no:cacheprovider", *arguments]


@dataclass(frozen=True)
class Suite:
    name: str
    command: list[str]
    count: Callable[[str], Counts]
    exists: Callable[[], bool] = lambda: True
    needs: tuple[str, ...] = ()


# Steps that suites need and that are no tests; each runs once, when the first suite asks for it.
STEPS: dict[str, list[str]] = {
    "library": ["scripts/build-library.sh"],
    "command": ["scripts/build-command.sh"],
    "package": [
        *(str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-build-isolation", "--force-reinstall", "--no-deps", "./python"),
    ],
}

# Optimised as it is shipped: the counts of allocations hold there only. The suite `threads` runs the same code as it is debugged.
SWIFT_TEST = [*("swift", "test", "-c", "release", "-Xswiftc", "-enable-testing", "--build-path", ".build/release-tests")]
DRIVERS = "^MeshNetTests|^MeshNetSystemTests"
SIMULATION = "MessageSimulationTests"

SUITES = [
    # What computes only: protocols and the swarm in virtual networks, on all processors.
    Suite("swift", [*SWIFT_TEST, "--skip", f"{DRIVERS}|{SIMULATION}"], swift_counts),
    # A thousand networks in trouble; MESHNET_SEEDS=n or MESHNET_SEED=x for others.
    Suite("simulation", [*SWIFT_TEST, "--filter", SIMULATION], swift_counts),
    # With sockets, files and threads. One test at a time: some count the descriptors and threads of the process.
    Suite("system", [*SWIFT_TEST, "--no-parallel", "--filter", DRIVERS], swift_counts),
    Suite("checks", pytest("Tests/checks"), pytest_counts, needs=("library",)),
    Suite("c", ["bash", "bindings/c/tests/run.sh"], plain_counts, lambda: holds_files("bindings/c"), ("library",)),
    Suite("command", pytest("Tests/command"), pytest_counts, needs=("command",)),
    Suite("python", pytest("python/tests"), pytest_counts, lambda: holds_files("python"), ("library", "package")),
    Suite("control", pytest("Tests/control"), pytest_counts, needs=("library", "package")),
    Suite("interop", pytest("Tests/interop"), pytest_counts, needs=("library", "package")),
    # Several hosts by network namespaces: as root only.
    Suite("hosts", pytest("Tests/hosts"), pytest_counts, needs=("library", "package", "command")),
    # The programs of `make bench`, and counts held to a baseline; no times.
    Suite("bench", pytest("Tests/bench"), pytest_counts, needs=("library", "package")),
    Suite("docs", pytest("Tests/docs"), pytest_counts, needs=("library", "package", "command")),
    Suite("fuzz", ["scripts/fuzz.sh", "smoke"], plain_counts),
    Suite(
        "threads",
        ["swift", "test", "--sanitize=thread", "--build-path", ".build/tsan", "--no-parallel", "--filter", DRIVERS],
        swift_counts,
        lambda: holds_swift_tests("Tests/MeshNetTests"),
    ),
]


def run_logged(name: str, command: list[str]) -> tuple[int, str, float]:
    log = LOGS / f"{name}.log"
    start = time.monotonic()
    with log.open("wb") as out:
        try:
            status = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT).returncode
        except OSError as error:
            out.write(f"{command[0]}: {error.strerror}\n".encode())
            status = 127
    return status, log.read_text(errors="replace"), time.monotonic() - start


def show(title: str, log: str) -> None:
    lines = log.splitlines()
    print(f"--- {title}" + (f" (the last {SHOWN_OF_A_LOG} of {len(lines)} lines)" if len(lines) > SHOWN_OF_A_LOG else ""))
    print("\n".join(lines[-SHOWN_OF_A_LOG:]))
    print(f"--- end of {title}", flush=True)


class Run:
    def __init__(self) -> None:
        self.steps: dict[str, bool] = {}

    def step(self, name: str) -> bool:
        if name not in self.steps:
            if name == "package" and not holds_files("python"):
                self.steps[name] = True
                return True
            status, log, seconds = run_logged(f"step-{name}", STEPS[name])
            print(f"{name:10} {'made' if status == 0 else 'FAILED'} in {seconds:.0f} s", flush=True)
            if status != 0:
                show(f"step {name}", log)
            self.steps[name] = status == 0
        return self.steps[name]

    def suite(self, suite: Suite) -> Counts:
        missing = [name for name in suite.needs if not self.step(name)]
        if missing:
            print(f"{suite.name:10} FAILED: it needs {', '.join(missing)}", flush=True)
            return Counts(failed=1)
        status, log, seconds = run_logged(suite.name, suite.command)
        try:
            counts = suite.count(log)
            trouble = None
        except NoClosingLine as error:
            counts, trouble = Counts(failed=1), str(error)
        if counts.total == 0:
            counts.failed, trouble = 1, "it ran no test"
        elif status != 0 and counts.failed == 0:
            counts.failed, trouble = 1, f"its exit status is {status} although no test failed"
        print(f"{suite.name:10} {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped in {seconds:.0f} s", flush=True)
        for reason in counts.reasons:
            print(f"{'':10} skipped {reason}")
        if counts.failed:
            show(f"log of {suite.name}", log)
        if trouble:
            print(f"{suite.name:10} FAILED: {trouble}", flush=True)
        return counts


def chosen(names: Iterable[str]) -> list[Suite]:
    known = {suite.name: suite for suite in SUITES}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no such suite: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", help=", ".join(suite.name for suite in SUITES))
    names = parser.parse_args().suites
    suites = chosen(names) if names else [suite for suite in SUITES if suite.exists()]
    LOGS.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # Nodes of tests must not meet strangers; tests of discovery say which modes they want.
    os.environ["MESHNET_DISCOVERY_MODE"] = "none"
    run, total = Run(), Counts()
    for suite in suites:
        counts = run.suite(suite)
        total.passed += counts.passed
        total.failed += counts.failed
        total.skipped += counts.skipped
        total.failures += [f"{suite.name}: {failure}" for failure in counts.failures or ["see its log"] * bool(counts.failed)]
    # Once more at the end: of a long output that is what is read, and sometimes all that is kept.
    for failure in total.failures[:MOST_FAILURES]:
        print(f"failed     {failure[:LONGEST_FAILURE]}")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
