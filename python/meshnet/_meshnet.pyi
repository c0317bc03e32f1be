"""libmeshnet.so, one to one: include/meshnet.h says what each function does. No policy here; use the package."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, final

from typing_extensions import Self, disjoint_base

ABI_VERSION: Final[int]
FOREVER: Final[int]
SECRET_SIZE: Final[int]
OK: Final[int]
ERROR_INVALID_ARGUMENT: Final[int]
ERROR_INVALID_HANDLE: Final[int]
ERROR_STRUCT_SIZE: Final[int]
ERROR_INVALID_ADDRESS: Final[int]
ERROR_INVALID_PEER_ID: Final[int]
ERROR_INVALID_KEY: Final[int]
ERROR_INVALID_TOPIC: Final[int]
ERROR_INVALID_PROTOCOL: Final[int]
ERROR_BUFFER_TOO_SMALL: Final[int]
ERROR_CLOSED: Final[int]
ERROR_TIMED_OUT: Final[int]
ERROR_CANCELLED: Final[int]
ERROR_BUSY: Final[int]
ERROR_NO_MEMORY: Final[int]
ERROR_SYSTEM: Final[int]
ERROR_KEY_FILE: Final[int]
ERROR_PORT_IN_USE: Final[int]
ERROR_LISTEN_FAILED: Final[int]
ERROR_LIMIT_REACHED: Final[int]
ERROR_REFUSED: Final[int]
ERROR_UNREACHABLE: Final[int]
ERROR_UNRESOLVED: Final[int]
ERROR_UNSUPPORTED_ADDRESS: Final[int]
ERROR_WRONG_PEER: Final[int]
ERROR_SELF_DIAL: Final[int]
ERROR_HANDSHAKE_FAILED: Final[int]
ERROR_NO_ADDRESSES: Final[int]
ERROR_NOT_CONNECTED: Final[int]
ERROR_OTHER_NETWORK: Final[int]
ERROR_NO_PEERS_SUBSCRIBED: Final[int]
ERROR_QUEUES_FULL: Final[int]
ERROR_MESSAGE_TOO_LARGE: Final[int]
ERROR_NOT_SUBSCRIBED: Final[int]
ERROR_DUPLICATE_MESSAGE: Final[int]
ERROR_PROTOCOL_NOT_SUPPORTED: Final[int]
ERROR_NO_SUCH_STREAM: Final[int]
ERROR_STREAM_RESET: Final[int]
ERROR_STREAM_CLOSED: Final[int]
ERROR_EXPIRED: Final[int]
ERROR_QUEUE_FULL: Final[int]
ERROR_DISPLACED: Final[int]
ERROR_PEER_RESTARTED: Final[int]
ERROR_PEER_CLOSED: Final[int]
ERROR_GAVE_UP: Final[int]
ERROR_STORAGE: Final[int]
EVENT_LISTENING: Final[int]
EVENT_CONNECTED: Final[int]
EVENT_DISCONNECTED: Final[int]
EVENT_MESSAGE: Final[int]
EVENT_SUBSCRIPTION: Final[int]
EVENT_IDENTIFIED: Final[int]
EVENT_STREAM_OPENED: Final[int]
EVENT_DIAL_FAILED: Final[int]
EVENT_ADDRESS_PROBLEM: Final[int]
EVENT_MESSAGES_DROPPED: Final[int]
EVENT_COMPLETED: Final[int]
EVENT_CLOSED: Final[int]
EVENT_DISCOVERED: Final[int]
EVENT_DISCOVERY_SOURCE: Final[int]
EVENT_DUPLICATE_IDENTITY: Final[int]
EVENT_CHANNEL: Final[int]
EVENT_MEMBERS: Final[int]
EVENT_WOKE: Final[int]
EVENT_STORAGE: Final[int]
EVENT_ACCEPTED: Final[int]
DIRECTION_INBOUND: Final[int]
DIRECTION_OUTBOUND: Final[int]
DISCONNECT_CLOSED_BY_US: Final[int]
DISCONNECT_SHUTDOWN: Final[int]
DISCONNECT_CLOSED_BY_PEER: Final[int]
DISCONNECT_CONNECTION_LOST: Final[int]
DISCONNECT_TIMED_OUT: Final[int]
DISCONNECT_PROTOCOL_VIOLATION: Final[int]
DISCONNECT_DUPLICATE: Final[int]
DISCONNECT_LIMIT_REACHED: Final[int]
DIAL_REFUSED: Final[int]
DIAL_UNREACHABLE: Final[int]
DIAL_TIMED_OUT: Final[int]
DIAL_UNRESOLVED: Final[int]
DIAL_UNSUPPORTED_ADDRESS: Final[int]
DIAL_WRONG_PEER: Final[int]
DIAL_SELF_DIAL: Final[int]
DIAL_HANDSHAKE_FAILED: Final[int]
DIAL_LIMIT_REACHED: Final[int]
DIAL_CANCELLED: Final[int]
DIAL_NO_ADDRESSES: Final[int]
DIAL_OTHER_NETWORK: Final[int]
STRICT_SIGN: Final[int]
STRICT_NO_SIGN: Final[int]
DISCOVER_NONE: Final[int]
DISCOVER_MDNS: Final[int]
DISCOVER_DNS: Final[int]
DISCOVER_GOSSIP: Final[int]
DISCOVER_HEADSCALE: Final[int]
DISCOVER_TAILSCALE: Final[int]
DISCOVER_DEFAULT: Final[int]
MDNS_AUTO: Final[int]
MDNS_EMBEDDED: Final[int]
MDNS_AVAHI: Final[int]
POLICY_DIAL: Final[int]
POLICY_OFFER: Final[int]
SOURCE_BOOTSTRAP: Final[int]
SOURCE_MDNS: Final[int]
SOURCE_AVAHI: Final[int]
SOURCE_DNS: Final[int]
SOURCE_GOSSIP: Final[int]
SOURCE_HEADSCALE: Final[int]
SOURCE_TAILSCALE: Final[int]
SOURCE_STATE_OFF: Final[int]
SOURCE_STATE_STARTING: Final[int]
SOURCE_STATE_RUNNING: Final[int]
SOURCE_STATE_FAILED: Final[int]
SOURCE_FAILURE_NOT_AVAILABLE: Final[int]
SOURCE_FAILURE_NO_INTERFACE: Final[int]
SOURCE_FAILURE_PORT_IN_USE: Final[int]
SOURCE_FAILURE_PERMISSION: Final[int]
SOURCE_FAILURE_UNREACHABLE: Final[int]
SOURCE_FAILURE_UNRESOLVED: Final[int]
SOURCE_FAILURE_UNAUTHORIZED: Final[int]
SOURCE_FAILURE_KEY_EXPIRED: Final[int]
SOURCE_FAILURE_WRONG_KEY_KIND: Final[int]
SOURCE_FAILURE_BAD_CONFIGURATION: Final[int]
SOURCE_FAILURE_SERVER_ERROR: Final[int]
SOURCE_FAILURE_BAD_ANSWER: Final[int]
SOURCE_FAILURE_CLOCK_OFF: Final[int]
SOURCE_FAILURE_INSECURE: Final[int]
SOURCE_FAILURE_TIMED_OUT: Final[int]
SOURCE_FAILURE_LIMIT_REACHED: Final[int]
SOURCE_FAILURE_SYSTEM: Final[int]
FILTER_OWN: Final[int]
FILTER_APP_ID: Final[int]
FILTER_SERVICE_TAG: Final[int]
FILTER_NETWORK: Final[int]
FILTER_INTERFACE: Final[int]
FILTER_PEER: Final[int]
FILTER_OFFLINE: Final[int]
FILTER_EXPIRED: Final[int]
FILTER_NO_ADDRESS: Final[int]
FILTER_MALFORMED: Final[int]
FILTER_LIMIT: Final[int]
FILTER_NOT_SIGNED: Final[int]
FILTER_NOT_TAGGED: Final[int]
ENTRY_CONNECTED: Final[int]
ENTRY_DIALLING: Final[int]
ENTRY_WAITING: Final[int]
ENTRY_OFFERED: Final[int]
ENTRY_FILTERED: Final[int]
CAUSE_CONNECTED: Final[int]
CAUSE_UNKNOWN_PEER: Final[int]
CAUSE_NOTHING_HEARD: Final[int]
CAUSE_NO_MULTICAST_INTERFACE: Final[int]
CAUSE_OTHER_SUBNET: Final[int]
CAUSE_FILTERED_APP_ID: Final[int]
CAUSE_FILTERED_SERVICE_TAG: Final[int]
CAUSE_FILTERED_BY_LIST: Final[int]
CAUSE_FIREWALL: Final[int]
CAUSE_REFUSED: Final[int]
CAUSE_ISOLATED: Final[int]
CAUSE_UNREACHABLE: Final[int]
CAUSE_OTHER_NETWORK: Final[int]
CAUSE_WRONG_PEER: Final[int]
CAUSE_NO_COMMON_PROTOCOL: Final[int]
CAUSE_DUPLICATE_IDENTITY: Final[int]
CAUSE_LIMIT_REACHED: Final[int]
CAUSE_UNRESOLVED: Final[int]
CAUSE_CONTROL_KEY_REFUSED: Final[int]
CAUSE_CONTROL_KEY_EXPIRED: Final[int]
CAUSE_CONTROL_KEY_WRONG_KIND: Final[int]
CAUSE_CONTROL_SERVER_DOWN: Final[int]
CAUSE_CLOCK_OFF: Final[int]
CAUSE_OWN: Final[int]
CAUSE_HANDSHAKE_FAILED: Final[int]
CAUSE_BAD_TARGET: Final[int]
CAUSE_SOURCE_FAILED: Final[int]
CAUSE_REACHABLE: Final[int]
LANE_CONTROL: Final[int]
LANE_NORMAL: Final[int]
LANE_BULK: Final[int]
WHEN_FULL_WAIT: Final[int]
WHEN_FULL_FAIL: Final[int]
WHEN_FULL_DROP_OLDEST: Final[int]
CHANNEL_RESUMED: Final[int]
CHANNEL_PEER_RESTARTED: Final[int]
CHANNEL_CLOSED: Final[int]
CHANNEL_GAVE_UP: Final[int]
CHANNEL_LIMITED: Final[int]
STORAGE_FULL: Final[int]
STORAGE_DAMAGED: Final[int]
STORAGE_FAILED: Final[int]
STORAGE_IN_USE: Final[int]
CHANNEL_STATE_CONNECTED: Final[int]
CHANNEL_STATE_CONNECTING: Final[int]
CHANNEL_STATE_WAITING: Final[int]
CHANNEL_STATE_GAVE_UP: Final[int]
CHANNEL_STATE_CLOSED: Final[int]
CHANNEL_STATE_IDLE: Final[int]

_Bytes: TypeAlias = bytes | bytearray | memoryview
_Writable: TypeAlias = bytearray | memoryview
_M = TypeVar("_M", bound=Message)

def version() -> str: ...
def abi_version() -> int: ...
def strerror(code: int, /) -> str: ...
def error_hint(code: int, /) -> str: ...
def error_name(code: int, /) -> str | None: ...
def event_type_name(type: int, /) -> str | None: ...
def disconnect_cause_name(cause: int, /) -> str | None: ...
def dial_cause_name(cause: int, /) -> str | None: ...
def discovery_source_name(number: int, /) -> str | None: ...
def source_state_name(number: int, /) -> str | None: ...
def source_failure_name(number: int, /) -> str | None: ...
def discovery_filter_name(number: int, /) -> str | None: ...
def entry_state_name(number: int, /) -> str | None: ...
def diagnosis_cause_name(number: int, /) -> str | None: ...
def lane_name(number: int, /) -> str | None: ...
def channel_change_name(number: int, /) -> str | None: ...
def channel_state_name(number: int, /) -> str | None: ...
def storage_problem_name(number: int, /) -> str | None: ...
def set_error_factory(factory: Callable[[int, int, str, str], BaseException], /) -> None: ...
def keypair_generate() -> Keypair: ...
def keypair_from_secret(secret: _Bytes, /) -> Keypair: ...
def keypair_load(path: str, /) -> Keypair: ...
@final
class Keypair:
    """An Ed25519 key pair."""

    def save(self, path: str, /) -> None: ...
    def secret(self) -> bytes: ...
    def peer_id(self) -> str: ...

@disjoint_base
class Message:
    """A message that arrived, or a reply. It owns what the library gave, until `free` or until nobody refers to it."""

    @property
    def peer_id(self) -> str:
        """Who sent it."""

    @property
    def data(self) -> bytes:
        """The bytes. Of a message larger than `MessageOptions.spool_threshold` they are read from a file when they are first asked for."""

    @property
    def data_length(self) -> int: ...
    @property
    def in_file(self) -> bool:
        """It lies in a file and not in memory."""

    @property
    def lane(self) -> int: ...
    @property
    def is_request(self) -> bool:
        """The peer waits for a reply."""

    @property
    def is_redelivered(self) -> bool:
        """It was given to this application before the process ended, which was not done with it."""

    @property
    def sequence(self) -> int:
        """From 1, without gaps but for messages that the sender took back. With lane and incarnation it names a message of this peer for ever."""

    @property
    def incarnation(self) -> str:
        """Of the peer: another one after it lost its state. Empty in a reply."""

    @property
    def owner(self) -> Any:
        """What its `Inbox` was given; None of others."""

    def read(self, offset: int, buffer: _Writable, /) -> int: ...
    def save(self, path: str, /) -> Any: ...
    def free(self) -> None: ...

@final
class Inbox:
    """Messages of a node that were fetched and not given out, as objects of the type `kind`. Peers take turns; each keeps its order.

    They count as not done with, so that what lies here is bounded by `MessageOptions.receive_bytes` for each peer and lane.
    """

    finished: bool
    """No message will come any more. May be set."""

    def __new__(cls, node: Node, kind: type[Message], owner: object = None, /) -> Inbox: ...
    def fetch(self, timeout_ms: int, /) -> int:
        """Fetches a batch, and returns how many messages it brought. Finishes after the last one. One thread at a time may wait: else BUSY."""

    def take(self, peer_id: str | None, lane: int | None, /) -> Any:
        """The next message of a peer and lane, or of any; None when none waits, or when another thread waits for more."""

@disjoint_base
class MessageIterator:
    """For `for`: gives what lies in the inbox; else what `_wait` of the derived type returns. A message is done with at the next step; no request is."""

    def __new__(cls, inbox: Inbox, peer_id: str | None, lane: int | None, /) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    _peer: Final[str | None]
    _lane: Final[int]
    def _give(self, message: _M, /) -> _M: ...
    def _pass(self) -> None: ...

@disjoint_base
class AsyncMessageIterator:
    """The same for `async for`. `_wait` is a coroutine function; its argument says that it is time for other tasks to run."""

    def __new__(cls, inbox: Inbox, peer_id: str | None, lane: int | None, /) -> Self: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Awaitable[Any]: ...
    _peer: Final[str | None]
    _lane: Final[int]
    def _give(self, message: _M, /) -> _M: ...
    def _pass(self) -> None: ...

@final
class Node:
    """A running node; options has the fields of meshnet_config_t.

    Every call that can wait releases the interpreter lock. Those ending in _start return a ticket; next_events then brings
    (EVENT_COMPLETED, ticket, True, result) or (EVENT_COMPLETED, ticket, False, exception).
    """

    def __new__(cls, identity: Keypair, options: dict[str, Any], /) -> Node: ...
    def close(self) -> None: ...
    def free(self) -> None: ...
    def peer_id(self) -> str: ...
    def event_fd(self) -> int: ...
    def look(self) -> bool: ...
    def listen_addresses(self) -> tuple[str, ...]: ...
    def next_events(self, timeout_ms: int, capacity: int, /) -> list[tuple[Any, ...]]:
        """Tuples that start with the type; an empty list when nothing came in time. Raises the error CLOSED after the last event."""

    def connect(self, address: str, timeout_ms: int, /) -> str: ...
    def disconnect(self, peer_id: str, /) -> None: ...
    def peers(self) -> list[tuple[str, str | None, int]]: ...
    def address_problems(self) -> list[tuple[str, str, str | None]]: ...
    def add_bootstrap_peer(self, address: str, /) -> None: ...
    def remove_bootstrap_peer(self, address: str, /) -> None: ...
    def protect(self, peer_id: str, /) -> bool: ...
    def unprotect(self, peer_id: str, /) -> bool: ...
    def discovery_table(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]: ...
    def discovery_configure(self, options: dict[str, Any], /) -> None: ...
    def diagnose(self, target: str, timeout_ms: int, /) -> tuple[str, str | None, list[tuple[int, str, str]]]: ...
    def subscribe(self, topic: str, /) -> bool: ...
    def unsubscribe(self, topic: str, /) -> bool: ...
    def publish(self, topic: str, data: _Bytes, /) -> None: ...
    def publish_many(self, topic: str, messages: Sequence[_Bytes], /) -> int: ...
    def publish_retained(self, topic: str, data: _Bytes, /) -> None: ...
    def wait_for_peers(self, topic: str, count: int, timeout_ms: int, /) -> list[tuple[str, str | None, int]]: ...
    def topic_peers(self, topic: str, /) -> list[tuple[str, str | None, int]]: ...
    def stream_open(self, peer_id: str, protocol_ids: Sequence[str], timeout_ms: int, /) -> tuple[int, int]: ...
    def accept(self, protocol_id: str, /) -> bool: ...
    def stop_accepting(self, protocol_id: str, /) -> bool: ...
    def stream_read(self, stream: int, capacity: int, timeout_ms: int, /) -> bytes: ...
    def stream_write(self, stream: int, data: _Bytes, timeout_ms: int, /) -> None: ...
    def stream_close_write(self, stream: int, /) -> None: ...
    def stream_close(self, stream: int, /) -> None: ...
    def stream_reset(self, stream: int, /) -> None: ...
    def ping(self, peer_id: str, timeout_ms: int, /) -> int: ...
    def perf(self, peer_id: str, upload: int, download: int, timeout_ms: int, /) -> tuple[int, int]: ...
    def connect_start(self, address: str, /) -> int: ...
    def disconnect_start(self, peer_id: str, /) -> int: ...
    def peers_start(self) -> int: ...
    def address_problems_start(self) -> int: ...
    def add_bootstrap_peer_start(self, address: str, /) -> int: ...
    def remove_bootstrap_peer_start(self, address: str, /) -> int: ...
    def protect_start(self, peer_id: str, /) -> int: ...
    def unprotect_start(self, peer_id: str, /) -> int: ...
    def discovery_table_start(self) -> int: ...
    def discovery_configure_start(self, options: dict[str, Any], /) -> int: ...
    def diagnose_start(self, target: str, /) -> int: ...
    def subscribe_start(self, topic: str, /) -> int: ...
    def unsubscribe_start(self, topic: str, /) -> int: ...
    def publish_start(self, topic: str, data: _Bytes, /) -> int: ...
    def publish_retained_start(self, topic: str, data: _Bytes, /) -> int: ...
    def wait_for_peers_start(self, topic: str, count: int, /) -> int: ...
    def topic_peers_start(self, topic: str, /) -> int: ...
    def stream_open_start(self, peer_id: str, protocol_ids: Sequence[str], /) -> int: ...
    def accept_start(self, protocol_id: str, /) -> int: ...
    def stop_accepting_start(self, protocol_id: str, /) -> int: ...
    def ping_start(self, peer_id: str, /) -> int: ...
    def perf_start(self, peer_id: str, upload: int, download: int, /) -> int: ...
    def stream_read_start(self, stream: int, capacity: int, /) -> int: ...
    def stream_read_into_start(self, stream: int, buffer: _Writable, /) -> int: ...
    def stream_write_start(self, stream: int, data: _Bytes, /) -> int: ...
    def cancel(self, ticket: int, /) -> None: ...
    def send(
        self, peer_id: str, data: _Bytes, lane: int, deadline_ms: int, when_full: int, waits_for_delivery: bool, timeout_ms: int, /
    ) -> None: ...
    def send_many(
        self, peer_id: str, messages: Sequence[_Bytes], lane: int, deadline_ms: int, when_full: int, waits_for_delivery: bool, timeout_ms: int, /
    ) -> int: ...
    def send_file(
        self, peer_id: str, path: str, lane: int, deadline_ms: int, when_full: int, waits_for_delivery: bool, timeout_ms: int, /
    ) -> None: ...
    def send_start(self, peer_id: str, data: _Bytes, lane: int, deadline_ms: int, when_full: int, reports_acceptance: bool, /) -> int: ...
    def send_file_start(self, peer_id: str, path: str, lane: int, deadline_ms: int, when_full: int, reports_acceptance: bool, /) -> int:
        """Releases the interpreter lock: the completion may be fetched before the ticket is returned."""

    def receive_many(self, timeout_ms: int, capacity: int, /) -> list[Message]:
        """An empty list when nothing came in time. Raises the error CLOSED after the last message."""

    def message_fd(self) -> int: ...
    def request(self, peer_id: str, data: _Bytes, lane: int, when_full: int, timeout_ms: int, /) -> Message: ...
    def request_start(self, peer_id: str, data: _Bytes, lane: int, deadline_ms: int, when_full: int, kind: type[Message], /) -> int: ...
    def reply(self, message: Message, data: _Bytes, timeout_ms: int, /) -> None: ...
    def reply_start(self, message: Message, data: _Bytes, /) -> int: ...
    def reconnect(self, peer_id: str, addresses: Sequence[str], /) -> None: ...
    def reconnect_start(self, peer_id: str, addresses: Sequence[str], /) -> int: ...
    def close_peer(self, peer_id: str, reason: str | None, /) -> None: ...
    def close_peer_start(self, peer_id: str, reason: str | None, /) -> int: ...
    def channels(self, peer_id: str | None, /) -> list[tuple[Any, ...]]: ...
    def channels_start(self, peer_id: str | None, /) -> int: ...
