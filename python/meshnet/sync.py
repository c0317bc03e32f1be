"""A node for programs without asyncio: the names of `Node`, blocking, from any thread.

No thread is needed for it: of the threads that wait, one watches the node and hands out what comes; when it leaves, another takes its place.
While nobody waits, events wait in the node, within its limits.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from ._core import CONSUMER_EVENTS, READ_SIZE_MAXIMUM, Acceptor, Consumer, NodeOptions, PerfResult, protocols_of
from ._stream import StreamBase
from ._sync_driver import SyncDriver
from ._sync_messages import SyncMessages, SyncNodeMessages, SyncReceivedMessage, SyncReply, SyncTicket
from .discovery import Diagnosis, DiscoveryArgument, DiscoveryTable, diagnosis_of, discovery_of, table_of
from .errors import ClosedError, MeshnetError, TimeoutError
from .events import AddressProblem, Event, Peer, peers_of

__all__ = [
    "Node",
    "SyncEvents",
    "SyncMessages",
    "SyncNode",
    "SyncReceivedMessage",
    "SyncReply",
    "SyncStream",
    "SyncStreams",
    "SyncTicket",
]


class SyncStream(StreamBase):
    """A stream to a peer. One thread may read while another writes. Close it, or use `with`."""

    def __init__(self, driver: SyncDriver, stream_id: int, peer_id: str, protocol_id: str) -> None:
        super().__init__(driver.core, stream_id, peer_id, protocol_id)
        self._driver = driver

    def read(self, n: int = -1, *, timeout: float | None = None) -> bytes:
        """At most `n` bytes as soon as some are there, b"" at the end; -1: all bytes up to the end.

        A read that is interrupted or times out loses nothing: the next read gets what arrives.
        """
        if n == 0:
            return b""
        if n < 0:
            return b"".join(self)
        with self._driver.lock():
            if not self._empty():
                return self._take(n)
            completion = self._read_under_way(n)
            self._reading = True
        try:
            completed = self._driver.wait_for(lambda: completion.done, timeout)
        finally:
            self._reading = False
        if not completed:
            raise TimeoutError(f"nothing arrived in {timeout:g} s")
        with self._driver.lock():
            self._finish_read(completion)
            return self._take(n)

    def readexactly(self, n: int, *, timeout: float | None = None) -> bytes:
        """Exactly `n` bytes. Raises EOFError when the stream ends before."""
        parts: list[bytes] = []
        missing = n
        while missing > 0:
            part = self.read(missing, timeout=timeout)
            if not part:
                raise EOFError(f"the stream ended after {n - missing} of {n} bytes")
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, data: bytes | bytearray | memoryview, *, timeout: float | None = None) -> None:
        """Writes all bytes: returns when each is in the connection's send buffer.

        After a failure, a timeout or an interrupt a part may have been sent: reset the stream unless your protocol can tell.
        """
        self._driver.call(self._native.stream_write_start, self._id, data, timeout=timeout)

    def close_write(self) -> None:
        """Tells the peer that no more bytes will come; reading goes on."""
        self._native.stream_close_write(self._id)

    def close(self) -> None:
        """Closes both directions in order: what was written is still sent, what arrives is thrown away."""
        self._close()

    def __enter__(self) -> SyncStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._close()
        else:
            self.reset()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part = self.read(READ_SIZE_MAXIMUM)
        if not part:
            raise StopIteration
        return part


class SyncEvents(Consumer):
    """The events of a node from now on (or from its start, for the first consumer): `for event in node.events()`.

    Each consumer sees every event. One that reads too slowly loses messages, is told by `MessagesDropped` where, and by `dropped` how many.
    """

    def __init__(self, driver: SyncDriver, limit: int) -> None:
        super().__init__(driver.core, limit)
        self._driver = driver

    def next(self, *, timeout: float | None = None) -> Event:
        """The next event. Raises `TimeoutError`, and `ClosedError` after the last one."""
        found: list[Event] = []

        def ready() -> bool:
            event = self._queue.pop()
            if event is not None:
                found.append(event)
            return event is not None

        if self._driver.wait_for(ready, timeout):
            return found[0]
        if self._core.finished:
            raise ClosedError("the node is closed, and every event was read")
        raise TimeoutError(f"no event came in {timeout:g} s")

    def __iter__(self) -> SyncEvents:
        return self

    def __next__(self) -> Event:
        try:
            return self.next()
        except ClosedError:
            raise StopIteration from None


class SyncStreams(Acceptor):
    """The streams that peers open for one protocol id.

    `for stream in node.accept(…)` accepts from its first step on; `with node.accept(…) as streams` from its beginning.
    """

    def __init__(self, driver: SyncDriver, protocol_id: str) -> None:
        super().__init__(driver.core, protocol_id)
        self._driver = driver

    def _register(self) -> None:
        with self._driver.lock():
            if self._registered:
                return
            self._core.take_acceptor(self)
            self._registered = True
        try:
            self._driver.call(self._core.native.accept_start, self._protocol_id)
        except BaseException:
            with self._driver.lock():
                self._core.drop_acceptor(self)
            raise

    def __enter__(self) -> SyncStreams:
        self._register()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def next(self, *, timeout: float | None = None) -> SyncStream:
        """The next stream. Raises `TimeoutError`, and `ClosedError` after the end."""
        self._register()
        found: list[SyncStream] = []

        def ready() -> bool:
            if self._streams:
                found.append(self._streams.popleft())
            return bool(found) or self._closed

        self._driver.wait_for(ready, timeout)
        if found:
            return found[0]
        if self._closed or self._core.finished:
            raise ClosedError("no more streams are accepted")
        raise TimeoutError(f"no stream came in {timeout:g} s")

    def __iter__(self) -> SyncStreams:
        return self

    def __next__(self) -> SyncStream:
        try:
            return self.next()
        except ClosedError:
            raise StopIteration from None

    def close(self) -> None:
        """Accepts no more; streams that were not taken are reset."""
        with self._driver.lock():
            if not self._registered or self._closed:
                return
            self._core.drop_acceptor(self)
            self._driver.wake()
        with contextlib.suppress(MeshnetError):
            self._driver.call(self._core.native.stop_accepting_start, self._protocol_id)


class SyncNode(SyncNodeMessages, NodeOptions):
    """A libp2p node for threads: `with SyncNode(identity=…) as node: for event in node: …`.

    Every method may be called from any thread. `timeout` is in seconds; None: as long as the node's own limits allow.
    """

    _driver: SyncDriver | None = None
    _closed = False

    def start(self) -> None:
        """Opens the node. Raises `PortInUseError`, `ListenError`, `InvalidArgument`, `InvalidAddress`, `InvalidKey`."""
        if self._driver is not None:
            raise RuntimeError("the node was started already: make a new one")
        self._driver = SyncDriver(self._open(), SyncStream, SyncReceivedMessage)

    @property
    def _running(self) -> SyncDriver:
        if self._driver is None:
            raise RuntimeError("the node is not started: use `with SyncNode(…) as node`, or node.start()")
        return self._driver

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Stops the node; every wait on it ends with `ClosedError`, every `for` in order. Twice does nothing. Blocks: under 1 s."""
        self._closed = True
        if self._driver is not None:
            self._driver.close()

    def __enter__(self) -> SyncNode:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_driver", None) is not None and not self._closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self._driver is not None else "not started"
        return f"<SyncNode {self.peer_id} {state}>"

    # Events

    def events(self, *, limit: int = CONSUMER_EVENTS) -> SyncEvents:
        """A consumer of its own, with room for `limit` messages. The first of a node also gets what happened before it."""
        driver = self._running
        with driver.lock():
            events = SyncEvents(driver, limit)
            driver.core.adopt(events)
        return events

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    # Peers

    def listen_addresses(self) -> list[str]:
        """Where the node can be dialled, without its peer id."""
        return list(self._running.core.native.listen_addresses())

    def connect(self, address: str, *, timeout: float | None = None) -> str:
        """Connects with the peer at a multiaddr, or finds that it is connected; its peer id. Raises `DialError` and its subclasses."""
        connection: tuple[str, str, int] = self._call("connect_start", address, timeout=timeout)
        return connection[0]

    def disconnect(self, peer_id: str) -> None:
        """Ends the connection with a peer. A bootstrap peer will be dialled again."""
        self._call("disconnect_start", peer_id)

    def peers(self) -> list[Peer]:
        """The peers that are connected now, ordered by peer id."""
        return peers_of(self._call("peers_start"))

    def add_bootstrap_peer(self, address: str) -> None:
        """Adds an address that the node keeps trying to be connected with."""
        self._call("add_bootstrap_peer_start", address)

    def remove_bootstrap_peer(self, address: str) -> None:
        """No longer keeps the connection with this address up; one that stands stays."""
        self._call("remove_bootstrap_peer_start", address)

    def address_problems(self) -> list[AddressProblem]:
        """The configured addresses that are not used as they stand."""
        return [AddressProblem(*problem) for problem in self._call("address_problems_start")]

    # Discovery

    def discovery(self) -> DiscoveryTable:
        """What the sources of peers told, and what became of it."""
        return table_of(self._call("discovery_table_start"))

    def diagnose(self, target: str, *, timeout: float | None = None) -> Diagnosis:
        """Why a peer id or a multiaddr is not connected, or that it is; takes 10 s at most. A text that is neither is a finding."""
        return diagnosis_of(self._call("diagnose_start", target, timeout=timeout))

    def configure_discovery(self, discovery: DiscoveryArgument) -> None:
        """Changes how others are found, as a whole: sources start, stop and change, connections stay."""
        self._call("discovery_configure_start", discovery_of(discovery, {})._native())

    def protect(self, peer_id: str) -> bool:
        """Never trims the connections of a peer; False when it was protected already."""
        return bool(self._call("protect_start", peer_id))

    def unprotect(self, peer_id: str) -> bool:
        """Takes the protection back; False when there was none."""
        return bool(self._call("unprotect_start", peer_id))

    # Topics

    def subscribe(self, topic: str) -> bool:
        """Follows a topic; False when it was followed already."""
        return bool(self._call("subscribe_start", topic))

    def unsubscribe(self, topic: str) -> bool:
        """No longer follows a topic; False when it was not followed."""
        return bool(self._call("unsubscribe_start", topic))

    def publish(self, topic: str, data: bytes | bytearray | memoryview) -> None:
        """Sends a message to everybody who follows the topic.

        Raises `NoPeersSubscribedToTopicError`, `AllQueuesFullError`, `MessageTooLargeError`.
        """
        self._call("publish_start", topic, data)

    def publish_many(self, topic: str, messages: Iterable[bytes | bytearray | memoryview]) -> int:
        """Publishes messages in order at the cost of one call; returns their number.

        Raises as `publish`; after an error a part may have been published.
        """
        return self._running.core.native.publish_many(topic, tuple(messages))

    def topic_peers(self, topic: str) -> list[Peer]:
        """The connected peers that follow a topic. `NotSubscribedError`: neither we nor any of them do."""
        return peers_of(self._call("topic_peers_start", topic))

    def publish_retained(self, topic: str, data: bytes | bytearray | memoryview) -> None:
        """As `publish`; the message is also kept as the topic's last value: who follows the topic later gets it from anybody who follows it now,
        as a `Message` with `retained`. Succeeds also where nobody follows the topic yet. Of at most 1 MiB.
        """
        self._call("publish_retained_start", topic, data)

    def wait_for_peers(self, count: int, topic: str, *, timeout: float | None = None) -> list[Peer]:
        """Waits until so many connected peers follow the topic, and gives those that follow it then."""
        return peers_of(self._call("wait_for_peers_start", topic, count, timeout=timeout))

    # Streams

    def open_stream(self, peer_id: str, protocols: str | Sequence[str], *, timeout: float | None = None) -> SyncStream:
        """Opens a stream for the first of the protocol ids, in order of preference, that the peer speaks."""
        driver = self._running
        tidy = driver.core.reset_stream
        stream_id, protocol_id = self._call("stream_open_start", peer_id, protocols_of(protocols), timeout=timeout, tidy=tidy)
        return SyncStream(driver, stream_id, peer_id, protocol_id)

    def accept(self, protocol: str) -> SyncStreams:
        """The streams that peers open for a protocol id, for `for` or `with`. One acceptor per protocol at a time."""
        return SyncStreams(self._running, protocol)

    # Measuring

    def ping(self, peer_id: str, *, timeout: float | None = None) -> float:
        """The round trip to a connected peer in seconds."""
        nanoseconds: int = self._call("ping_start", peer_id, timeout=timeout)
        return nanoseconds / 1e9

    def perf(self, peer_id: str, *, upload: int = 0, download: int = 0, timeout: float | None = None) -> PerfResult:
        """Sends `upload` bytes, then receives `download` bytes, by /perf/1.0.0."""
        times: tuple[int, int] = self._call("perf_start", peer_id, upload, download, timeout=timeout)
        return PerfResult(times[0] / 1e9, times[1] / 1e9)

    def _call(self, method: str, *arguments: Any, **how: Any) -> Any:
        driver = self._running
        return driver.call(getattr(driver.core.native, method), *arguments, **how)


#: For `from meshnet.sync import Node`.
Node = SyncNode
