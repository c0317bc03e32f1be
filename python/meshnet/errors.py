"""What can go wrong, each under the built-in exception that a Python program expects.

Every exception that the library raises is a `MeshnetError` with a `code` (one of `ErrorCode`), a `detail` with the values that were wrong,
and a `hint` that says what to do. Catch by class; the texts may change.
"""

from __future__ import annotations

from enum import IntEnum
from . import _meshnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

__all__ = [
    "AddressUnsupportedError",
    "AllQueuesFullError",
    "BusyError",
    "CallCancelledError",
    "ClosedError",
    "DialError",
    "DisplacedError",
    "DuplicateMessageError",
    "ErrorCode",
    "ExpiredError",
    "GaveUpError",
    "HandshakeFailedError",
    "InvalidAddress",
    "InvalidArgument",
    "InvalidKey",
    "InvalidPeerID",
    "InvalidProtocol",
    "InvalidTopic",
    "KeyFileError",
    "LimitReachedError",
    "ListenError",
    "MeshnetError",
    "MessageTooLargeError",
    "NameUnresolvedError",
    "NoAddressesError",
    "NoPeersSubscribedToTopicError",
    "NoSuchStreamError",
    "NotConnectedError",
    "NotSubscribedError",
    "OtherNetworkError",
    "OutOfMemoryError",
    "PeerClosedError",
    "PeerRestartedError",
    "PortInUseError",
    "ProtocolNotSupportedError",
    "QueueFullError",
    "RefusedError",
    "SelfDialError",
    "StorageError",
    "StreamClosedError",
    "StreamResetError",
    "SystemCallError",
    "TimeoutError",
    "UnreachableError",
    "WrongPeerError",
]

_BuiltinTimeoutError = TimeoutError


class ErrorCode(IntEnum):
    """The fixed codes of meshnet.h. A later library may have more: `MeshnetError.code` is then a plain int."""

    INVALID_ARGUMENT = _meshnet.ERROR_INVALID_ARGUMENT
    INVALID_HANDLE = _meshnet.ERROR_INVALID_HANDLE
    STRUCT_SIZE = _meshnet.ERROR_STRUCT_SIZE
    INVALID_ADDRESS = _meshnet.ERROR_INVALID_ADDRESS
    INVALID_PEER_ID = _meshnet.ERROR_INVALID_PEER_ID
    INVALID_KEY = _meshnet.ERROR_INVALID_KEY
    INVALID_TOPIC = _meshnet.ERROR_INVALID_TOPIC
    INVALID_PROTOCOL = _meshnet.ERROR_INVALID_PROTOCOL
    BUFFER_TOO_SMALL = _meshnet.ERROR_BUFFER_TOO_SMALL
    CLOSED = _meshnet.ERROR_CLOSED
    TIMED_OUT = _meshnet.ERROR_TIMED_OUT
    CANCELLED = _meshnet.ERROR_CANCELLED
    BUSY = _meshnet.ERROR_BUSY
    NO_MEMORY = _meshnet.ERROR_NO_MEMORY
    SYSTEM = _meshnet.ERROR_SYSTEM
    KEY_FILE = _meshnet.ERROR_KEY_FILE
    PORT_IN_USE = _meshnet.ERROR_PORT_IN_USE
    LISTEN_FAILED = _meshnet.ERROR_LISTEN_FAILED
    LIMIT_REACHED = _meshnet.ERROR_LIMIT_REACHED
    REFUSED = _meshnet.ERROR_REFUSED
    UNREACHABLE = _meshnet.ERROR_UNREACHABLE
    UNRESOLVED = _meshnet.ERROR_UNRESOLVED
    UNSUPPORTED_ADDRESS = _meshnet.ERROR_UNSUPPORTED_ADDRESS
    WRONG_PEER = _meshnet.ERROR_WRONG_PEER
    SELF_DIAL = _meshnet.ERROR_SELF_DIAL
    HANDSHAKE_FAILED = _meshnet.ERROR_HANDSHAKE_FAILED
    NO_ADDRESSES = _meshnet.ERROR_NO_ADDRESSES
    NOT_CONNECTED = _meshnet.ERROR_NOT_CONNECTED
    OTHER_NETWORK = _meshnet.ERROR_OTHER_NETWORK
    NO_PEERS_SUBSCRIBED = _meshnet.ERROR_NO_PEERS_SUBSCRIBED
    QUEUES_FULL = _meshnet.ERROR_QUEUES_FULL
    MESSAGE_TOO_LARGE = _meshnet.ERROR_MESSAGE_TOO_LARGE
    NOT_SUBSCRIBED = _meshnet.ERROR_NOT_SUBSCRIBED
    DUPLICATE_MESSAGE = _meshnet.ERROR_DUPLICATE_MESSAGE
    PROTOCOL_NOT_SUPPORTED = _meshnet.ERROR_PROTOCOL_NOT_SUPPORTED
    NO_SUCH_STREAM = _meshnet.ERROR_NO_SUCH_STREAM
    STREAM_RESET = _meshnet.ERROR_STREAM_RESET
    STREAM_CLOSED = _meshnet.ERROR_STREAM_CLOSED
    EXPIRED = _meshnet.ERROR_EXPIRED
    QUEUE_FULL = _meshnet.ERROR_QUEUE_FULL
    DISPLACED = _meshnet.ERROR_DISPLACED
    PEER_RESTARTED = _meshnet.ERROR_PEER_RESTARTED
    PEER_CLOSED = _meshnet.ERROR_PEER_CLOSED
    GAVE_UP = _meshnet.ERROR_GAVE_UP
    STORAGE = _meshnet.ERROR_STORAGE


class MeshnetError(Exception):
    """The root. `errno` is that of the system call that failed, None when none did."""

    #: The code of instances that a program makes itself.
    default_code: ClassVar[int] = ErrorCode.SYSTEM

    code: int
    detail: str
    hint: str

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.code = self.default_code
        self.detail = str(args[0]) if args else ""
        self.hint = _meshnet.error_hint(self.code)

    def __str__(self) -> str:
        text = self.detail or _meshnet.strerror(self.code)
        return f"{text} ({self.hint})" if self.hint else text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.detail!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _make, (int(self.code), getattr(self, "errno", None) or 0, self.detail, self.hint, type(self))


# What was passed in.


class InvalidArgument(MeshnetError, ValueError):
    """A value that the call does not take. The root of the other Invalid… classes."""

    default_code = ErrorCode.INVALID_ARGUMENT


class InvalidAddress(InvalidArgument):
    """Not a multiaddr, or one that cannot be used here."""

    default_code = ErrorCode.INVALID_ADDRESS


class InvalidPeerID(InvalidArgument):
    """Not the text of a peer id."""

    default_code = ErrorCode.INVALID_PEER_ID


class InvalidKey(InvalidArgument):
    """A secret or pre-shared key that is none."""

    default_code = ErrorCode.INVALID_KEY


class InvalidTopic(InvalidArgument):
    """Empty or too long."""

    default_code = ErrorCode.INVALID_TOPIC


class InvalidProtocol(InvalidArgument):
    """Not a protocol id such as "/chat/1.0.0", or none given."""

    default_code = ErrorCode.INVALID_PROTOCOL


# How a call ended.


class ClosedError(MeshnetError, ConnectionError):
    """The node is closed, or belongs to the parent of this process."""

    default_code = ErrorCode.CLOSED


class TimeoutError(MeshnetError, _BuiltinTimeoutError):
    """Nothing happened in time."""

    default_code = ErrorCode.TIMED_OUT


class CallCancelledError(MeshnetError, ConnectionAbortedError):
    """The call was given up, for example by a disconnect during the dial."""

    default_code = ErrorCode.CANCELLED


class BusyError(MeshnetError, RuntimeError):
    """Another read (or write) of this stream is under way."""

    default_code = ErrorCode.BUSY


# This machine.


class OutOfMemoryError(MeshnetError, MemoryError):
    """The library could not get memory."""

    default_code = ErrorCode.NO_MEMORY


class SystemCallError(MeshnetError, OSError):
    """A system call failed: see `errno`."""

    default_code = ErrorCode.SYSTEM


class KeyFileError(MeshnetError, OSError):
    """A key file cannot be read, written or understood."""

    default_code = ErrorCode.KEY_FILE


class ListenError(MeshnetError, OSError):
    """The address to listen on cannot be had."""

    default_code = ErrorCode.LISTEN_FAILED


class PortInUseError(ListenError):
    """Another program listens on this port."""

    default_code = ErrorCode.PORT_IN_USE


class LimitReachedError(MeshnetError, RuntimeError):
    """A limit of `Limits` is reached: the detail names it."""

    default_code = ErrorCode.LIMIT_REACHED


# Reaching a peer.


class DialError(MeshnetError, ConnectionError):
    """A peer could not be reached. The root of the classes that say why."""

    default_code = ErrorCode.UNREACHABLE


class RefusedError(DialError, ConnectionRefusedError):
    """Nobody listens at the address."""

    default_code = ErrorCode.REFUSED


class UnreachableError(DialError):
    """No way to the host."""

    default_code = ErrorCode.UNREACHABLE


class NameUnresolvedError(DialError):
    """The host name has no address."""

    default_code = ErrorCode.UNRESOLVED


class AddressUnsupportedError(DialError, ValueError):
    """A multiaddr of a transport that this library does not speak."""

    default_code = ErrorCode.UNSUPPORTED_ADDRESS


class WrongPeerError(DialError):
    """Somebody else than the peer id of the address answered."""

    default_code = ErrorCode.WRONG_PEER


class SelfDialError(DialError):
    """The address is our own."""

    default_code = ErrorCode.SELF_DIAL


class HandshakeFailedError(DialError):
    """Connected, but security or muxer failed."""

    default_code = ErrorCode.HANDSHAKE_FAILED


class OtherNetworkError(DialError):
    """Another network or secret: the peer's bytes are not of our private network."""

    default_code = ErrorCode.OTHER_NETWORK


class NoAddressesError(DialError):
    """No address of the peer is known."""

    default_code = ErrorCode.NO_ADDRESSES


class NotConnectedError(MeshnetError, ConnectionError):
    """There is no connection with this peer."""

    default_code = ErrorCode.NOT_CONNECTED


# Messages. Programs may make these three with any arguments, and their text is always the same; the values are in `detail`.


class _FixedTextError(MeshnetError):
    _text: ClassVar[str]

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"


class NoPeersSubscribedToTopicError(_FixedTextError):
    """Nobody we are connected with follows the topic."""

    default_code = ErrorCode.NO_PEERS_SUBSCRIBED
    _text = "no connected peer follows the topic: the message went nowhere"


class AllQueuesFullError(_FixedTextError):
    """Every peer that would get the message is too slow."""

    default_code = ErrorCode.QUEUES_FULL
    _text = "every peer that follows the topic has a full queue: publish more slowly, or try again"


class MessageTooLargeError(_FixedTextError):
    """Larger than the maximum message size of the network."""

    default_code = ErrorCode.MESSAGE_TOO_LARGE
    _text = "the message is larger than the network allows: send it in parts"


class NotSubscribedError(MeshnetError):
    """An unknown topic: neither we nor a connected peer follows it."""

    default_code = ErrorCode.NOT_SUBSCRIBED


class DuplicateMessageError(MeshnetError, ValueError):
    """The same message was published before, on a network where the content names the message."""

    default_code = ErrorCode.DUPLICATE_MESSAGE


# Streams.


class ProtocolNotSupportedError(MeshnetError, ConnectionError):
    """The peer speaks none of the protocol ids."""

    default_code = ErrorCode.PROTOCOL_NOT_SUPPORTED


class NoSuchStreamError(MeshnetError, ConnectionError):
    """The stream was closed by us."""

    default_code = ErrorCode.NO_SUCH_STREAM


class StreamResetError(MeshnetError, ConnectionResetError):
    """The stream was reset by the peer or lost with its connection."""

    default_code = ErrorCode.STREAM_RESET


class StreamClosedError(MeshnetError, BrokenPipeError):
    """Our writing side is closed already."""

    default_code = ErrorCode.STREAM_CLOSED


# Messages to one peer.


class ExpiredError(MeshnetError, _BuiltinTimeoutError):
    """The deadline of the message passed before the peer acknowledged it."""

    default_code = ErrorCode.EXPIRED


class QueueFullError(MeshnetError, BlockingIOError):
    """The queue of the peer is full, and the message was not to wait."""

    default_code = ErrorCode.QUEUE_FULL


class DisplacedError(MeshnetError, RuntimeError):
    """A newer message took the place of this one in a full queue, as its sender had asked."""

    default_code = ErrorCode.DISPLACED


class PeerRestartedError(MeshnetError, ConnectionResetError):
    """The peer came back without its state: whether it had the message is not known."""

    default_code = ErrorCode.PEER_RESTARTED


class PeerClosedError(MeshnetError, ConnectionAbortedError):
    """The channel is closed on purpose, by `close_peer` here or at the peer: the detail tells by whom and why."""

    default_code = ErrorCode.PEER_CLOSED


class GaveUpError(DialError):
    """The peer could not be reached in the number of attempts that `Reconnect.attempts` allows."""

    default_code = ErrorCode.GAVE_UP


class StorageError(MeshnetError, OSError):
    """The state directory cannot be used: full, damaged, or in use by another process."""

    default_code = ErrorCode.STORAGE


def _classes(root: type[MeshnetError]) -> dict[int, type[MeshnetError]]:
    found: dict[int, type[MeshnetError]] = {}
    for subclass in root.__subclasses__():
        if subclass is not DialError and subclass is not _FixedTextError:
            found[subclass.default_code] = subclass
        found.update(_classes(subclass))
    return found


_CLASS_OF_CODE = _classes(MeshnetError)
_CLASS_OF_CODE[ErrorCode.INVALID_HANDLE] = ClosedError
_CLASS_OF_CODE[ErrorCode.STRUCT_SIZE] = InvalidArgument
_CLASS_OF_CODE[ErrorCode.BUFFER_TOO_SMALL] = InvalidArgument
_KNOWN_CODES = frozenset(ErrorCode)


def _make(code: int, system_errno: int, detail: str, hint: str, kind: type[MeshnetError] | None = None) -> MeshnetError:
    """The exception of one failure of the library."""
    chosen = kind or _CLASS_OF_CODE.get(code, MeshnetError)
    error = chosen(detail)
    error.code = ErrorCode(code) if code in _KNOWN_CODES else code
    error.detail = detail
    error.hint = hint
    if system_errno and isinstance(error, OSError):
        error.errno = system_errno
    return error


_meshnet.set_error_factory(_make)
