"""How fast nodes on hosts of one switch find each other by mDNS. The tests hold these figures to their bounds, `make bench` prints them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from .lab import MDNS, Host, Lab
from .node import Node, close_all, meeting, open_all, start_all

MODE = "mdns"
HOSTS = 10
GIVEN_UP = 60.0  # seconds


def percentile(samples: Sequence[float], percent: float) -> float:
    """By nearest rank: of 20 samples the 99th percentile is the largest."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


@dataclass(frozen=True)
class Ten:
    hosts: list[Host]
    nodes: list[Node]


@contextmanager
def ten(lab: Lab, count: int = HOSTS) -> Iterator[Ten]:
    """Hosts on one switch with a waiting process on each."""
    hosts = lab.hosts(count, lab.switch("lan"))
    with ExitStack() as stack:
        nodes = start_all(hosts)
        for node in nodes:
            stack.callback(node.close)
        yield Ten(hosts, nodes)


@dataclass
class Meetings:
    """Seconds, one sample a run."""

    first_contact: list[float] = field(default_factory=list)
    full_mesh: list[float] = field(default_factory=list)
    #: Packets that were dropped, in all runs.
    dropped: int = 0

    def __str__(self) -> str:
        parts = []
        for what, samples in (("first contact", self.first_contact), ("full mesh", self.full_mesh)):
            p50, p99 = percentile(samples, 50), percentile(samples, 99)
            parts.append(f"{what} p50 {p50:.2f} s, p99 {p99:.2f} s")
        return f"{'; '.join(parts)}; {len(self.full_mesh)} runs"


def full_mesh(ten: Ten, runs: int, loss: int, ipv6: bool = True) -> Meetings:
    """All are opened at one time, with new identities; this many percent of the multicast packets that a host receives are dropped.

    Without IPv6 no question and no answer comes twice, by both families.
    """
    results = Meetings()
    for host in ten.hosts:
        host.drop_nothing()
        if not ipv6:
            host.rule("input", "ip6 daddr ff02::fb drop")
        if loss:
            host.drop_incoming(MDNS, percent=loss)
    try:
        for _ in range(runs):
            begin = open_all(ten.nodes, MODE)
            try:
                met = meeting(ten.nodes, begin, GIVEN_UP)
            finally:
                close_all(ten.nodes)
            results.first_contact.append(met.first_contact)
            results.full_mesh.append(met.full_mesh)
    finally:
        results.dropped = sum(host.dropped() for host in ten.hosts)
        for host in ten.hosts:
            host.drop_nothing()
    return results


def newcomer(ten: Ten, runs: int) -> list[float]:
    """One node runs; another is opened on another host: the seconds from then to their connection, as the newcomer sees it."""
    resident, arrival = ten.nodes[:2]
    resident.open(MODE)
    samples = []
    try:
        for _ in range(runs):
            begin = open_all([arrival], MODE)
            try:
                samples.append(meeting([arrival, resident], begin, GIVEN_UP).first_contact)
            finally:
                arrival.close_node()
    finally:
        resident.close_node()
    return samples
