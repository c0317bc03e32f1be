"""Embedded mDNS between hosts of one switch: how fast they meet, with and without loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from conftest import RUNS
from harness.lab import Host, Lab
from harness.measure import Ten, full_mesh, newcomer, percentile, ten
from harness.node import Node
from harness.packets import QUERY, ask


@pytest.fixture(scope="module")
def hosts(_namespaces: None) -> Iterator[Ten]:
    with Lab() as lab, ten(lab) as hosts:
        yield hosts


@pytest.mark.parametrize("ipv6", [True, False], ids=["both-families", "ipv4-alone"])
def test_ten_hosts_are_a_full_mesh_though_a_fifth_of_the_multicast_is_lost(ipv6: bool, hosts: Ten, capsys: pytest.CaptureFixture[str]) -> None:
    met = full_mesh(hosts, RUNS, loss=20, ipv6=ipv6)
    with capsys.disabled():
        print(f"\n10 hosts, 20 % loss, {'both families' if ipv6 else 'IPv4 alone'}: {met}")
    assert met.dropped > 10 * RUNS
    assert percentile(met.full_mesh, 99) < 5, met


def test_ten_hosts_are_a_full_mesh(hosts: Ten, capsys: pytest.CaptureFixture[str]) -> None:
    met = full_mesh(hosts, RUNS, loss=0)
    with capsys.disabled():
        print(f"\n10 hosts, no loss: {met}")
    assert percentile(met.full_mesh, 99) < 5, met


def test_a_newcomer_has_its_first_contact_in_half_a_second(hosts: Ten, capsys: pytest.CaptureFixture[str]) -> None:
    samples = newcomer(hosts, RUNS)
    with capsys.disabled():
        print(f"\nfirst contact: p50 {percentile(samples, 50):.3f} s, p99 {percentile(samples, 99):.3f} s; {len(samples)} runs")
    assert percentile(samples, 99) < 0.5, samples


def test_each_interface_hears_its_own_packets(lab: Lab, node: Callable[[Host], Node]) -> None:
    """Linux from 6.10 on gave those of one interface to the socket of another, by a hash of the sender's address."""
    lans = [lab.switch("left"), lab.switch("right")]
    host = lab.host("host", lans[0], "10.1.0.1/24")
    host.attach(lans[1], "10.2.0.1/24", interface="eth1")
    node(host).open("mdns")
    for number, lan in enumerate(lans, 1):
        for last in range(11, 15):
            asker = lab.host(f"asker{number}{last}", lan, f"10.{number}.0.{last}/24")
            heard = [packet for packet in ask(asker, f"10.{number}.0.{last}", [QUERY], 3) if packet.is_response]
            assert heard, f"no answer to 10.{number}.0.{last}"
            told = {record.data for packet in heard for record in packet.additional if record.type == "A"}
            assert told == {bytes([10, number, 0, 1])}, f"10.{number}.0.{last} is told {told}"
