"""The lab itself: what it says about hosts, links and faults is so. Nodes meet by addresses here, without any discovery."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.lab import MDNS, PREFIX, Host, Lab, NoLab, remove_leftovers, run
from harness.node import Node, mesh
from waiting import eventually

Start = Callable[[Host], Node]


def test_hosts_of_a_switch_reach_each_other_by_both_families(lab: Lab, node: Start) -> None:
    a, b = (node(host).open() for host in lab.hosts(2, lab.switch("lan")))
    assert a.call("connect", address=b.address("/ip4/10.77.0.2/")) == b.peer_id
    a.call("disconnect", peer=b.peer_id)
    eventually(lambda: not a.connected() and not b.connected(), "both know that they are apart")
    assert a.call("connect", address=b.address("/ip6/fd77::2/")) == b.peer_id


def test_subnets_meet_through_a_router_only(lab: Lab, node: Start) -> None:
    left, right = lab.switch("left"), lab.switch("right")
    router = lab.host("router", forwards=True)
    router.attach(left, "10.1.0.254/24", "fd01::fe/64", interface="eth0")
    router.attach(right, "10.2.0.254/24", "fd02::fe/64", interface="eth1")
    a = lab.host("a", left, "10.1.0.1/24", "fd01::1/64")
    b = lab.host("b", right, "10.2.0.1/24", "fd02::1/64")
    here, there = node(a).open(), node(b).open()
    with pytest.raises(RuntimeError, match="unreachable|no route"):
        here.call("connect", address=there.address("/ip4/10.2.0.1/"), timeout=5)
    a.default_route("10.1.0.254", "fd01::fe")
    b.default_route("10.2.0.254", "fd02::fe")
    assert here.call("connect", address=there.address("/ip4/10.2.0.1/")) == there.peer_id
    here.call("disconnect", peer=there.peer_id)
    assert here.call("connect", address=there.address("/ip6/fd02::1/")) == there.peer_id


def test_a_bootstrap_peer_is_met_again_after_the_link_was_down(lab: Lab, node: Start) -> None:
    lan = lab.switch("lan")
    a, b = lab.hosts(2, lan)
    there = node(b).open()
    here = node(a).open(bootstrap_peers=[there.address()], ping_interval=0.5, ping_timeout=1)
    mesh([here, there])
    a.unplug()
    eventually(lambda: not here.connected(), "the silence is noticed", 20)
    a.plug()
    mesh([here, there], 35)


def test_what_is_dropped_does_not_arrive(lab: Lab, node: Start) -> None:
    a, b = lab.hosts(2, lab.switch("lan"))
    there = node(b).open()
    here = node(a).open()
    b.drop_incoming("meta l4proto tcp")
    with pytest.raises(RuntimeError):
        here.call("connect", address=there.address(), timeout=2)
    assert b.dropped() > 0
    b.drop_nothing()
    assert here.call("connect", address=there.address()) == there.peer_id


LISTEN = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5353))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + socket.inet_aton("10.77.0.2"))
print("joined", flush=True)
sys.stdin.read()
"""
SEND = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.1"))
for _ in range(2000): s.sendto(b"x", ("224.0.0.251", 5353))
"""


def test_a_share_is_dropped_of_multicast(lab: Lab) -> None:
    a, b = lab.hosts(2, lab.switch("lan"))
    b.drop_incoming(MDNS, percent=20)
    with subprocess.Popen(b.command(sys.executable, "-c", LISTEN), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None and listener.stdout.readline() == "joined\n"
        assert a.execute(sys.executable, "-c", SEND).returncode == 0
        eventually(lambda: b.dropped() > 300, "about 400 of 2,000 are dropped", state=b.dropped)
        assert b.dropped() < 500
        listener.communicate()


def test_a_host_has_its_own_name_server(lab: Lab) -> None:
    a, b = lab.hosts(2, lab.switch("lan"))
    a.name_server("10.77.0.53")
    assert a.execute("cat", "/etc/resolv.conf").stdout == "nameserver 10.77.0.53\n"
    assert b.execute("cat", "/etc/resolv.conf").stdout == "nameserver 127.0.0.1\n"


def test_a_suspended_node_answers_when_it_wakes(lab: Lab, node: Start) -> None:
    a, b = lab.hosts(2, lab.switch("lan"))
    there, here = node(b).open(), node(a).open()
    here.call("connect", address=there.address())
    there.suspend()
    ping = here.start("ping", peer=there.peer_id)
    assert not ping.done()
    there.resume()
    assert ping.result(20) > 0


CRASH = """
import os, subprocess
from harness.lab import Lab
lab = Lab()
host = lab.host("h", lab.switch("s"), "10.0.0.1/24")
subprocess.Popen(host.command("sleep", "600"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(lab.prefix, flush=True)
os._exit(9)
"""


def test_a_crashed_run_leaves_nothing_for_long(_namespaces: None) -> None:
    crashed = subprocess.run([sys.executable, "-c", CRASH], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60)
    prefix = crashed.stdout.strip()
    assert prefix.startswith(PREFIX), crashed.stderr
    assert prefix in run("ip", "netns", "list")
    remove_leftovers()
    assert prefix not in run("ip", "netns", "list")


def test_without_root_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoLab, match="root"):
        Lab()
