"""Messages to one peer: what the asyncio and the blocking node share. Knows nothing of loops and threads."""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Union

from . import _meshnet
from .discovery import _choice, _seconds
from .errors import ClosedError, InvalidArgument
from .events import DialCause, _known
from .options import _milliseconds

if TYPE_CHECKING:
    from ._core import Completion

__all__ = ["Channel", "ChannelState", "Lane"]

class Lane(IntEnum):
    """Importance of a message. Each lane of a peer keeps its order; a more important one overtakes the others."""

    CONTROL = _meshnet.LANE_CONTROL
    NORMAL = _meshnet.LANE_NORMAL
    BULK = _meshnet.LANE_BULK


class ChannelState(IntEnum):
    """Whether a peer can be reached. GAVE_UP: failures look permanent, and it is tried seldom. IDLE: nobody asked for a connection."""

    CONNECTED = _meshnet.CHANNEL_STATE_CONNECTED
    CONNECTING = _meshnet.CHANNEL_STATE_CONNECTING
    WAITING = _meshnet.CHANNEL_STATE_WAITING
    GAVE_UP = _meshnet.CHANNEL_STATE_GAVE_UP
    CLOSED = _meshnet.CHANNEL_STATE_CLOSED
    IDLE = _meshnet.CHANNEL_STATE_IDLE


#: What can be sent.
Data = Union[bytes, bytearray, memoryview]
#: How a call names a lane.
LaneArgument = Union[Lane, Literal["control", "normal", "bulk"]]
#: What a send does that finds the queue of its peer full: wait, end with `QueueFullError`, or end the oldest that wait with `DisplacedError`.
WhenFull = Union[Literal["wait"], Literal["fail"], Literal["drop_oldest"]]

_LANES = {"control": Lane.CONTROL, "normal": Lane.NORMAL, "bulk": Lane.BULK}
_WHEN_FULL = {
    "wait": _meshnet.WHEN_FULL_WAIT,
    "fail": _meshnet.WHEN_FULL_FAIL,
    "drop_oldest": _meshnet.WHEN_FULL_DROP_OLDEST,
}


_DEFAULTS = (int(Lane.NORMAL), -1, _meshnet.WHEN_FULL_WAIT)


def lane_of(lane: LaneArgument) -> int:
    """The number of a lane."""
    if isinstance(lane, str):
        return _choice("lane", lane, dict(_LANES))
    return int(lane)


def options_of(lane: LaneArgument, deadline: float | None, when_full: WhenFull) -> tuple[int, int, int]:
    """How a message is sent, as the extension module takes it."""
    if lane is Lane.NORMAL and deadline is None and when_full == "wait":
        return _DEFAULTS
    milliseconds = -1 if deadline is None else _milliseconds("deadline", deadline)
    return lane_of(lane), milliseconds, _choice("when_full", when_full, _WHEN_FULL)


@dataclass(frozen=True, slots=True)
class Channel:
    """The channel to one peer, as it is now. Tuples of three are by lane; counts are since the start of the node; times in seconds."""

    peer_id: str
    state: ChannelState | int
    #: Until the next try; None: no try is planned.
    retry_after: float | None
    #: When the channel was closed on purpose: by us, and in the words of who closed.
    closed_by_us: bool
    closed_reason: str | None
    #: Of the peer, 32 digits; None: not known yet.
    incarnation: str | None
    #: Waiting, unacknowledged ones included.
    queued_messages: tuple[int, int, int]
    queued_bytes: tuple[int, int, int]
    #: Received, and not done with.
    unsettled_messages: int
    unsettled_bytes: int
    delivered: int
    received: int
    expired: int
    displaced: int
    failed: int
    #: Arrived again, and dropped.
    duplicates: int
    #: Failed rounds of dialling in a row, and the latest of them, newest last.
    attempts: int
    failures: tuple[tuple[DialCause | int, str], ...]
    #: Since bytes of the peer came last; None: never.
    silence: float | None
    round_trip: float | None
    #: Of a large message that is being sent: bytes handed to the connection, and its size; 0 without one.
    sending_bytes: int
    sending_total: int
    #: A rate of ours holds messages back now, or those of the peer.
    is_sending_limited: bool
    is_receiving_limited: bool


def channel_of(native: tuple[Any, ...]) -> Channel:
    """The channel of a tuple of the extension module."""
    whole: Any = dict(zip(Channel.__dataclass_fields__, native, strict=True))
    whole["state"] = _known(ChannelState, whole["state"])
    whole["retry_after"] = _seconds(whole["retry_after"])
    whole["failures"] = tuple((_known(DialCause, cause), detail or "") for cause, detail in whole["failures"])
    whole["silence"] = _seconds(whole["silence"])
    whole["round_trip"] = None if whole["round_trip"] < 0 else whole["round_trip"] / 1e9
    return Channel(**whole)


class _File(io.RawIOBase):
    """The bytes of a message that lies in a file."""

    def __init__(self, native: _meshnet.Message) -> None:
        self._message = native
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._message.read(self._at, buffer) if self._at < self._message.data_length else 0
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._message.data_length}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at


class Content(_meshnet.Message):
    """The bytes of a message or a reply."""

    __slots__ = ()

    @property
    def lane(self) -> Lane:
        """The lane that it came on."""
        return Lane(super().lane)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.data_length

    def open(self) -> BinaryIO:
        """The bytes as a file to read, without holding them in memory. It ends with `done`."""
        return io.BufferedReader(_File(self), 1 << 18) if self.in_file else io.BytesIO(self.data)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.size} bytes from {self.peer_id}>"


class Received(Content):
    """A message that arrived, without what a face adds. Its owner is a weak reference to the driver of its node."""

    __slots__ = ()

    def done(self) -> None:
        """Makes room for others of its peer; with a state directory it does not come again after a restart. Twice does nothing."""
        self.free()

    def _driver(self) -> Any:
        driver = self.owner()
        if driver is None:
            raise ClosedError("the node that this message came to is gone")
        return driver


class TicketBase:
    """A message on its way, without what a face adds."""

    __slots__ = ("_driver", "_number", "_completion")

    def __init__(self, driver: Any, number: int, completion: Completion) -> None:
        self._driver = driver
        self._number = number
        self._completion = completion

    def cancel(self) -> None:
        """Takes the message back, unless the peer has acknowledged it: the ticket ends with `CallCancelledError`."""
        if not self._completion.done:
            self._driver.core.quietly(self._driver.core.native.cancel, self._number)

    def __repr__(self) -> str:
        completion = self._completion
        state = "on its way" if not completion.done else "delivered" if completion.succeeded else "failed"
        return f"<{type(self).__name__} {self._number} {state}>"


def filter_of(peer: str | None, lane: LaneArgument | None) -> tuple[str | None, int | None]:
    """Whose messages a consumer wants, as the extension module takes it."""
    if lane is not None and not 0 <= lane_of(lane) < len(Lane):
        raise InvalidArgument(f"lane is {lane!r}: there are {', '.join(_LANES)}")
    return peer, None if lane is None else lane_of(lane)
