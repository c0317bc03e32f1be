"""`diagnose`: each fault is made between hosts, and the answer, which comes within 10 s, must name it with its values."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.foreign import Headscale
from harness.lab import Host, Lab
from harness.node import Node
from waiting import eventually
from test_subnets import two_subnets

Start = Callable[[Host], Node]

EXPIRED_KEY = "hskey-api-expired00000-" + "k" * 64


def asked(node: Node, target: str) -> Any:
    begin = time.monotonic()
    diagnosis = node.diagnose(target)
    assert time.monotonic() - begin < 10, diagnosis
    assert all(finding["evidence"] for finding in diagnosis["findings"]), diagnosis
    return diagnosis


def verdict(node: Node, target: str, cause: str, *evidence: str, remedy: bool = True) -> Any:
    """Asks until the first finding has this cause: what a node has heard or missed takes a while to be known."""
    last: list[Any] = []

    def said() -> Any:
        last[:] = [asked(node, target)]
        first = last[0]["findings"][0]
        return first if first["cause"] == cause else None

    found = eventually(said, f"the verdict is {cause}", 30, lambda: last)
    assert all(part in found["evidence"] for part in evidence), found
    assert bool(found["remedy"]) or not remedy, found
    return found


@pytest.fixture
def two(lab: Lab) -> list[Host]:
    return lab.hosts(2, lab.switch("lan"))


# Multicast


def test_multicast_that_the_network_does_not_carry(two: list[Host], node: Start) -> None:
    for host in two:
        host.drop_incoming("iifname eth0 udp dport 5353")
    here, there = node(two[0]).open("mdns"), node(two[1]).open("mdns")
    found = verdict(here, there.peer_id, "nothing_heard", "eth0", "0 heard")
    assert "5353" in found["remedy"]


def test_multicast_that_the_other_host_blocks(two: list[Host], node: Start) -> None:
    two[1].drop_incoming("udp dport 5353")
    two[1].drop_outgoing("oifname eth0 udp dport 5353")
    here, there = node(two[0]).open("mdns"), node(two[1]).open("mdns")
    verdict(here, there.peer_id, "nothing_heard", "eth0", "0 heard")


def test_multicast_that_our_own_firewall_blocks(two: list[Host], node: Start) -> None:
    two[0].drop_incoming("udp dport 5353")
    two[0].drop_outgoing("oifname eth0 udp dport 5353")
    here, there = node(two[0]).open("mdns"), node(two[1]).open("mdns")
    found = verdict(here, there.peer_id, "nothing_heard", "eth0", "not permitted")
    assert "5353" in found["remedy"]


def test_no_interface_for_multicast(lab: Lab, node: Start) -> None:
    alone = lab.host("alone")
    here = node(alone).open("mdns")
    verdict(here, "", "no_multicast_interface")


def test_a_peer_in_another_subnet(lab: Lab, node: Start) -> None:
    left, right = two_subnets(lab, 1)
    here, there = node(left[0]).open("mdns"), node(right[0]).open("mdns")
    # By name alone nobody can know where it is.
    found = verdict(here, there.peer_id, "nothing_heard")
    assert "subnet" in found["remedy"]
    found = verdict(here, there.address(), "other_subnet", "10.2.0.1", "10.1.0.1/24")
    assert "bootstrap" in found["remedy"]


# Heard, and not dialled


def test_another_app_id(two: list[Host], node: Start) -> None:
    here, there = node(two[0]).open("mdns", app_id="one"), node(two[1]).open("mdns", app_id="two")
    verdict(here, there.peer_id, "filtered_app_id", there.peer_id)


def test_another_service_tag(two: list[Host], node: Start) -> None:
    here, there = node(two[0]).open("mdns"), node(two[1]).open("mdns", service_tag="_other._udp")
    verdict(here, there.peer_id, "filtered_service_tag")


def test_a_list_that_leaves_the_peer_out(two: list[Host], node: Start) -> None:
    here = node(two[0]).open("mdns", denied_networks=["10.77.0.0/16", "fd77::/16", "fe80::/10"])
    there = node(two[1]).open("none", listen_port=4001)
    verdict(here, there.address(), "filtered_by_list", "10.77.0.2")


# Packets that do not come back


def test_a_firewall_that_drops(two: list[Host], node: Start) -> None:
    two[1].drop_incoming("tcp dport 4001")
    here, there = node(two[0]).open("mdns"), node(two[1]).open("mdns", listen_port=4001)
    # mDNS hears it and TCP does not: the host lives.
    eventually(lambda: any(entry["peer_id"] == there.peer_id for entry in here.discovery()["entries"]), "it is heard")
    found = verdict(here, there.peer_id, "firewall", "mDNS heard it")
    assert "4001" in found["remedy"]


def test_our_own_firewall(two: list[Host], node: Start) -> None:
    two[0].drop_outgoing("tcp dport 4001")
    here, there = node(two[0]).open(), node(two[1]).open(listen_port=4001)
    verdict(here, there.address(), "firewall", "10.77.0.2")


def test_nobody_listens_there_any_more(two: list[Host], node: Start) -> None:
    here, there = node(two[0]).open(), node(two[1]).open(listen_port=4001)
    address = there.address()
    there.close_node()
    verdict(here, address, "refused", "10.77.0.2", "4001")


def test_a_host_of_our_subnet_that_does_not_answer(two: list[Host], node: Start) -> None:
    """Client isolation: the kernel finds no way to a neighbour."""
    here, there = node(two[0]).open(), node(two[1]).open()
    address = there.address()
    two[1].unplug()
    verdict(here, address, "isolated", "EHOSTUNREACH", "10.77.0.1/24 on eth0")


def test_no_route(two: list[Host], node: Start) -> None:
    verdict(node(two[0]).open(), "/ip4/192.0.2.7/tcp/4001", "unreachable", "ENETUNREACH", "192.0.2.7")


def test_a_name_that_does_not_exist(two: list[Host], node: Start) -> None:
    verdict(node(two[0]).open(), "/dns4/nobody.test/tcp/4001", "unresolved", "nobody.test")


# Who answers


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [({"secret": "one"}, {"secret": "two"}), ({"secret": "one"}, {}), ({}, {"secret": "one"}), ({"network": "a"}, {"network": "b"}),
     ({"network": "a", "secret": "one"}, {"network": "b", "secret": "one"})],
    ids=["secrets", "only-ours", "only-theirs", "networks", "network-of-one-secret"],
)  # fmt: skip
def test_another_network_or_secret(two: list[Host], node: Start, ours: dict[str, str], theirs: dict[str, str]) -> None:
    here, there = node(two[0]).open(**ours), node(two[1]).open(**theirs)
    found = verdict(here, there.address(), "other_network")
    assert "one" not in found["evidence"].split() and "two" not in found["evidence"].split()
    # The other side knows as well, without dialling.
    verdict(there, "", "other_network", "10.77.0.1")


def test_one_secret_is_one_network(two: list[Host], node: Start) -> None:
    here, there = (node(host).open("mdns", network="kitchen", secret="correct horse battery staple") for host in two)
    eventually(lambda: there.peer_id in here.connected(), "they meet", 20)
    verdict(here, there.peer_id, "connected", remedy=False)


def test_another_node_answers(two: list[Host], node: Start) -> None:
    here, there = node(two[0]).open(), node(two[1]).open()
    address = there.address()
    wrong = address.replace(there.peer_id, "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
    verdict(here, wrong, "wrong_peer", there.peer_id)


SSH = """import socket
s = socket.create_server(('', 4001))
print('up', flush=True)
while True: s.accept()[0].sendall(b'SSH-2.0-Test\\r\\n')"""


def test_something_else_listens_there(two: list[Host], node: Start, request: pytest.FixtureRequest) -> None:
    server = subprocess.Popen(two[1].command(sys.executable, "-c", SSH), stdout=subprocess.PIPE, text=True)
    request.addfinalizer(lambda: (server.kill(), server.wait(), server.stdout and server.stdout.close()))
    assert server.stdout is not None and server.stdout.readline() == "up\n"
    verdict(node(two[0]).open(), "/ip4/10.77.0.2/tcp/4001", "no_common_protocol", "10.77.0.2", "SSH-2.0-Test")


def test_two_nodes_with_one_identity(two: list[Host], node: Start) -> None:
    here = node(two[0]).open("mdns")
    there = node(two[1]).open("mdns", identity=here.call("secret_identity"))
    assert here.peer_id == there.peer_id
    for one in (here, there):
        eventually(lambda: one.told("DuplicateIdentity"), f"{one.name} is told", 20)
        found = verdict(one, one.peer_id, "duplicate_identity")
        assert "10.77.0." in found["evidence"] or "fd77::" in found["evidence"]
    assert len(here.told("DuplicateIdentity")) <= 2  # IPv4 and IPv6


def test_a_limit_of_ours(lab: Lab, node: Start) -> None:
    hosts = lab.hosts(3, lab.switch("lan"))
    first, second = node(hosts[1]).open(), node(hosts[2]).open()
    here = node(hosts[0]).open(bootstrap_peers=[first.address()], objects={"limits": ["Limits", {"connections": 1}]})
    eventually(lambda: first.peer_id in here.connected(), "the only connection stands")
    verdict(here, second.address(), "limit_reached", "1 connections")


# Control servers


@pytest.fixture
def headscale(two: list[Host]) -> Iterator[Headscale]:
    server = Headscale(two[1], "10.77.0.2")
    yield server
    server.stop()


def tailnet(node: Node, server: Headscale, key: str) -> Node:
    env = {
        "MESHNET_HEADSCALE_API_URL": server.url, "MESHNET_HEADSCALE_API_KEY": key, "MESHNET_HEADSCALE_POLL_INTERVAL": "1",
        "MESHNET_HEADSCALE_PORT": "4001",
    }  # fmt: skip
    return node.open("headscale", env)


@pytest.mark.parametrize(
    ("key", "cause"),
    [("hskey-api-0123456789ab-" + "x" * 64, "control_key_refused"), ("hskey-auth-0123456789ab-" + "x" * 64, "control_key_wrong_kind")],
    ids=["bad", "wrong-kind"],
)
def test_a_key_that_headscale_does_not_take(two: list[Host], headscale: Headscale, node: Start, key: str, cause: str) -> None:
    headscale.start("10.77.0.2")
    here = tailnet(node(two[0]), headscale, key)
    found = verdict(here, "", cause)
    assert key not in str(here.diagnose("")) and key[-16:] not in str(found)


def test_a_key_of_headscale_that_expires(two: list[Host], headscale: Headscale, node: Start) -> None:
    headscale.start()  # it lists nobody: a node that is listed and down would be named first
    here = tailnet(node(two[0]), headscale, headscale.key)
    eventually(lambda: here.discovery()["sources"] and any(s["source"] == "headscale" and s["state"] == "running" for s in here.discovery()["sources"]),
               "the key is accepted", state=here.discovery)  # fmt: skip
    headscale.stop()
    headscale.start(options=["--key", "hskey-api-another00000-" + "k" * 64])
    verdict(here, "", "control_key_expired", "any more")


def test_a_headscale_server_that_is_down(two: list[Host], headscale: Headscale, node: Start) -> None:
    verdict(tailnet(node(two[0]), headscale, "hskey-api-0123456789ab-" + "x" * 64), "", "control_server_down", "10.77.0.2")


def test_a_clock_that_is_off(two: list[Host], headscale: Headscale, node: Start) -> None:
    """A key that has expired, by a server whose clock says another day than ours."""
    headscale.start("10.77.0.2", options=["--misbehaviour", "clock"])
    verdict(tailnet(node(two[0]), headscale, EXPIRED_KEY), "", "clock_off", "its clock is")
