"""What every peer of an interop test can do, whatever it is written in."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass

ECHO = "/meshnet/test/echo/1.0.0"
PERF = "/perf/1.0.0"
PING = "/ipfs/ping/1.0.0"
IDENTIFY = "/ipfs/id/1.0.0"


@dataclass(frozen=True)
class Identity:
    """What one peer learned about another by identify."""

    agent: str
    protocols: frozenset[str]
    addresses: frozenset[str]
    observed: str


@dataclass(frozen=True)
class Received:
    origin: str
    topic: str
    data: bytes


class Peer(ABC):
    """A node in another process. Calls block, and fail with RuntimeError in the words of the peer."""

    kind: str
    peer_id: str
    address: str  # with /p2p/
    agent: str  # the start of its agent version

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received: list[Received] = []

    def _deliver(self, message: Received) -> None:
        with self._lock:
            self._received.append(message)

    def received(self, topic: str) -> list[Received]:
        """Messages that the application of this peer was given, in order, its own left out."""
        with self._lock:
            return [m for m in self._received if m.topic == topic and m.origin != self.peer_id]

    def counts(self, topic: str) -> Counter[bytes]:
        return Counter(m.data for m in self.received(topic))

    @abstractmethod
    def connect(self, address: str) -> None: ...

    @abstractmethod
    def connected(self) -> set[str]:
        """The ids of the peers that this one is connected to."""

    @abstractmethod
    def identify(self, peer: str) -> Identity: ...

    @abstractmethod
    def ping(self, peer: str) -> float:
        """The round trip in seconds."""

    @abstractmethod
    def subscribe(self, topic: str) -> None: ...

    @abstractmethod
    def publish(self, topic: str, data: bytes) -> None: ...

    @abstractmethod
    def topic_peers(self, topic: str) -> set[str]:
        """The connected peers that this one knows to follow the topic."""

    @abstractmethod
    def perf(self, peer: str, upload: int, download: int) -> None:
        """As the client of /perf/1.0.0; ours and py also serve it."""

    @abstractmethod
    def echo(self, peer: str, data: bytes) -> bytes:
        """Sends the data on a new stream while reading as many bytes back; every peer also serves it."""

    @abstractmethod
    def close(self) -> None: ...
