"""What needs several hosts, each a network namespace of this machine; by the programs of Tests/hosts, as root."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from programs import ROOT, Unmeasured, line, messages, python, sink, started
from streams import Settings
from table import Row
from talk import control_round

OUT_SECONDS = 10
INSIDE = ("ip", "netns", "exec")
GIGABIT = ("rate", "1gbit", "burst", "64k", "latency", "20ms")


def lab() -> Any:
    sys.path[:0] = [str(ROOT / "Tests" / "hosts"), str(ROOT / "Tests")]
    from harness.lab import Lab, NoLab

    try:
        return Lab()
    except NoLab as reason:
        raise Unmeasured(str(reason)) from None


def discovery(by: Mapping[str, Row], settings: Settings) -> None:
    """mDNS between ten hosts with new identities: from the moment that all are opened to the full mesh, and of one more to its first connection."""
    with lab() as here:
        from harness import measure

        with measure.ten(here) as hosts:
            samples = {
                "newcomer": measure.newcomer(hosts, settings.runs),
                "mesh": measure.full_mesh(hosts, settings.runs, loss=0).full_mesh,
                "mesh-loss": measure.full_mesh(hosts, settings.runs, loss=20).full_mesh,
                "mesh-loss-ipv4": measure.full_mesh(hosts, settings.runs, loss=20, ipv6=False).full_mesh,
            }
    for key, seconds in samples.items():
        for sample in seconds:
            by[key].add(ours=sample)


def returning(by: Mapping[str, Row], settings: Settings) -> None:
    """The cable of one of two hosts is out: from its return to the reply of a request that was sent meanwhile."""
    with lab() as hosts:
        here, there = hosts.hosts(2, hosts.switch("lan"), ipv6=False)
        with (
            sink(*INSIDE, there.netns, *python("meshnet", "sink", "10.77.0.2")) as words,
            started(*INSIDE, here.netns, *python("meshnet", "return", "10.77.0.1", *words)) as process,
        ):
            if line(process) != "ready":
                raise Unmeasured("the hosts did not meet")
            for _ in range(settings.rounds):
                there.unplug()
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
                time.sleep(OUT_SECONDS)
                plugged = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                there.plug()
                by["return"].add(ours=(int(line(process)) - plugged) / 1e6)


def control_link(by: Mapping[str, Row], settings: Settings) -> None:
    """The control lane beside bulk over a link of 1 Gbit/s between two hosts, whose queue holds 20 ms."""
    with lab() as hosts:
        here, there = hosts.hosts(2, hosts.switch("lan"), ipv6=False)
        for host in (here, there):
            host.run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *GIGABIT)
        with sink(*INSIDE, there.netns, *messages("sink", "10.77.0.2")) as words:
            for _ in range(settings.rounds):
                control_round(by, "control-link", settings, words, (*INSIDE, here.netns))
