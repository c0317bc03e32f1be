"""Name servers and control servers that are down for a while: nobody is lost meanwhile, and all heals within twice the interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from conftest import LONG
from harness.foreign import Headscale, NameServer
from harness.lab import Host, Lab
from harness.node import Node, mesh
from waiting import eventually, holds

Start = Callable[[Host], Node]

INTERVAL = 2.0  # seconds between two questions
DOWN = 60.0 if LONG else 8.0  # seconds
#: Twice the interval, and what a dial and a busy machine may take.
HEALED = 2 * INTERVAL + 1.5


def lost(*nodes: Node) -> list[object]:
    return [event for node in nodes for event in node.lost()]


@pytest.fixture
def hosts(lab: Lab) -> list[Host]:
    """Four, of which the last is for the server."""
    return lab.hosts(4, lab.switch("lan"))


@pytest.fixture
def names(hosts: list[Host]) -> Iterator[NameServer]:
    server = NameServer(hosts[3], "10.77.0.4")
    for host in hosts[:3]:
        host.name_server("10.77.0.4")
    yield server
    server.stop()


@pytest.fixture
def headscale(hosts: list[Host]) -> Iterator[Headscale]:
    server = Headscale(hosts[3], "10.77.0.4")
    yield server
    server.stop()


def by_name(node: Node) -> Node:
    env = {"MESHNET_DISCOVERY_SERVICE": "svc.test:4001", "MESHNET_DISCOVERY_INTERVAL": str(INTERVAL)}
    return node.open("dns", env, listen_port=4001)


def by_headscale(node: Node, server: Headscale) -> Node:
    env = {
        "MESHNET_HEADSCALE_API_URL": server.url,
        "MESHNET_HEADSCALE_API_KEY": server.key,
        "MESHNET_HEADSCALE_POLL_INTERVAL": str(INTERVAL),
        "MESHNET_HEADSCALE_PORT": "4001",
    }
    return node.open("headscale", env, listen_port=4001)


def test_pods_that_appear_in_the_records_are_met(hosts: list[Host], names: NameServer, node: Start) -> None:
    """The records of a headless service change with its pods."""
    names.serve("host-record=svc.test,10.77.0.1")
    nodes = [by_name(node(host)) for host in hosts[:3]]
    eventually(lambda: all(nodes[0].peer_id in one.connected() for one in nodes[1:]), "both have met the first")
    assert nodes[2].peer_id not in nodes[1].connected()
    names.serve("host-record=svc.test,10.77.0.1", "host-record=svc.test,10.77.0.2", "host-record=svc.test,10.77.0.3")
    assert mesh(nodes, 15) < HEALED
    # Pods that vanish from the records and live are kept: the records are who may be met, not who must go.
    names.serve("host-record=svc.test,10.77.0.1")
    holds(lambda: nodes[1].peer_id in nodes[0].connected(), "the connection outlives the record", 2 * INTERVAL)
    assert lost(*nodes) == []


def test_a_name_server_that_was_down_is_asked_again(hosts: list[Host], names: NameServer, node: Start) -> None:
    names.serve("host-record=svc.test,10.77.0.1", "host-record=svc.test,10.77.0.2")
    first, second = (by_name(node(host)) for host in hosts[:2])
    mesh([first, second])
    names.stop()
    third = by_name(node(hosts[2]))
    holds(lambda: second.peer_id in first.connected(), "the connection lives without the name server", DOWN, first.connected)
    assert third.connected() == set()
    names.serve("host-record=svc.test,10.77.0.1", "host-record=svc.test,10.77.0.2", "host-record=svc.test,10.77.0.3")
    assert mesh([first, second, third], 15) < HEALED
    assert lost(first, second) == []


def test_a_name_server_that_does_not_answer_is_asked_again(hosts: list[Host], names: NameServer, node: Start) -> None:
    """Behind a firewall that drops: each question ends by its own time limit, and not by a refusal."""
    names.serve("host-record=svc.test,10.77.0.1", "host-record=svc.test,10.77.0.2")
    hosts[3].drop_incoming("udp dport 53")
    first, second = (by_name(node(host)) for host in hosts[:2])
    holds(lambda: first.connected() == set(), "nobody is known", DOWN / 2, first.connected)
    hosts[3].drop_nothing()
    mesh([first, second], 20)


def test_a_headscale_server_that_was_down_is_asked_again(hosts: list[Host], headscale: Headscale, node: Start) -> None:
    headscale.start("10.77.0.1", "10.77.0.2")
    first, second = (by_headscale(node(host), headscale) for host in hosts[:2])
    mesh([first, second])
    headscale.stop()
    third = by_headscale(node(hosts[2]), headscale)
    holds(lambda: second.peer_id in first.connected(), "the connection lives without the server", DOWN, first.connected)
    assert third.connected() == set()
    headscale.start("10.77.0.1", "10.77.0.2", "10.77.0.3")
    assert mesh([first, second, third], 15) < HEALED
    assert lost(first, second) == []
