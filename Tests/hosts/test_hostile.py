"""A host that means harm on the same switch: the others still meet, within bounds of memory and time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import LONG
from harness.lab import Host, Lab
from harness.node import Node, mesh
from harness.waiting import eventually

Start = Callable[[Host], Node]

MEMORY_MAX = 64 << 20  # bytes that a node may grow by under any flood
FLOOD_SECONDS = 20.0 if LONG else 5.0
FLOOD = Path(__file__).parent / "harness" / "flood.py"

@contextmanager
def flood(host: Host, kind: str, address: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    command = host.command(sys.executable, str(FLOOD), kind, address, str(seconds))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["peers", "loops", "noise", "queries"])
def test_others_meet_during_a_flood(kind: str, lab: Lab, node: Start) -> None:
    victim_a, victim_b, hostile = lab.hosts(3, lab.switch("lan"))
    here, there = node(victim_a), node(victim_b)
    here.open("mdns")
    before, busy = here.resident_bytes(), here.cpu_seconds()
    begin = time.monotonic()
    with flood(hostile, kind, "10.77.0.3", FLOOD_SECONDS) as process:
        eventually(lambda: time.monotonic() - begin > 1, "the flood runs")
        there.open("mdns")
        mesh([here, there], 30)
        process.wait(60)
        assert process.stdout is not None and int(process.stdout.read()) > 1_000
    elapsed = time.monotonic() - begin
    assert here.resident_bytes() - before < MEMORY_MAX
    assert here.cpu_seconds() - busy < 0.5 * elapsed
    # And it answers as before.
    assert here.call("ping", peer=there.peer_id) < 5
