"""What the tests share. Nothing here sleeps: every wait is for an event."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import meshnet

#: Seconds after which a wait has failed. Long, for slow and busy machines.
PATIENCE = 40

HEADER = Path(__file__).parents[2] / "include" / "meshnet.h"

E = TypeVar("E")


def local(**options: Any) -> dict[str, Any]:
    """Options of a node for tests: loopback alone."""
    options.setdefault("identity", meshnet.Keypair.generate())
    options.setdefault("listen_addresses", ["/ip4/127.0.0.1/tcp/0"])
    return options


def address_of(node: meshnet.Node | meshnet.SyncNode) -> str:
    """Where the node listens on the loopback."""
    found = [address for address in node.listen_addresses() if address.startswith("/ip4/127.0.0.1/tcp/")]
    assert found, node.listen_addresses()
    return found[0]


def port_of(address: str) -> int:
    return int(address.split("/")[4])


async def next_of(events: meshnet.Events, kind: type[E], where: Callable[[E], bool] = lambda event: True) -> E:
    """The next event of a kind; others are skipped."""
    while True:
        event = await events.next(timeout=PATIENCE)
        if isinstance(event, kind) and where(event):
            return event


def sync_next_of(events: meshnet.SyncEvents, kind: type[E], where: Callable[[E], bool] = lambda event: True) -> E:
    while True:
        event = events.next(timeout=PATIENCE)
        if isinstance(event, kind) and where(event):
            return event


@asynccontextmanager
async def connected_pair(**options: Any) -> AsyncIterator[tuple[meshnet.Node, meshnet.Node]]:
    """Two nodes; the second has dialled the first."""
    async with meshnet.Node(**local(**options)) as first, meshnet.Node(**local(**options)) as second:
        arrivals = first.events()
        assert await second.connect(address_of(first), timeout=PATIENCE) == first.peer_id
        await next_of(arrivals, meshnet.Connected)
        del arrivals
        yield first, second


@contextmanager
def sync_connected_pair(**options: Any) -> Iterator[tuple[meshnet.SyncNode, meshnet.SyncNode]]:
    with meshnet.SyncNode(**local(**options)) as first, meshnet.SyncNode(**local(**options)) as second:
        arrivals = first.events()
        assert second.connect(address_of(first), timeout=PATIENCE) == first.peer_id
        sync_next_of(arrivals, meshnet.Connected)
        del arrivals
        yield first, second


@asynccontextmanager
async def topic_pair(topic: str = "news", **options: Any) -> AsyncIterator[tuple[meshnet.Node, meshnet.Node]]:
    """Two connected nodes that know of each other that both follow the topic."""
    async with connected_pair(**options) as (first, second):
        heard = [first.events(), second.events()]
        for node in (first, second):
            assert await node.subscribe(topic)
        for events in heard:
            await next_of(events, meshnet.Subscription, lambda event: event.topic == topic and event.subscribed)
        del heard, events  # nobody reads them any more
        yield first, second


def run_script(script: str, *arguments: str, warnings: str = "error", timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process of its own, isolated: not with the sources of the package that lie here, but with the one installed."""
    command = [sys.executable, "-I", "-W", warnings, "-X", "faulthandler", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)
