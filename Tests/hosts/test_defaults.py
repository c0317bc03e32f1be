"""Programs that are told nothing at all: no address, no option, no variable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness.lab import Host, Lab
from harness.node import Node, mesh

Start = Callable[[Host], Node]
COMMAND = Path(__file__).resolve().parents[2] / ".build" / "release" / "meshnet-cli"


def test_nodes_of_python_and_of_the_command_meet(lab: Lab, node: Start) -> None:
    first, second, third = lab.hosts(3, lab.switch("lan"))
    nodes = [node(host).open("") for host in (first, second)]
    mesh(nodes)
    seen = third.execute(str(COMMAND), "discover", "--json", "--seconds", "3")
    assert seen.returncode == 0, seen.stderr
    told = [json.loads(line) for line in seen.stdout.splitlines()]
    connected = {event.get("peer") for event in told if event["event"] == "entry" and event.get("state") == "connected"}
    assert {one.peer_id for one in nodes} <= connected, seen.stdout


def test_a_host_with_a_router_meets_those_behind_it_when_told_one_of_them(lab: Lab, node: Start) -> None:
    """mDNS on both sides and gossip across, as by default: one address is enough for all."""
    left, right = lab.switch("left"), lab.switch("right")
    router = lab.host("router", left, "10.1.0.254/24", forwards=True)
    router.attach(right, "10.2.0.254/24", interface="eth1")
    here, *there = lab.host("a", left, "10.1.0.1/24"), lab.host("b", right, "10.2.0.1/24"), lab.host("c", right, "10.2.0.2/24")
    here.default_route("10.1.0.254")
    for host in there:
        host.default_route("10.2.0.254")
    others = [node(host).open("") for host in there]
    mesh(others)
    one = node(here).open("", bootstrap_peers=[others[0].address()])
    mesh([one, *others])
