"""What a node tells: frozen dataclasses, for `match`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Union

from . import _meshnet

if TYPE_CHECKING:
    from .node import Stream
    from .sync import SyncStream

__all__ = [
    "AddressProblem",
    "ChannelClosed",
    "ChannelGaveUp",
    "ChannelLimited",
    "ChannelPeerRestarted",
    "ChannelResumed",
    "Connected",
    "DialCause",
    "DialFailed",
    "Direction",
    "DisconnectCause",
    "Disconnected",
    "Discovered",
    "DiscoveryFilter",
    "DiscoverySource",
    "DiscoverySourceChanged",
    "DuplicateIdentity",
    "Event",
    "Identified",
    "Listening",
    "Members",
    "Message",
    "MessagesDropped",
    "Peer",
    "SourceFailure",
    "SourceState",
    "StorageFailure",
    "StorageProblem",
    "StreamOpened",
    "Subscription",
    "Woke",
]


class Direction(IntEnum):
    """Who dialled."""

    INBOUND = _meshnet.DIRECTION_INBOUND
    OUTBOUND = _meshnet.DIRECTION_OUTBOUND


class DisconnectCause(IntEnum):
    """Why a connection ended."""

    CLOSED_BY_US = _meshnet.DISCONNECT_CLOSED_BY_US
    SHUTDOWN = _meshnet.DISCONNECT_SHUTDOWN
    CLOSED_BY_PEER = _meshnet.DISCONNECT_CLOSED_BY_PEER
    CONNECTION_LOST = _meshnet.DISCONNECT_CONNECTION_LOST
    TIMED_OUT = _meshnet.DISCONNECT_TIMED_OUT
    PROTOCOL_VIOLATION = _meshnet.DISCONNECT_PROTOCOL_VIOLATION
    DUPLICATE = _meshnet.DISCONNECT_DUPLICATE
    LIMIT_REACHED = _meshnet.DISCONNECT_LIMIT_REACHED


class DialCause(IntEnum):
    """Why a dial failed."""

    REFUSED = _meshnet.DIAL_REFUSED
    UNREACHABLE = _meshnet.DIAL_UNREACHABLE
    TIMED_OUT = _meshnet.DIAL_TIMED_OUT
    UNRESOLVED = _meshnet.DIAL_UNRESOLVED
    UNSUPPORTED_ADDRESS = _meshnet.DIAL_UNSUPPORTED_ADDRESS
    WRONG_PEER = _meshnet.DIAL_WRONG_PEER
    SELF_DIAL = _meshnet.DIAL_SELF_DIAL
    HANDSHAKE_FAILED = _meshnet.DIAL_HANDSHAKE_FAILED
    LIMIT_REACHED = _meshnet.DIAL_LIMIT_REACHED
    CANCELLED = _meshnet.DIAL_CANCELLED
    NO_ADDRESSES = _meshnet.DIAL_NO_ADDRESSES
    OTHER_NETWORK = _meshnet.DIAL_OTHER_NETWORK


class DiscoverySource(IntEnum):
    """Who found a peer."""

    BOOTSTRAP = _meshnet.SOURCE_BOOTSTRAP
    MDNS = _meshnet.SOURCE_MDNS
    AVAHI = _meshnet.SOURCE_AVAHI
    DNS = _meshnet.SOURCE_DNS
    GOSSIP = _meshnet.SOURCE_GOSSIP
    HEADSCALE = _meshnet.SOURCE_HEADSCALE
    TAILSCALE = _meshnet.SOURCE_TAILSCALE


class SourceState(IntEnum):
    """Whether a source works. One that failed tries again by itself; what it knew before holds on."""

    OFF = _meshnet.SOURCE_STATE_OFF
    STARTING = _meshnet.SOURCE_STATE_STARTING
    RUNNING = _meshnet.SOURCE_STATE_RUNNING
    FAILED = _meshnet.SOURCE_STATE_FAILED


class SourceFailure(IntEnum):
    """Why a source does not work."""

    NOT_AVAILABLE = _meshnet.SOURCE_FAILURE_NOT_AVAILABLE
    NO_INTERFACE = _meshnet.SOURCE_FAILURE_NO_INTERFACE
    PORT_IN_USE = _meshnet.SOURCE_FAILURE_PORT_IN_USE
    PERMISSION = _meshnet.SOURCE_FAILURE_PERMISSION
    UNREACHABLE = _meshnet.SOURCE_FAILURE_UNREACHABLE
    UNRESOLVED = _meshnet.SOURCE_FAILURE_UNRESOLVED
    UNAUTHORIZED = _meshnet.SOURCE_FAILURE_UNAUTHORIZED
    KEY_EXPIRED = _meshnet.SOURCE_FAILURE_KEY_EXPIRED
    WRONG_KEY_KIND = _meshnet.SOURCE_FAILURE_WRONG_KEY_KIND
    BAD_CONFIGURATION = _meshnet.SOURCE_FAILURE_BAD_CONFIGURATION
    SERVER_ERROR = _meshnet.SOURCE_FAILURE_SERVER_ERROR
    BAD_ANSWER = _meshnet.SOURCE_FAILURE_BAD_ANSWER
    CLOCK_OFF = _meshnet.SOURCE_FAILURE_CLOCK_OFF
    INSECURE = _meshnet.SOURCE_FAILURE_INSECURE
    TIMED_OUT = _meshnet.SOURCE_FAILURE_TIMED_OUT
    LIMIT_REACHED = _meshnet.SOURCE_FAILURE_LIMIT_REACHED
    SYSTEM = _meshnet.SOURCE_FAILURE_SYSTEM


class DiscoveryFilter(IntEnum):
    """Why something that was found is not dialled."""

    OWN = _meshnet.FILTER_OWN
    APP_ID = _meshnet.FILTER_APP_ID
    SERVICE_TAG = _meshnet.FILTER_SERVICE_TAG
    NETWORK = _meshnet.FILTER_NETWORK
    INTERFACE = _meshnet.FILTER_INTERFACE
    PEER = _meshnet.FILTER_PEER
    OFFLINE = _meshnet.FILTER_OFFLINE
    EXPIRED = _meshnet.FILTER_EXPIRED
    NO_ADDRESS = _meshnet.FILTER_NO_ADDRESS
    MALFORMED = _meshnet.FILTER_MALFORMED
    LIMIT = _meshnet.FILTER_LIMIT
    NOT_SIGNED = _meshnet.FILTER_NOT_SIGNED
    NOT_TAGGED = _meshnet.FILTER_NOT_TAGGED


class StorageFailure(IntEnum):
    """Why a state directory cannot be used. DAMAGED: it was set aside under another name, and a new one begun."""

    FULL = _meshnet.STORAGE_FULL
    DAMAGED = _meshnet.STORAGE_DAMAGED
    FAILED = _meshnet.STORAGE_FAILED
    IN_USE = _meshnet.STORAGE_IN_USE


@dataclass(frozen=True, slots=True)
class Peer:
    """A connected peer. `address` and `direction` are None in the list of `topic_peers`."""

    peer_id: str
    address: str | None
    direction: Direction | None


@dataclass(frozen=True, slots=True)
class Listening:
    """The node listens at `address`."""

    address: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The first connection with a peer stands: one event per peer, however many dials raced."""

    peer_id: str
    address: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The last connection with a peer ended. `errno` is 0 when no system call failed."""

    peer_id: str
    address: str
    direction: Direction
    cause: DisconnectCause | int
    detail: str
    errno: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a topic. `origin` is who wrote it (None: unsigned), `received_from` the neighbour that delivered it.

    `retained`: the last value of the topic, from before we followed it (`publish_retained`).
    """

    topic: str
    data: bytes
    origin: str | None
    received_from: str
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """A connected peer follows a topic now, or no longer does."""

    peer_id: str
    topic: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class Identified:
    """What a peer says about itself."""

    peer_id: str
    agent_version: str
    protocol_version: str
    protocols: tuple[str, ...]
    listen_addresses: tuple[str, ...]
    observed_address: str | None


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A peer opened a stream of a protocol that we accept. The stream belongs to the iterator of `accept`, which yields it too."""

    stream: Stream | SyncStream
    peer_id: str
    protocol_id: str


@dataclass(frozen=True, slots=True)
class DialFailed:
    """An attempt to reach a peer failed. `retry_after` in seconds; None: nobody tries again. `code` is that of `connect` for the same failure."""

    address: str
    peer_id: str | None
    cause: DialCause | int
    code: int
    detail: str
    hint: str
    errno: int
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class AddressProblem:
    """A configured address that is not used as it stands, what is wrong with it, and the address used in its place (None: left out)."""

    address: str
    detail: str
    used_instead: str | None


@dataclass(frozen=True, slots=True)
class Discovered:
    """A peer was found that is not connected. With the policy "offer" nobody dials it unless you do. `addresses` in the order for dialling."""

    peer_id: str | None
    addresses: tuple[str, ...]
    source: DiscoverySource | int
    interface: str | None


@dataclass(frozen=True, slots=True)
class DiscoverySourceChanged:
    """A source of peers began to work, or no longer does. `retry_after` in seconds; None: nobody knows."""

    source: DiscoverySource | int
    state: SourceState | int
    failure: SourceFailure | int | None
    detail: str
    hint: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class DuplicateIdentity:
    """Another node is alive with our identity: it was met at `address`. Give each node a key of its own."""

    address: str


@dataclass(frozen=True, slots=True)
class MessagesDropped:
    """So many events were lost here because they were not read in time."""

    count: int


@dataclass(frozen=True, slots=True)
class ChannelResumed:
    """Messages flow again after the connection was lost. `resent`: so many had been sent before and were not acknowledged."""

    peer_id: str
    resent: int


@dataclass(frozen=True, slots=True)
class ChannelPeerRestarted:
    """A peer came back without its state. `failed`: so many messages of ours ended with `PeerRestartedError`."""

    peer_id: str
    failed: int


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """A channel was closed on purpose, and `reconnect` of the side that closed it alone opens it again. Who closed it is not told."""

    peer_id: str
    by_us: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ChannelGaveUp:
    """A peer looks unreachable for good, after so many failed attempts; the last failure says why. `retry_after` in seconds; None: not by itself."""

    peer_id: str
    attempts: int
    cause: DialCause | int
    code: int
    detail: str
    hint: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class ChannelLimited:
    """A rate limit holds messages back: what the peer sends (`inbound`), or what we send."""

    peer_id: str
    inbound: bool
    limit: str


@dataclass(frozen=True, slots=True)
class Members:
    """Who followed a topic when we began to."""

    topic: str
    peer_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Woke:
    """The machine slept, or the process stood still, for `after` seconds: every wait for a peer was cut short."""

    after: float


@dataclass(frozen=True, slots=True)
class StorageProblem:
    """The state directory cannot be used as it should. `set_aside_as`: what a damaged one is called now."""

    kind: StorageFailure | int
    code: int
    detail: str
    hint: str
    path: str
    set_aside_as: str | None


Event = Union[
    Listening,
    Connected,
    Disconnected,
    Message,
    Subscription,
    Identified,
    StreamOpened,
    DialFailed,
    AddressProblem,
    MessagesDropped,
    Discovered,
    DiscoverySourceChanged,
    DuplicateIdentity,
    ChannelResumed,
    ChannelPeerRestarted,
    ChannelClosed,
    ChannelGaveUp,
    ChannelLimited,
    Members,
    Woke,
    StorageProblem,
]


def _known(enum: type[Enum], value: int) -> Any:
    """A later library may have values that this package does not know."""
    try:
        return enum(value)
    except ValueError:
        return value


def _retry(milliseconds: int) -> float | None:
    return None if milliseconds < 0 else milliseconds / 1000


def _channel_event(
    peer: str,
    change: int,
    count: int,
    by_us: bool,
    inbound: bool,
    attempts: int,
    cause: int,
    code: int,
    detail: str | None,
    hint: str | None,
    retry: int,
) -> Event | None:
    if change == _meshnet.CHANNEL_RESUMED:
        return ChannelResumed(peer, count)
    if change == _meshnet.CHANNEL_PEER_RESTARTED:
        return ChannelPeerRestarted(peer, count)
    if change == _meshnet.CHANNEL_CLOSED:
        return ChannelClosed(peer, by_us, detail or "")
    if change == _meshnet.CHANNEL_GAVE_UP:
        return ChannelGaveUp(peer, attempts, _known(DialCause, cause), code, detail or "", hint or "", _retry(retry))
    if change == _meshnet.CHANNEL_LIMITED:
        return ChannelLimited(peer, inbound, detail or "")
    return None


_MAKERS: dict[int, Any] = {
    _meshnet.EVENT_LISTENING: Listening,
    _meshnet.EVENT_CONNECTED: lambda peer, address, direction: Connected(peer, address, Direction(direction)),
    _meshnet.EVENT_DISCONNECTED: lambda peer, address, direction, cause, detail, errno: Disconnected(
        peer, address, Direction(direction), _known(DisconnectCause, cause), detail or "", errno
    ),
    _meshnet.EVENT_MESSAGE: Message,
    _meshnet.EVENT_SUBSCRIPTION: Subscription,
    _meshnet.EVENT_IDENTIFIED: Identified,
    _meshnet.EVENT_DIAL_FAILED: lambda address, peer, cause, code, detail, hint, errno, retry: DialFailed(
        address, peer, _known(DialCause, cause), code, detail or "", hint or "", errno, _retry(retry)
    ),
    _meshnet.EVENT_ADDRESS_PROBLEM: AddressProblem,
    _meshnet.EVENT_MESSAGES_DROPPED: MessagesDropped,
    _meshnet.EVENT_DISCOVERED: lambda peer, addresses, source, interface: Discovered(
        peer, addresses, _known(DiscoverySource, source), interface
    ),
    _meshnet.EVENT_DISCOVERY_SOURCE: lambda source, state, failure, detail, hint, retry: DiscoverySourceChanged(
        _known(DiscoverySource, source),
        _known(SourceState, state),
        _known(SourceFailure, failure) if failure else None,
        detail or "",
        hint or "",
        _retry(retry) if failure else None,
    ),
    _meshnet.EVENT_DUPLICATE_IDENTITY: DuplicateIdentity,
    _meshnet.EVENT_CHANNEL: _channel_event,
    _meshnet.EVENT_MEMBERS: lambda topic, peers: Members(topic, tuple(peer[0] for peer in peers)),
    _meshnet.EVENT_WOKE: lambda after: Woke(after / 1000),
    _meshnet.EVENT_STORAGE: lambda problem, code, detail, hint, path, aside: StorageProblem(
        _known(StorageFailure, problem), code, detail or "", hint or "", path or "", aside
    ),
}


def event_of(native: tuple[Any, ...]) -> Event | None:
    """The event of a tuple of the extension module; None for a type that this package does not know."""
    maker = _MAKERS.get(native[0])
    return None if maker is None else maker(*native[1:])


def peers_of(native: list[tuple[str, str | None, int]]) -> list[Peer]:
    """The peers of a list of the extension module."""
    return [Peer(peer_id, address, Direction(direction) if direction else None) for peer_id, address, direction in native]
