"""Messages to one peer: what the asyncio and the blocking node share. Knows nothing of loops and threads."""

from __future__ import annotations

import io
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, BinaryIO, Literal, Union

from . import _meshnet
from .discovery import _choice, _seconds
from .errors import ClosedError, InvalidArgument
from .events import DialCause, _known
from .options import _milliseconds

__all__ = ["Channel", "ChannelState", "Lane"]

#: Messages that one call fetches at most.
BATCH = 256
#: After so many seconds newer messages are looked for before those that lie here are given out, so that a control message need not wait for them.
FRESH = 0.001
#: What lies here at most when that is done.
AHEAD = 1024


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


def lane_of(lane: LaneArgument) -> int:
    """The number of a lane."""
    if isinstance(lane, str):
        return _choice("lane", lane, dict(_LANES))
    return int(lane)


def options_of(lane: LaneArgument, deadline: float | None, when_full: WhenFull) -> tuple[int, int, int]:
    """How a message is sent, as the extension module takes it."""
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


class Content:
    """The bytes of a message or a reply."""

    __slots__ = ("_native", "_read")

    def __init__(self, native: _meshnet.Message) -> None:
        self._native = native
        self._read: bytes | None = None

    @property
    def peer_id(self) -> str:
        """Who sent it."""
        return self._native.peer_id

    @property
    def lane(self) -> Lane:
        """The lane that it came on."""
        return Lane(self._native.lane)

    @property
    def size(self) -> int:
        """In bytes."""
        return self._native.data_length

    @property
    def data(self) -> bytes:
        """All bytes. Of a message larger than `MessageOptions.spool_threshold` they are read from a file: rather use `open` or `save`."""
        data = self._native.data if self._read is None else self._read
        if data is None:
            with self.open() as file:
                data = self._read = file.read()
        return data

    def open(self) -> BinaryIO:
        """The bytes as a file to read, without holding them in memory. It ends with `done`."""
        if self._native.data is not None:
            return io.BytesIO(self._native.data)
        return io.BufferedReader(_File(self._native), 1 << 18)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.size} bytes from {self.peer_id}>"


class Received(Content):
    """A message that arrived, without what a face adds."""

    __slots__ = ()

    @property
    def sequence(self) -> int:
        """From 1, without gaps but for messages that the sender took back. With lane and incarnation it names a message of this peer for ever."""
        return self._native.sequence

    @property
    def incarnation(self) -> str:
        """Of the peer: another one after it lost its state."""
        return self._native.incarnation

    @property
    def is_request(self) -> bool:
        """The peer waits for a `reply`."""
        return self._native.is_request

    @property
    def is_redelivered(self) -> bool:
        """It was given to this application before the process ended, which was not done with it."""
        return self._native.is_redelivered

    def done(self) -> None:
        """Makes room for others of its peer; with a state directory it does not come again after a restart. Twice does nothing."""
        self._native.free()


class Inbox:
    """Messages that were fetched and not given out, by lane and peer. Peers take turns; each keeps its order. Not thread-safe: its owner is.

    They count as not done with, so that what lies here is bounded by `MessageOptions.receive_bytes` for each peer and lane.
    """

    def __init__(self, native: _meshnet.Node) -> None:
        self._node = native
        self._lanes: tuple[OrderedDict[str, deque[_meshnet.Message]], ...] = tuple(OrderedDict() for _ in Lane)
        self._count = 0
        self._fetched_at = 0.0
        self.finished = False

    def fetch(self) -> int:
        """One batch, without waiting. Finishes after the last one."""
        if self.finished:
            return 0
        self._fetched_at = time.monotonic()
        try:
            batch = self._node.receive_many(0, BATCH)
        except ClosedError:
            self.finished = True
            return 0
        for message in batch:
            peers = self._lanes[message.lane]
            queue = peers.get(message.peer_id)
            if queue is None:
                queue = peers[message.peer_id] = deque()
            queue.append(message)
        self._count += len(batch)
        return len(batch)

    def take(self, peer: str | None, lane: int | None) -> _meshnet.Message | None:
        """The next message of a peer and lane, or of any; None when none waits."""
        if self._count and self._count < AHEAD and time.monotonic() - self._fetched_at > FRESH:
            self.fetch()
        while True:
            message = self._pop(peer, lane)
            if message is not None or not self.fetch():
                return message

    def _pop(self, peer: str | None, lane: int | None) -> _meshnet.Message | None:
        for peers in self._lanes if lane is None else (self._lanes[lane],):
            whose = next(iter(peers), None) if peer is None else peer
            queue = None if whose is None else peers.get(whose)
            if whose is not None and queue:
                message = queue.popleft()
                if queue:
                    peers.move_to_end(whose)
                else:
                    del peers[whose]
                self._count -= 1
                return message
        return None


def filter_of(peer: str | None, lane: LaneArgument | None) -> tuple[str | None, int | None]:
    """Whose messages a consumer wants."""
    if lane is not None and not 0 <= lane_of(lane) < len(Lane):
        raise InvalidArgument(f"lane is {lane!r}: there are {', '.join(_LANES)}")
    return peer, None if lane is None else lane_of(lane)
