"""A peer that is gone without a word is noticed soon, one whose program stands still is not taken for it, and both are met again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.lab import Host, Lab
from harness.node import Node
from waiting import eventually, holds

Start = Callable[[Host], Node]

#: The kernel gives up after 3 s without a sign of life, and rounds its timers up by some hundredths; the rest is for a machine under load.
NOTICED = 3.5


def pair(lab: Lab, node: Start) -> tuple[Host, Node, Node]:
    """Two connected nodes; the pings are so rare that they find nothing."""
    a, b = lab.hosts(2, lab.switch("lan"), ipv6=False)
    here, there = node(a).open(ping_interval=600, ping_timeout=600), node(b).open(ping_interval=600, ping_timeout=600)
    here.call("connect", address=there.address())
    eventually(lambda: there.connected() == {here.peer_id}, "both are connected", 10)
    return b, here, there


def cut(host: Host) -> float:
    """Nothing arrives at the host any more and nothing leaves it; nobody is told."""
    host.nft("add rule inet lab input meta l4proto tcp drop", "add rule inet lab output meta l4proto tcp drop")
    return time.monotonic()


def noticed(node: Node, since: float) -> float:
    """Seconds until the node knew."""
    eventually(lambda: node.lost(), f"{node.name} notices", 20)
    lost: dict[str, Any] = node.lost()[0]
    return float(lost["t"]) - since


def dialled(one: Node, other: Node) -> bool:
    try:
        one.call("connect", address=other.address())
    except RuntimeError:
        return False
    return True


def test_an_idle_peer_that_vanishes_is_noticed_in_three_seconds(lab: Lab, node: Start) -> None:
    host, here, there = pair(lab, node)
    time.sleep(2.4)  # idle: the kernel has begun to ask
    since = cut(host)
    for one in (here, there):
        assert noticed(one, since) < NOTICED, one.name


def test_a_peer_that_vanishes_with_bytes_under_way_is_noticed_in_three_seconds(lab: Lab, node: Start) -> None:
    host, here, there = pair(lab, node)
    since = cut(host)
    here.start("ping", peer=there.peer_id, timeout=30)
    assert noticed(here, since) < NOTICED


def test_a_program_that_stands_still_is_not_dead(lab: Lab, node: Start) -> None:
    _, here, there = pair(lab, node)
    there.suspend()
    here.start("ping", peer=there.peer_id, timeout=30)
    holds(lambda: not here.lost(), "its kernel answers", 7, here.lost)
    there.resume()
    eventually(lambda: here.reaches(there), "it goes on where it was", 10)
    assert not here.lost() and not there.lost()


def test_a_cable_of_ours_that_is_pulled_is_noticed_at_once(lab: Lab, node: Start) -> None:
    host, here, there = pair(lab, node)
    since = time.monotonic()
    host.unplug()
    assert noticed(there, since) < NOTICED
    host.plug()
    # The switch forwards a while after the carrier came.
    eventually(lambda: dialled(there, here), "they meet again", 20)
    assert there.reaches(here)
