"""What the asyncio and the blocking node share: options, started calls, event queues, accepted streams. Knows nothing of loops and threads."""

from __future__ import annotations

import atexit
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from . import _meshnet
from .discovery import Discovery, DiscoveryArgument, HeadscaleConfig, TailscaleConfig, discovery_of
from .errors import ClosedError, InvalidArgument, MeshnetError
from .events import Event, Message, MessagesDropped, StreamOpened, event_of
from .keys import Keypair
from .options import Gossipsub, Keepalive, Limits, MessageOptions, Reconnect, Wake, _addresses, _messages, _native, _prefixed

#: Events that one turn fetches at most, so that a flood of messages leaves room for others.
BATCH = 256
#: Bounds of one consumer's queue: messages in number and bytes. Other events may go to twice the number.
CONSUMER_EVENTS = 16_384
CONSUMER_BYTES = 64 * 1024 * 1024
#: One read of a stream: large enough to be cheap, small enough to lie ready in a thousand streams.
READ_SIZE = 64 * 1024
READ_SIZE_MAXIMUM = 1024 * 1024

_open_nodes: weakref.WeakSet[_meshnet.Node] = weakref.WeakSet()


def _close_open_nodes() -> None:
    """At exit, while threads that wait in a node can still return."""
    for native in list(_open_nodes):
        native.free()


atexit.register(_close_open_nodes)


def open_native(identity: Keypair, bootstrap_peers: Iterable[str], listen_port: int, options: dict[str, Any]) -> _meshnet.Node:
    """Opens a node, and sees to it that it is closed at exit."""
    if not isinstance(identity, Keypair):
        raise TypeError(f"identity: a Keypair is wanted, not {type(identity)!r}")
    discovery = options.get("discovery")
    settings = _native({name: value for name, value in options.items() if name != "discovery"})
    if isinstance(discovery, Discovery):
        settings["discovery"] = discovery._native()
    settings["bootstrap_peers"] = _addresses("bootstrap_peers", bootstrap_peers)
    settings["listen_port"] = listen_port
    for name in ("listen_addresses", "protected_peers"):
        if name in settings:
            settings[name] = _addresses(name, settings[name])
    native = _meshnet.Node(identity._native, settings)
    _open_nodes.add(native)
    return native


def protocols_of(protocols: str | Sequence[str]) -> tuple[str, ...]:
    """One protocol id, or several in order of preference."""
    return (protocols,) if isinstance(protocols, str) else tuple(protocols)


class PerfResult(NamedTuple):
    """Seconds from the first byte to the last, each way."""

    upload: float
    download: float


class EventQueue:
    """One consumer's events, bounded: what does not fit is counted, and the count delivered in its place."""

    def __init__(self, limit: int = CONSUMER_EVENTS) -> None:
        if limit < 1:
            raise InvalidArgument(f"limit is {limit}: a queue has room for at least 1 event")
        self.limit = limit
        self.items: deque[Event] = deque()
        self.bytes = 0
        self.dropped = 0
        self.unreported = 0

    def push(self, event: Event) -> None:
        """Takes the event, or counts it."""
        waiting = len(self.items)
        if isinstance(event, Message):
            fits = waiting < self.limit and (waiting == 0 or self.bytes + len(event.data) <= CONSUMER_BYTES)
        else:
            fits = waiting < 2 * self.limit
        if not fits:
            self.dropped += 1
            self.unreported += 1
            return
        self.report_drops()
        self.items.append(event)
        if isinstance(event, Message):
            self.bytes += len(event.data)

    def report_drops(self) -> None:
        """Puts the count where the events are missing."""
        if self.unreported:
            self.items.append(MessagesDropped(self.unreported))
            self.unreported = 0

    def pop(self) -> Event | None:
        """The next event; None when none waits."""
        if not self.items:
            self.report_drops()
        if not self.items:
            return None
        event = self.items.popleft()
        if isinstance(event, Message):
            self.bytes -= len(event.data)
        return event


class Consumer:
    """Who reads events. Both faces build their iterators on it."""

    def __init__(self, core: Core, limit: int) -> None:
        self._core = core
        self._queue = EventQueue(limit)
        core.consumers.add(self)

    @property
    def dropped(self) -> int:
        """Events that this consumer lost by reading too slowly."""
        return self._queue.dropped

    def _notify(self) -> None:
        """New events wait, or the node is closed."""


class Acceptor:
    """Who takes the streams that peers open for one protocol id."""

    def __init__(self, core: Core, protocol_id: str) -> None:
        self._core = core
        self._protocol_id = protocol_id
        self._streams: deque[Any] = deque()
        self._registered = False
        self._closed = False

    def _notify(self) -> None:
        """A new stream waits, or the node is closed."""

    def __del__(self) -> None:
        if self._registered and not self._closed and not self._core.finished:
            self._core.drop_acceptor(self)
            self._core.quietly(self._core.native.stop_accepting_start, self._protocol_id)


class Completion:
    """A started call."""

    __slots__ = ("done", "value", "succeeded", "when_done", "abandoned", "accepted", "when_accepted")

    def __init__(self) -> None:
        self.done = False
        self.succeeded = False
        self.value: Any = None
        self.when_done: Callable[[Completion], None] | None = None
        #: Of a message: it is in its queue.
        self.accepted = False
        self.when_accepted: Callable[[], None] | None = None
        #: Set when nobody waits any more; what then still completes is tidied up by it.
        self.abandoned: Callable[[Any], None] | None = None

    def is_done(self) -> bool:
        """Whether the call has ended."""
        return self.done

    def result(self) -> Any:
        """The value, or the exception raised."""
        if self.succeeded:
            return self.value
        raise self.value


class Core:
    """Turns batches of the extension module into results, events and streams. Not thread-safe: its owner is."""

    def __init__(self, native: _meshnet.Node, make_stream: Callable[[int, str, str], Any]) -> None:
        self.native = native
        self.make_stream = make_stream
        self.pending: dict[int, Completion] = {}
        self.consumers: weakref.WeakSet[Consumer] = weakref.WeakSet()
        self.acceptors: weakref.WeakValueDictionary[str, Acceptor] = weakref.WeakValueDictionary()
        #: What happened before anybody read: the first consumer gets it.
        self.backlog: EventQueue | None = EventQueue()
        self.finished = False
        #: Calls that another thread is about to start, and what came of them before it said so.
        self.starting = 0
        self.early: dict[int, Completion] = {}

    def start(self, method: Callable[..., int], *arguments: Any) -> tuple[int, Completion]:
        """Starts a call by the method of the extension module."""
        if self.finished:
            raise ClosedError("the node is closed")
        ticket = method(*arguments)
        completion = self.pending[ticket] = Completion()
        return ticket, completion

    def started(self, ticket: int | None) -> Completion | None:
        """A call that another thread has started, after `starting` was counted up for it; None: it failed to."""
        self.starting -= 1
        completion = None if ticket is None else self.early.pop(ticket, None) or Completion()
        if not self.starting:
            self.early.clear()
        if completion is not None and ticket is not None and not completion.done:
            self.pending[ticket] = completion
            if self.finished:
                self.complete(ticket, False, ClosedError("the node is closed"))
        return completion

    def waiting_for(self, ticket: int) -> Completion | None:
        """Who waits for the ticket."""
        completion = self.pending.get(ticket)
        if completion is None and self.starting:
            completion = self.early.setdefault(ticket, Completion())
        return completion

    def abandon(self, ticket: int, tidy: Callable[[Any], None] | None = None) -> None:
        """Nobody waits for the call any more: it is cancelled, and if it succeeds all the same, `tidy` gets its value."""
        completion = self.pending.get(ticket)
        if completion is None:
            return
        completion.when_done = None
        completion.abandoned = tidy
        self.quietly(self.native.cancel, ticket)

    def adopt(self, consumer: Consumer) -> None:
        """Gives the events from before the first consumer to it."""
        if self.backlog is not None:
            backlog, self.backlog = self.backlog, None
            consumer._queue.items.extend(backlog.items)
            consumer._queue.bytes = backlog.bytes
            consumer._queue.dropped = backlog.dropped
            consumer._queue.unreported = backlog.unreported

    def turn(self) -> bool:
        """Fetches one batch without waiting and hands it out; False when nothing waits. Finishes at the end of events."""
        if self.finished:
            return False
        try:
            batch = self.native.next_events(0, BATCH)
        except ClosedError:
            batch = None
        return self.take(batch) and not self.finished

    def take(self, batch: list[tuple[Any, ...]] | None) -> bool:
        """Hands a batch out; None: there will be no other. False when it was empty."""
        if batch is None:
            if not self.finished:
                self.finish()
            return True
        for item in batch:
            self.handle(item)
        return bool(batch)

    def handle(self, item: tuple[Any, ...]) -> None:
        """Hands one item out."""
        kind = item[0]
        if kind == _meshnet.EVENT_COMPLETED:
            self.complete(item[1], item[2], item[3])
        elif kind == _meshnet.EVENT_ACCEPTED:
            completion = self.waiting_for(item[1])
            if completion is not None:
                completion.accepted = True
                if completion.when_accepted is not None:
                    completion.when_accepted()
        elif kind == _meshnet.EVENT_STREAM_OPENED:
            self.accept(item[1], item[2], item[3])
        elif kind != _meshnet.EVENT_CLOSED:
            event = event_of(item)
            if event is not None:
                self.emit(event)

    def complete(self, ticket: int, succeeded: bool, value: Any) -> None:
        """Ends a started call."""
        completion = self.waiting_for(ticket)
        if completion is None:
            return
        self.pending.pop(ticket, None)
        completion.done, completion.succeeded, completion.value = True, succeeded, value
        if completion.when_done is not None:
            completion.when_done(completion)
        elif succeeded and completion.abandoned is not None:
            completion.abandoned(value)

    def accept(self, stream_id: int, peer_id: str, protocol_id: str) -> None:
        """A peer opened a stream."""
        acceptor = self.acceptors.get(protocol_id)
        if acceptor is None or acceptor._closed:
            self.quietly(self.native.stream_reset, stream_id)
            return
        stream = self.make_stream(stream_id, peer_id, protocol_id)
        acceptor._streams.append(stream)
        acceptor._notify()
        self.emit(StreamOpened(stream, peer_id, protocol_id))

    def emit(self, event: Event) -> None:
        """Gives the event to every consumer."""
        if self.backlog is not None:
            self.backlog.push(event)
        for consumer in self.consumers:
            consumer._queue.push(event)
            consumer._notify()

    def finish(self) -> None:
        """No event will come any more: ends every wait."""
        self.finished = True
        for ticket in list(self.pending):
            self.complete(ticket, False, ClosedError("the node is closed"))
        for consumer in list(self.consumers):
            consumer._notify()
        for acceptor in list(self.acceptors.values()):
            acceptor._notify()

    def take_acceptor(self, acceptor: Acceptor) -> None:
        """Makes the acceptor the one of its protocol."""
        if acceptor._protocol_id in self.acceptors:
            raise InvalidArgument(f"{acceptor._protocol_id!r} is accepted already: one accept() per protocol at a time")
        self.acceptors[acceptor._protocol_id] = acceptor

    def drop_acceptor(self, acceptor: Acceptor) -> None:
        """Takes no more streams for the acceptor, and refuses those that nobody took."""
        acceptor._closed = True
        if self.acceptors.get(acceptor._protocol_id) is acceptor:
            self.acceptors.pop(acceptor._protocol_id, None)
        while acceptor._streams:
            acceptor._streams.popleft().reset()
        acceptor._notify()

    def reset_stream(self, opened: tuple[int, str]) -> None:
        """Of a stream that opened when nobody waited for it any more."""
        self.quietly(self.native.stream_reset, opened[0])

    @staticmethod
    def quietly(method: Callable[..., Any], *arguments: Any) -> None:
        """Where a failure only says that there is nothing left to do."""
        try:
            method(*arguments)
        except MeshnetError:
            pass


class NodeOptions:
    """The constructor of both nodes."""

    def __init__(
        self,
        *,
        identity: Keypair,
        bootstrap_peers: Iterable[str] = (),
        listen_port: int = 0,
        listens: bool = True,
        listen_addresses: Iterable[str] | None = None,
        pre_shared_key: str | bytes | None = None,
        agent_version: str | None = None,
        ping_interval: float | None = None,
        ping_timeout: float | None = None,
        dial_timeout: float | None = None,
        backoff_first: float | None = None,
        backoff_cap: float | None = None,
        gossipsub: Gossipsub | None = None,
        limits: Limits | None = None,
        discovery: DiscoveryArgument = None,
        service_tag: str | None = None,
        app_id: str | None = None,
        endpoint_id: str | None = None,
        dns_services: Iterable[str] | None = None,
        discovery_interval: float | None = None,
        discovery_policy: Literal["dial", "offer"] | None = None,
        offer_queue: int | None = None,
        mdns_backend: Literal["auto", "embedded", "avahi"] | None = None,
        allowed_networks: Iterable[str] | None = None,
        denied_networks: Iterable[str] | None = None,
        allowed_interfaces: Iterable[str] | None = None,
        denied_interfaces: Iterable[str] | None = None,
        allowed_peers: Iterable[str] | None = None,
        headscale: HeadscaleConfig | None = None,
        tailscale: TailscaleConfig | None = None,
        network: str | None = None,
        secret: str | None = None,
        protected_peers: Iterable[str] | None = None,
        connections_low_water: int | None = None,
        connections_high_water: int | None = None,
        trim_grace: float | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        messages: MessageOptions | None = None,
        reconnect: Reconnect | None = None,
        wake: Wake | None = None,
        keepalive: Keepalive | None = None,
        reads_environment: bool = True,
    ) -> None:
        """Keeps the options; `start` opens the node. Times in seconds; None: the library's default.

        identity: who the node is.
        bootstrap_peers: multiaddrs it keeps trying to stay connected with.
        listen_port: 0: the kernel picks one. Not used when listen_addresses is given.
        listens: False: only dials.
        listen_addresses: multiaddrs such as "/ip4/127.0.0.1/tcp/0"; None: every interface.
        pre_shared_key: of a private network: 32 bytes, or the text of a swarm.key file.
        ping_interval: 0: no pings.
        discovery: "none", modes such as ("mdns", "gossip"), or a `Discovery` with everything; the arguments from service_tag to
            tailscale are its fields.
        network: nodes of another network are not met: isolation, not security.
        secret: a passphrase, or the text of a swarm.key file: a private network. Not beside pre_shared_key.
        protected_peers: peer ids whose connections are never trimmed, which otherwise begins above connections_high_water peers.
        state_dir: where messages, their numbers and the address book outlive the process; made when missing. None: in memory only.
        messages, reconnect, wake, keepalive: how messages to one peer are kept, and how peers are reached again.
        reads_environment: whether what is left at its default is taken from MESHNET_… variables.
        """
        self._identity = identity
        self._bootstrap_peers = _addresses("bootstrap_peers", bootstrap_peers)
        self._listen_port = listen_port
        self._options: dict[str, Any] = {
            "listens": listens,
            "listen_addresses": listen_addresses,
            "pre_shared_key": pre_shared_key,
            "agent_version": agent_version,
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "dial_timeout": dial_timeout,
            "backoff_first": backoff_first,
            "backoff_cap": backoff_cap,
            "gossipsub": gossipsub,
            "limits": limits,
            "network": network,
            "secret": secret,
            "protected_peers": protected_peers,
            "connections_low_water": connections_low_water,
            "connections_high_water": connections_high_water,
            "trim_grace": trim_grace,
            "reads_environment": reads_environment,
            "messages": _messages(state_dir, messages, reconnect, wake) or None,
            **_prefixed("keepalive_", keepalive),
        }
        self._discovery = discovery_of(
            discovery,
            {
                "service_tag": service_tag,
                "app_id": app_id,
                "endpoint_id": endpoint_id,
                "dns_services": dns_services,
                "interval": discovery_interval,
                "policy": discovery_policy,
                "offer_queue": offer_queue,
                "mdns_backend": mdns_backend,
                "allowed_networks": allowed_networks,
                "denied_networks": denied_networks,
                "allowed_interfaces": allowed_interfaces,
                "denied_interfaces": denied_interfaces,
                "allowed_peers": allowed_peers,
                "headscale": headscale,
                "tailscale": tailscale,
            },
        )
        if not isinstance(identity, Keypair):
            raise TypeError(f"identity: a Keypair is wanted, not {type(identity)!r}")

    @property
    def peer_id(self) -> str:
        """Who this node is, in base58."""
        return self._identity.peer_id

    def _open(self) -> _meshnet.Node:
        return open_native(self._identity, self._bootstrap_peers, self._listen_port, {**self._options, "discovery": self._discovery})
