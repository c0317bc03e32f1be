"""Several hosts on one machine. The whole suite is skipped, with the reason, where network namespaces cannot be had."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harness.lab import Host, Lab, NoLab, check
from harness.node import Node

#: Runs of the measurements whose bound is a percentile: few in `make test`, as many as the bound speaks of with the variable.
RUNS = int(os.environ.get("MESHNET_LAB_RUNS", "4"))
#: With as many runs, faults also last as long as the bounds speak of.
LONG = RUNS >= 20


@pytest.fixture(scope="session")
def _namespaces() -> None:
    try:
        check()
    except NoLab as reason:
        pytest.skip(str(reason))


@pytest.fixture
def lab(_namespaces: None) -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture
def node(lab: Lab) -> Iterator[Callable[[Host], Node]]:
    """Starts a process for nodes on a host; it ends with the test."""
    with ExitStack() as stack:

        def one(host: Host) -> Node:
            node = Node(host)
            stack.callback(node.close)
            node.ready()
            return node

        yield one
