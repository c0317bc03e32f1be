"""A process that stood still finds its peers at once when it goes on, whatever wait it was in."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.lab import Host, Lab
from harness.node import Node
from waiting import eventually, holds

Start = Callable[[Host], Node]

#: Seconds: a day, so that no random part of it passes within a test.
AGES = 86_400.0
#: Looks at the clocks every second; what comes two seconds too late is a wake.
WAKE = {"wake": ["Wake", {"interval": 1.0, "jump": 2.0}]}


def test_a_wait_ends_when_the_process_goes_on(lab: Lab, node: Start) -> None:
    a, b = lab.hosts(2, lab.switch("lan"), ipv6=False)
    there = node(b).open(listen_port=4001)
    here = node(a).open(bootstrap_peers=[there.address()], backoff_first=AGES, backoff_cap=AGES, objects=WAKE)
    eventually(lambda: here.connected() == {there.peer_id}, "both are connected", 20)
    there.close_node()
    eventually(here.lost, "the connection is gone", 20)
    there.open(listen_port=4001, identity="same")
    holds(lambda: not there.connected(), "the next try is far away", 3)
    assert not here.told("Woke")

    here.suspend()
    stopped = time.monotonic()
    holds(lambda: not there.connected(), "nothing happens while it stands still", 5)
    here.resume()
    stood = time.monotonic() - stopped
    eventually(lambda: there.connected() == {here.peer_id}, "it is there again", 20)
    woke = eventually(lambda: here.told("Woke"), "it says that it woke", 20)
    assert len(woke) == 1 and 2 < woke[0]["after"] < stood + 2, woke


def test_a_dead_connection_is_found_at_once(lab: Lab, node: Start) -> None:
    """The peer went while the process stood still, and its kernel could not say so: all links are asked upon a wake."""
    a, b = lab.hosts(2, lab.switch("lan"), ipv6=False)
    there = node(b).open(ping_interval=AGES)
    options = {"keepalive": ["Keepalive", {"local_idle": 600.0, "local_timeout": 1200.0}]}
    here = node(a).open(ping_interval=AGES, ping_timeout=2.0, objects=WAKE | options)
    here.call("connect", address=there.address())
    eventually(lambda: there.connected() == {here.peer_id}, "both are connected", 20)
    here.suspend()
    b.nft("add rule inet lab input meta l4proto tcp drop", "add rule inet lab output meta l4proto tcp drop")
    time.sleep(5)  # what is tested is that time passes
    assert not here.lost()
    here.resume()
    eventually(here.lost, "the dead connection is given up", 20)
    assert here.told("Woke")
