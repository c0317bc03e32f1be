"""A node for asyncio."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any

from ._core import CONSUMER_EVENTS, READ_SIZE_MAXIMUM, NodeOptions, PerfResult, protocols_of
from ._loop import Events, LoopDriver, Streams
from ._loop_messages import Messages, NodeMessages, ReceivedMessage, Reply, Ticket
from ._stream import StreamBase
from .discovery import Diagnosis, DiscoveryArgument, DiscoveryTable, diagnosis_of, discovery_of, table_of
from .events import AddressProblem, Event, Peer, peers_of

__all__ = ["Events", "Messages", "Node", "PerfResult", "ReceivedMessage", "Reply", "Stream", "Streams", "Ticket"]


class Stream(StreamBase):
    """A stream to a peer. One task may read while another writes. Close it, or use `async with`."""

    def __init__(self, driver: LoopDriver, stream_id: int, peer_id: str, protocol_id: str) -> None:
        super().__init__(driver.core, stream_id, peer_id, protocol_id)
        self._driver = driver

    async def read(self, n: int = -1, *, timeout: float | None = None) -> bytes:
        """At most `n` bytes as soon as some are there, b"" at the end; -1: all bytes up to the end.

        A read that is cancelled or times out loses nothing: the next read gets what arrives.
        """
        if n == 0:
            return b""
        if n < 0:
            return b"".join([part async for part in self])
        if self._empty():
            self._reading = True
            try:
                self._driver.attach()
                completion = self._read_under_way(n)
                try:
                    await self._driver.wait(completion, timeout)
                finally:
                    if completion.done and not completion.succeeded:
                        self._under_way = None
                self._finish_read(completion)
            finally:
                self._reading = False
        return self._take(n)

    async def readexactly(self, n: int, *, timeout: float | None = None) -> bytes:
        """Exactly `n` bytes. Raises asyncio.IncompleteReadError, with what there was, when the stream ends before."""
        parts: list[bytes] = []
        missing = n
        while missing > 0:
            part = await self.read(missing, timeout=timeout)
            if not part:
                raise asyncio.IncompleteReadError(b"".join(parts), n)
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def write(self, data: bytes | bytearray | memoryview, *, timeout: float | None = None) -> None:
        """Writes all bytes: returns when each is in the connection's send buffer.

        After a failure, a timeout or a cancellation a part may have been sent: reset the stream unless your protocol can tell.
        """
        await self._driver.call(self._native.stream_write_start, self._id, data, timeout=timeout)

    async def close_write(self) -> None:
        """Tells the peer that no more bytes will come; reading goes on."""
        self._native.stream_close_write(self._id)

    async def close(self) -> None:
        """Closes both directions in order: what was written is still sent, what arrives is thrown away."""
        self._close()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._close()
        else:
            self.reset()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await self.read(READ_SIZE_MAXIMUM)
        if not part:
            raise StopAsyncIteration
        return part


class Node(NodeMessages, NodeOptions):
    """A libp2p node, for one asyncio loop: `async with Node(identity=…) as node: async for event in node: …`.

    The node itself runs on a thread of its own: it answers peers also while the loop is busy. Every wait can be cancelled.
    `timeout` is in seconds; None: as long as the node's own limits allow.
    """

    _driver: LoopDriver | None = None
    _closed = False

    async def start(self) -> None:
        """Opens the node in the running loop. Raises `PortInUseError`, `ListenError`, `InvalidArgument`, `InvalidAddress`, `InvalidKey`."""
        if self._driver is not None:
            raise RuntimeError("the node was started already: make a new one")
        self._driver = LoopDriver(self._open(), Stream, ReceivedMessage)
        self._driver.attach()

    @property
    def _running(self) -> LoopDriver:
        if self._driver is None:
            raise RuntimeError("the node is not started: use `async with Node(…) as node`, or await node.start()")
        return self._driver

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def close(self) -> None:
        """Stops the node; every wait on it ends with `ClosedError`, every `async for` in order. Twice does nothing."""
        self._closed = True
        if self._driver is not None:
            await self._driver.close()

    async def __aenter__(self) -> Node:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if getattr(self, "_driver", None) is not None and not self._closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self._driver is not None else "not started"
        return f"<Node {self.peer_id} {state}>"

    # Events

    def events(self, *, limit: int = CONSUMER_EVENTS) -> Events:
        """A consumer of its own, with room for `limit` messages. The first of a node also gets what happened before it."""
        driver = self._running
        events = Events(driver, limit)
        driver.core.adopt(events)
        return events

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    # Peers

    def listen_addresses(self) -> list[str]:
        """Where the node can be dialled, without its peer id."""
        return list(self._running.core.native.listen_addresses())

    async def connect(self, address: str, *, timeout: float | None = None) -> str:
        """Connects with the peer at a multiaddr, or finds that it is connected; its peer id. Raises `DialError` and its subclasses."""
        driver = self._running
        connection: tuple[str, str, int] = await driver.call(driver.core.native.connect_start, address, timeout=timeout)
        return connection[0]

    async def disconnect(self, peer_id: str) -> None:
        """Ends the connection with a peer. A bootstrap peer will be dialled again."""
        await self._call("disconnect_start", peer_id)

    async def peers(self) -> list[Peer]:
        """The peers that are connected now, ordered by peer id."""
        return peers_of(await self._call("peers_start"))

    async def add_bootstrap_peer(self, address: str) -> None:
        """Adds an address that the node keeps trying to be connected with."""
        await self._call("add_bootstrap_peer_start", address)

    async def remove_bootstrap_peer(self, address: str) -> None:
        """No longer keeps the connection with this address up; one that stands stays."""
        await self._call("remove_bootstrap_peer_start", address)

    async def address_problems(self) -> list[AddressProblem]:
        """The configured addresses that are not used as they stand."""
        return [AddressProblem(*problem) for problem in await self._call("address_problems_start")]

    # Discovery

    async def discovery(self) -> DiscoveryTable:
        """What the sources of peers told, and what became of it."""
        return table_of(await self._call("discovery_table_start"))

    async def diagnose(self, target: str, *, timeout: float | None = None) -> Diagnosis:
        """Why a peer id or a multiaddr is not connected, or that it is; takes 10 s at most. A text that is neither is a finding."""
        driver = self._running
        return diagnosis_of(await driver.call(driver.core.native.diagnose_start, target, timeout=timeout))

    async def configure_discovery(self, discovery: DiscoveryArgument) -> None:
        """Changes how others are found, as a whole: sources start, stop and change, connections stay."""
        await self._call("discovery_configure_start", discovery_of(discovery, {})._native())

    async def protect(self, peer_id: str) -> bool:
        """Never trims the connections of a peer; False when it was protected already."""
        return bool(await self._call("protect_start", peer_id))

    async def unprotect(self, peer_id: str) -> bool:
        """Takes the protection back; False when there was none."""
        return bool(await self._call("unprotect_start", peer_id))

    # Topics

    async def subscribe(self, topic: str) -> bool:
        """Follows a topic; False when it was followed already."""
        return bool(await self._call("subscribe_start", topic))

    async def unsubscribe(self, topic: str) -> bool:
        """No longer follows a topic; False when it was not followed."""
        return bool(await self._call("unsubscribe_start", topic))

    async def publish(self, topic: str, data: bytes | bytearray | memoryview) -> None:
        """Sends a message to everybody who follows the topic.

        Raises `NoPeersSubscribedToTopicError`, `AllQueuesFullError`, `MessageTooLargeError`.
        """
        await self._call("publish_start", topic, data)

    async def publish_many(self, topic: str, messages: Iterable[bytes | bytearray | memoryview]) -> int:
        """Publishes messages in order at the cost of one call; returns their number.

        Raises as `publish`; after an error or a cancellation a part may have been published.
        """
        return await asyncio.to_thread(self._running.core.native.publish_many, topic, tuple(messages))

    async def topic_peers(self, topic: str) -> list[Peer]:
        """The connected peers that follow a topic. `NotSubscribedError`: neither we nor any of them do."""
        return peers_of(await self._call("topic_peers_start", topic))

    async def publish_retained(self, topic: str, data: bytes | bytearray | memoryview) -> None:
        """As `publish`; the message is also kept as the topic's last value: who follows the topic later gets it from anybody who follows it now,
        as a `Message` with `retained`. Succeeds also where nobody follows the topic yet. Of at most 1 MiB.
        """
        await self._call("publish_retained_start", topic, data)

    async def wait_for_peers(self, count: int, topic: str, *, timeout: float | None = None) -> list[Peer]:
        """Waits until so many connected peers follow the topic, and gives those that follow it then."""
        driver = self._running
        return peers_of(await driver.call(driver.core.native.wait_for_peers_start, topic, count, timeout=timeout))

    # Streams

    async def open_stream(self, peer_id: str, protocols: str | Sequence[str], *, timeout: float | None = None) -> Stream:
        """Opens a stream for the first of the protocol ids, in order of preference, that the peer speaks."""
        driver = self._running
        stream_id, protocol_id = await driver.call(
            driver.core.native.stream_open_start,
            peer_id,
            protocols_of(protocols),
            timeout=timeout,
            tidy=driver.core.reset_stream,
        )
        return Stream(driver, stream_id, peer_id, protocol_id)

    def accept(self, protocol: str) -> Streams:
        """The streams that peers open for a protocol id, for `async for` or `async with`. One acceptor per protocol at a time."""
        return Streams(self._running, protocol)

    # Measuring

    async def ping(self, peer_id: str, *, timeout: float | None = None) -> float:
        """The round trip to a connected peer in seconds."""
        driver = self._running
        nanoseconds: int = await driver.call(driver.core.native.ping_start, peer_id, timeout=timeout)
        return nanoseconds / 1e9

    async def perf(self, peer_id: str, *, upload: int = 0, download: int = 0, timeout: float | None = None) -> PerfResult:
        """Sends `upload` bytes, then receives `download` bytes, by /perf/1.0.0."""
        driver = self._running
        times: tuple[int, int] = await driver.call(driver.core.native.perf_start, peer_id, upload, download, timeout=timeout)
        return PerfResult(times[0] / 1e9, times[1] / 1e9)

    async def _call(self, method: str, *arguments: Any) -> Any:
        driver = self._running
        return await driver.call(getattr(driver.core.native, method), *arguments)
