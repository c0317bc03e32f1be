"""What the streams of both nodes share: the bytes that have arrived, the read that is under way, and the ends."""

from __future__ import annotations

import warnings

from . import _meshnet
from ._core import READ_SIZE, READ_SIZE_MAXIMUM, Completion, Core
from .errors import BusyError


class StreamBase:
    """A stream to a peer. Knows nothing of loops and threads."""

    def __init__(self, core: Core, stream_id: int, peer_id: str, protocol_id: str) -> None:
        self._core = core
        self._native: _meshnet.Node = core.native
        self._id = stream_id
        self._peer_id = peer_id
        self._protocol_id = protocol_id
        self._arrived = b""
        self._taken = 0
        self._ended = False
        self._closed = False
        self._reading = False
        self._under_way: Completion | None = None

    @property
    def peer_id(self) -> str:
        """Who is at the other end."""
        return self._peer_id

    @property
    def protocol_id(self) -> str:
        """The protocol that both ends agreed on."""
        return self._protocol_id

    def _empty(self) -> bool:
        """Whether a read has to wait, and marks it as begun if so; False too at the end."""
        if self._taken < len(self._arrived) or self._ended:
            return False
        if self._reading:
            raise BusyError("another read of this stream is waiting")
        return True

    def _take(self, n: int) -> bytes:
        """At most `n` of the bytes that have arrived."""
        if self._taken == 0 and n >= len(self._arrived):
            part, self._arrived = self._arrived, b""
            return part
        part = self._arrived[self._taken : self._taken + n]
        self._taken += len(part)
        if self._taken >= len(self._arrived):
            self._arrived, self._taken = b"", 0
        return part

    def _read_under_way(self, wanted: int) -> Completion:
        """The read to wait for. One whose wait ended early stays under way, so that nothing is lost."""
        if self._under_way is None:
            size = min(max(wanted, READ_SIZE), READ_SIZE_MAXIMUM)
            _, self._under_way = self._core.start(self._native.stream_read_start, self._id, size)
        return self._under_way

    def _finish_read(self, completion: Completion) -> None:
        """Takes the result of a completed read over."""
        self._under_way = None
        self._arrived, self._taken = completion.result(), 0
        self._ended = not self._arrived

    def reset(self) -> None:
        """Drops the stream at once; the peer sees `StreamResetError`. Does not wait."""
        if not self._closed:
            self._closed = True
            self._core.quietly(self._native.stream_reset, self._id)

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._core.quietly(self._native.stream_close, self._id)

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and not self._core.finished:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.reset()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id} {self._protocol_id} with {self._peer_id}>"
