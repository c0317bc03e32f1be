"""A meshnet node on a host of the lab, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from waiting import eventually

from .lab import Host
from .program import TIMEOUT, Program


class Node(Program):
    """`open` and `close` may follow each other; the process stays, so that a run does not wait for Python to start."""

    script = "node_worker.py"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.peer_id = ""
        self.listens: list[str] = []
        self.opened = 0.0
        self._first_event = 0

    def start_open(self, discovery: str = "none", env: dict[str, str] | None = None, **options: Any) -> Future[Any]:
        """Begins to open a node. `discovery` is what the variable of discovery modes says, "" as if it were not there; options are those of
        meshnet.Node."""
        self._first_event = len(self.events())
        return self.start("open", env={"MESHNET_DISCOVERY_MODE": discovery} | (env or {}), **options)

    def finish_open(self, opening: Future[Any]) -> Node:
        got = self._result(opening, "open")
        self.peer_id, self.listens, self.opened = got["peer"], got["listens"], got["t"]
        return self

    def open(self, discovery: str = "none", env: dict[str, str] | None = None, **options: Any) -> Node:
        return self.finish_open(self.start_open(discovery, env, **options))

    def close_node(self) -> None:
        self.call("close")

    def told(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events of the node that is open."""
        return [event for event in self.events()[self._first_event :] if kind is None or event["event"] == kind]

    def address(self, prefix: str = "/ip4/10.") -> str:
        """Where another host can dial it."""
        eventually(lambda: any(text.startswith(prefix) for text in self.call("listens")), f"{self.name} listens at {prefix}…")
        found = next(text for text in self.call("listens") if text.startswith(prefix))
        return f"{found}/p2p/{self.peer_id}"

    def connected(self) -> set[str]:
        return {peer["peer_id"] for peer in self.call("peers")}

    def reaches(self, *others: Node) -> bool:
        """Whether all of them answer now: a connection that is listed may be dead and not known to be yet."""
        pings = [self.start("ping", peer=other.peer_id, timeout=2) for other in others]
        return all(ping.exception(TIMEOUT) is None for ping in pings)

    def first_contact(self) -> dict[str, float]:
        """When each peer was first connected, on the clock of `time.monotonic`."""
        first: dict[str, float] = {}
        for event in self.told("Connected"):
            first.setdefault(event["peer_id"], event["t"])
        return first

    def lost(self) -> list[dict[str, Any]]:
        return self.told("Disconnected")

    def discovery(self) -> Any:
        """The table, as meshnet.Node.discovery() gives it."""
        return self.call("call", method="discovery")

    def diagnose(self, target: str) -> Any:
        return self.call("call", method="diagnose", arguments=[target])


def open_all(nodes: Sequence[Node], discovery: str, **options: Any) -> float:
    """Opens them at one time; when that was."""
    begin = time.monotonic()
    openings = [node.start_open(discovery, **options) for node in nodes]
    for node, opening in zip(nodes, openings):
        node.finish_open(opening)
    return begin


def close_all(nodes: Iterable[Node]) -> None:
    closings = [(node, node.start("close")) for node in nodes]
    for node, closing in closings:
        node._result(closing, "close")


def start_all(hosts: Iterable[Host]) -> list[Node]:
    """A process on each host; without a node yet."""
    nodes = [Node(host) for host in hosts]
    for node in nodes:
        node.ready()
    return nodes


@dataclass(frozen=True)
class Meeting:
    """How long it took from the moment all were opened, in seconds."""

    first_contact: float
    full_mesh: float


def missing(nodes: Sequence[Node]) -> dict[str, list[str]]:
    """Who has not met whom, by host."""
    names = {node.peer_id: node.host.name for node in nodes}
    lacking = {node.host.name: sorted(names[peer] for peer in names.keys() - {node.peer_id} - node.first_contact().keys()) for node in nodes}
    return {name: peers for name, peers in lacking.items() if peers}


def meeting(nodes: Sequence[Node], begin: float, seconds: float) -> Meeting:
    """Waits until every node has met every other, and says how long that took."""
    eventually(lambda: not missing(nodes), f"{len(nodes)} nodes are a full mesh", seconds, lambda: missing(nodes))
    ours = {node.peer_id for node in nodes}
    times = [t for node in nodes for peer, t in node.first_contact().items() if peer in ours]
    return Meeting(min(times) - begin, max(times) - begin)


def mesh(nodes: Sequence[Node], seconds: float = 20) -> float:
    """Waits until all are connected with all, now; how long that took, in seconds."""
    begin = time.monotonic()
    everybody = {node.peer_id for node in nodes}

    def gaps() -> dict[str, int]:
        lacking = {node.host.name: len(everybody - {node.peer_id} - node.connected()) for node in nodes}
        return {name: count for name, count in lacking.items() if count}

    eventually(lambda: not gaps(), f"all {len(nodes)} nodes are connected with all", seconds, gaps)
    return time.monotonic() - begin
