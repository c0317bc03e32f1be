"""Instructions and allocations of the engine in memory, counted; `make test SUITES=bench` holds them to bench/baseline.json.

Callgrind runs the counting program twice, with work of two lengths: the difference is what the work costs, without its beginning. Instructions of the
libraries for cryptography are left out, because they choose their code by the processor.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import programs
from programs import ROOT, output

BASELINE = Path(__file__).resolve().parent / "baseline.json"
PROGRAM = ROOT / ".build" / "release" / "meshnet-counts"
#: Instructions of another architecture are other ones.
ARCHITECTURE = "x86_64"
#: More instructions than the baseline by this share are a failure.
TOLERANCE = 0.10
LEFT_OUT = ("libcrypto", "libsodium")
#: Hashes do not differ from run to run, and a copy of many bytes is not counted byte by byte, as callgrind counts `rep movsb`.
ENVIRONMENT = {
    **os.environ,
    "SWIFT_DETERMINISTIC_HASHING": "1",
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000",
}


@dataclass(frozen=True)
class Work:
    """What is counted: arguments of the program, with the length of a short run; the long one is three times that."""

    mode: str
    length: int
    options: tuple[str, ...] = ()


WORKS: Mapping[str, Work] = {
    "frame": Work("frames", 160),
    "frame in a private network": Work("frames", 160, ("pnet",)),
    "round trip on a stream": Work("trips", 400),
    "message": Work("messages", 4_000),
    "request": Work("requests", 200),
    "message of a topic": Work("topics", 4_000),
}


def instructions_of(profile: str) -> int:
    """The sum over all objects but those left out. The line after `calls=` has the cost of the callee, which is counted there."""
    names: dict[str, str] = {}
    total, counts, is_call = 0, True, False
    for text in profile.splitlines():
        if found := re.match(r"ob=(\(\d+\))(?: (.*))?$", text):
            names.setdefault(found[1], found[2] or "")
            counts = not any(name in names[found[1]] for name in LEFT_OUT)
        elif text.startswith("cob="):
            if (found := re.match(r"cob=(\(\d+\)) (.*)$", text)) is not None:
                names.setdefault(found[1], found[2])
        elif text.startswith("calls="):
            is_call = True
        elif re.match(r"[0-9+*-]", text):
            if counts and not is_call:
                total += int(text.split()[1])
            is_call = False
    return total


def run(work: Work, length: int) -> tuple[int, Mapping[str, float]]:
    """Instructions of a whole run, and what the program counted."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/profile"
        callgrind = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={file}", "-q")
        said = output(*callgrind, str(PROGRAM), work.mode, str(length), *work.options, environment=ENVIRONMENT)
        return instructions_of(Path(file).read_text()), json.loads(said)


def count(work: Work) -> dict[str, float]:
    """Of one frame, message or round trip, of both ends together."""
    (short, _), (long, said) = run(work, work.length), run(work, 3 * work.length)
    units = next(value for name, value in said.items() if name != "allocations")
    # The program counts the second half of its work; all of it is twice that, and a third of all was in the short run.
    more = 2 * units * 2 / 3
    return {"instructions": round((long - short) / more, 1), "allocations": round(said["allocations"] / units, 3)}


def renew() -> None:
    """Keeps the counts of now."""
    programs.build_counts()
    found = {name: count(work) for name, work in WORKS.items()}
    BASELINE.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def baseline() -> dict[str, dict[str, float]]:
    kept: dict[str, dict[str, float]] = json.loads(BASELINE.read_text())
    return kept
