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
from harness.foreign import Headscale, NameServer
from harness.lab import Host, Lab
from harness.node import Node, mesh
from waiting import eventually, holds

Start = Callable[[Host], Node]

MEMORY_MAX = 64 << 20  # bytes that a node may grow by under any flood
FLOOD_SECONDS = 20.0 if LONG else 4.0
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


def test_others_meet_while_a_name_has_a_thousand_addresses(lab: Lab, node: Start) -> None:
    first, second, server = lab.hosts(3, lab.switch("lan"))
    names = NameServer(server, "10.77.0.3")
    names.serve(*[f"host-record=svc.test,10.77.{1 + number // 250}.{1 + number % 250}" for number in range(1_000)])
    try:
        env = {"MESHNET_DISCOVERY_SERVICE": "svc.test:4001", "MESHNET_DISCOVERY_INTERVAL": "1"}
        for host in (first, second):
            host.name_server("10.77.0.3")
        here, there = node(first), node(second)
        before = here.resident_bytes()
        here.open("mdns,dns", env)
        eventually(lambda: len(here.discovery()["entries"]) > 10, "the addresses are in the table", state=here.discovery)
        there.open("mdns,dns", env)
        mesh([here, there])
        assert here.resident_bytes() - before < MEMORY_MAX
        assert here.call("ping", peer=there.peer_id) < 5
    finally:
        names.stop()


@pytest.mark.parametrize("misbehaviour", ["huge", "hang", "drip", "deep"] if LONG else ["huge", "hang"])
def test_others_meet_while_the_control_server_misbehaves(misbehaviour: str, lab: Lab, node: Start) -> None:
    first, second, host = lab.hosts(3, lab.switch("lan"))
    server = Headscale(host, "10.77.0.3")
    server.start(misbehaviour=misbehaviour)
    try:
        env = {
            "MESHNET_HEADSCALE_API_URL": server.url,
            "MESHNET_HEADSCALE_API_KEY": server.key,
            "MESHNET_HEADSCALE_POLL_INTERVAL": "1",
            "MESHNET_HEADSCALE_PORT": "4001",
        }
        here, there = node(first), node(second)
        before = here.resident_bytes()
        here.open("mdns,headscale", env)
        there.open("mdns,headscale", env)
        mesh([here, there])
        holds(lambda: here.resident_bytes() - before < MEMORY_MAX, "the memory is bounded", 3, here.resident_bytes)
        assert there.peer_id in here.connected()
    finally:
        server.stop()
