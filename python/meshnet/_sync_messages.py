"""Messages to one peer, for threads: the names of the asyncio face."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import _meshnet
from ._sync_driver import SyncDriver
from .errors import ClosedError, TimeoutError
from .messages import Channel, Content, Data, Lane, LaneArgument, Received, TicketBase, WhenFull, channel_of, filter_of, options_of

__all__ = ["SyncMessages", "SyncReceivedMessage", "SyncReply", "SyncTicket"]


class SyncTicket(TicketBase):
    """A message on its way: `wait` returns when the peer has it, and raises what kept it from that.

    Raises `ExpiredError`, `QueueFullError`, `DisplacedError`, `PeerRestartedError`, `PeerClosedError`, `GaveUpError`, `StorageError`,
    `CallCancelledError`, `ClosedError`.
    """

    __slots__ = ()

    @property
    def ended(self) -> bool:
        """Whether a wait would return at once."""
        return self._completion.done or self._driver.wait_for(self._completion.is_done, 0)

    def wait(self, *, timeout: float | None = None) -> None:
        """Waits for so many seconds at most: then `TimeoutError`, and the message stays on its way."""
        if not self._driver.wait_for(self._completion.is_done, timeout):
            raise TimeoutError(f"the peer acknowledged nothing in {timeout:g} s")
        self._completion.result()


class _Saving(Content):
    __slots__ = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the bytes into a file, which is complete or not there; one that exists is replaced."""
        super().save(os.fspath(path))


class SyncReply(_Saving):
    """What a peer answered to a request."""

    __slots__ = ()


class SyncReceivedMessage(_Saving, Received):
    """A message that arrived. Who is done with it says so by `done`, by `reply`, by asking an iterator for the next, or by forgetting it."""

    __slots__ = ()

    def reply(self, data: Data = b"") -> SyncTicket:
        """Answers a request, once, and is done with it. The reply is on its way at once; who waits for the ticket knows that the peer has it."""
        driver = self._driver()
        ticket = SyncTicket(driver, *driver.start(driver.core.native.reply_start, self, data))
        self.free()
        return ticket


class SyncMessages(_meshnet.MessageIterator):
    """The messages that arrive, each given to one consumer: `for message in node.messages()`.

    A message is done with when the next one is asked for; a request when it is answered. Nothing is dropped: what nobody takes holds its sender back.
    """

    __slots__ = ("_driver",)
    _driver: SyncDriver

    def __new__(cls, driver: SyncDriver, peer: str | None, lane: LaneArgument | None) -> SyncMessages:
        self = super().__new__(cls, driver.messages.inbox, *filter_of(peer, lane))
        self._driver = driver
        return self

    if TYPE_CHECKING:

        def __next__(self) -> SyncReceivedMessage: ...

    def next(self, *, timeout: float | None = None) -> SyncReceivedMessage:
        """The next message. Raises `TimeoutError`, and `ClosedError` after the last one."""
        self._pass()
        message: SyncReceivedMessage = self._driver.messages.next(self._peer, self._lane, timeout)
        return self._give(message)

    def _wait(self) -> SyncReceivedMessage:
        try:
            return self.next()
        except ClosedError:
            raise StopIteration from None


class SyncNodeMessages:
    """What a node does with messages to one peer. A channel to a peer exists whether or not there is a connection."""

    @property
    def _running(self) -> SyncDriver:
        raise NotImplementedError

    def send(
        self,
        peer_id: str,
        data: Data,
        *,
        lane: LaneArgument = Lane.NORMAL,
        deadline: float | None = None,
        when_full: WhenFull = "wait",
        timeout: float | None = None,
    ) -> SyncTicket:
        """Queues a message; returns when it is in its queue, and on disk where there is a state directory. `wait` for the ticket for its delivery.

        deadline: seconds after which it ends with `ExpiredError`; None: it is tried for ever. timeout: of this call; then the message is taken back.
        """
        driver = self._running
        started = driver.start(driver.core.native.send_start, peer_id, data, *options_of(lane, deadline, when_full), True)
        driver.wait_accepted(started, timeout)
        return SyncTicket(driver, *started)

    def send_nowait(
        self,
        peer_id: str,
        data: Data,
        *,
        lane: LaneArgument = Lane.NORMAL,
        deadline: float | None = None,
        when_full: WhenFull = "fail",
    ) -> SyncTicket:
        """As `send`, without waiting for anything: also a full queue is told by the ticket alone."""
        driver = self._running
        started = driver.start(driver.core.native.send_start, peer_id, data, *options_of(lane, deadline, when_full), False)
        return SyncTicket(driver, *started)

    def send_many(
        self,
        peer_id: str,
        messages: Iterable[Data],
        *,
        lane: LaneArgument = Lane.NORMAL,
        deadline: float | None = None,
        when_full: WhenFull = "wait",
    ) -> int:
        """Queues messages in order at the cost of one call; returns their number when all are in the queue. There are no tickets.

        After an error a part may have been queued.
        """
        native = self._running.core.native
        return native.send_many(peer_id, tuple(messages), *options_of(lane, deadline, when_full), False, _meshnet.FOREVER)

    def send_file(
        self,
        peer_id: str,
        path: str | os.PathLike[str],
        *,
        lane: LaneArgument = Lane.BULK,
        deadline: float | None = None,
        when_full: WhenFull = "wait",
        timeout: float | None = None,
    ) -> SyncTicket:
        """As `send`, with the content of a file as it is now."""
        driver = self._running
        options = options_of(lane, deadline, when_full)
        started = driver.start_unlocked(driver.core.native.send_file_start, peer_id, os.fspath(path), *options, True)
        driver.wait_accepted(started, timeout)
        return SyncTicket(driver, *started)

    def request(
        self, peer_id: str, data: Data, *, timeout: float | None = None, lane: LaneArgument = Lane.NORMAL, when_full: WhenFull = "wait"
    ) -> SyncReply:
        """Sends a request and waits for its reply. timeout: seconds that it has; None: `MessageOptions.request_timeout`. Raises as `SyncTicket` does."""
        driver = self._running
        reply: SyncReply = driver.call(driver.core.native.request_start, peer_id, data, *options_of(lane, timeout, when_full), SyncReply)
        return reply

    def messages(self, peer: str | None = None, lane: LaneArgument | None = None) -> SyncMessages:
        """The messages that arrive, those of one peer or one lane alone if given, for `for`. Each goes to one consumer."""
        return SyncMessages(self._running, peer, lane)

    def receive(self, *, timeout: float | None = None, peer: str | None = None, lane: LaneArgument | None = None) -> SyncReceivedMessage:
        """The next message; say `done()` when you are. Raises `TimeoutError`, and `ClosedError` after the last one."""
        message: SyncReceivedMessage = self._running.messages.next(*filter_of(peer, lane), timeout)
        return message

    def reconnect(self, peer_id: str, addresses: Iterable[str] = ()) -> None:
        """Wants the channel to a peer, whatever closed it here or gave it up: the peer is dialled now, and again until it is there.

        addresses: where it may be found, beside those that are known. A channel that the peer closed stays so until the peer reconnects.
        """
        self._running.call(self._running.core.native.reconnect_start, peer_id, tuple(addresses))

    def close_peer(self, peer_id: str, reason: str | None = None) -> None:
        """Tells the peer goodbye, for this reason, and keeps apart from it until `reconnect` here: messages to it end with `PeerClosedError`."""
        self._running.call(self._running.core.native.close_peer_start, peer_id, reason)

    def channel(self, peer_id: str) -> Channel | None:
        """The channel to a peer; None when there is none."""
        channels = self._running.call(self._running.core.native.channels_start, peer_id)
        return channel_of(channels[0]) if channels else None

    def channels(self) -> list[Channel]:
        """The channels, ordered by peer id."""
        return [channel_of(native) for native in self._running.call(self._running.core.native.channels_start, None)]
