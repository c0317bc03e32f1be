"""Embedded mDNS between hosts of one switch: how fast they meet, with and without loss."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import RUNS
from harness.lab import Lab
from harness.measure import Ten, full_mesh, newcomer, percentile, ten


@pytest.fixture(scope="module")
def hosts(_namespaces: None) -> Iterator[Ten]:
    with Lab() as lab, ten(lab) as hosts:
        yield hosts


def test_ten_hosts_are_a_full_mesh_though_a_fifth_of_the_multicast_is_lost(hosts: Ten, capsys: pytest.CaptureFixture[str]) -> None:
    met = full_mesh(hosts, RUNS, loss=20)
    with capsys.disabled():
        print(f"\n10 hosts, 20 % loss: {met}")
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
