"""Messages to one peer, for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from . import _meshnet
from ._core import Completion
from ._loop import LoopDriver, Waiters
from .errors import ClosedError, TimeoutError
from .messages import Channel, Content, Data, Lane, LaneArgument, Received, TicketBase, WhenFull, channel_of, filter_of, options_of

__all__ = ["Messages", "ReceivedMessage", "Reply", "Ticket"]


class Ticket(TicketBase):
    """A message on its way: `await ticket` returns when the peer has it, and raises what kept it from that.

    Raises `ExpiredError`, `QueueFullError`, `DisplacedError`, `PeerRestartedError`, `PeerClosedError`, `GaveUpError`, `StorageError`,
    `CallCancelledError`, `ClosedError`. A wait that is cancelled leaves the message on its way.
    """

    __slots__ = ("_waiters",)

    def __init__(self, driver: LoopDriver, number: int, completion: Completion) -> None:
        super().__init__(driver, number, completion)
        self._waiters: Waiters | None = None

    @property
    def ended(self) -> bool:
        """Whether a wait would return at once."""
        return self._completion.done

    async def wait(self, *, timeout: float | None = None) -> None:
        """As `await ticket`, for so many seconds at most: then `TimeoutError`, and the message stays on its way."""
        while not self._completion.done:
            self._driver.attach()
            if self._waiters is None:
                waiters = self._waiters = Waiters()
                self._completion.when_done = lambda completion: waiters.wake()
            await self._waiters.wait(timeout)
        self._completion.result()

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait().__await__()


def _start(driver: LoopDriver, method: Callable[..., int], *arguments: Any) -> Ticket:
    """A message that nobody need wait for."""
    driver.attach()
    return Ticket(driver, *driver.core.start(method, *arguments))


async def _queued(driver: LoopDriver, started: tuple[int, Completion], timeout: float | None) -> Ticket:
    """The ticket of a message once it is in its queue. A wait that ends early takes the message back."""
    number, completion = started
    try:
        await driver.wait_accepted(completion, timeout)
    except (asyncio.CancelledError, TimeoutError):
        driver.core.abandon(number)
        raise
    return Ticket(driver, number, completion)


class _Saving(Content):
    __slots__ = ()

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the bytes into a file, which is complete or not there; one that exists is replaced."""
        await asyncio.to_thread(super().save, os.fspath(path))


class Reply(_Saving):
    """What a peer answered to a request."""

    __slots__ = ()


class ReceivedMessage(_Saving, Received):
    """A message that arrived. Who is done with it says so by `done`, by `reply`, by asking an iterator for the next, or by forgetting it."""

    __slots__ = ()

    def reply(self, data: Data = b"") -> Ticket:
        """Answers a request, once, and is done with it. The reply is on its way at once; who waits for the ticket knows that the peer has it."""
        driver = self._driver()
        ticket = _start(driver, driver.core.native.reply_start, self, data)
        self.free()
        return ticket


class Messages(_meshnet.AsyncMessageIterator):
    """The messages that arrive, each given to one consumer: `async for message in node.messages()`.

    A message is done with when the next one is asked for; a request when it is answered. Nothing is dropped: what nobody takes holds its sender back.
    """

    __slots__ = ("_driver",)
    _driver: LoopDriver

    def __new__(cls, driver: LoopDriver, peer: str | None, lane: LaneArgument | None) -> Messages:
        self = super().__new__(cls, driver.messages.inbox, *filter_of(peer, lane))
        self._driver = driver
        return self

    if TYPE_CHECKING:

        def __anext__(self) -> Awaitable[ReceivedMessage]: ...

    async def next(self, *, timeout: float | None = None) -> ReceivedMessage:
        """The next message. Raises `TimeoutError`, and `ClosedError` after the last one."""
        self._pass()
        return self._give(await receive(self._driver, self._peer, self._lane, timeout))

    async def _wait(self, others_turn: bool) -> ReceivedMessage:
        if others_turn:
            await asyncio.sleep(0)
        try:
            return await self.next()
        except ClosedError:
            raise StopAsyncIteration from None


async def receive(driver: LoopDriver, peer: str | None, lane: int | None, timeout: float | None) -> ReceivedMessage:
    """The next message of a peer and lane, or of any."""
    message: ReceivedMessage = await driver.messages.next(driver.attach(), peer, lane, timeout)
    return message


class NodeMessages:
    """What a node does with messages to one peer. A channel to a peer exists whether or not there is a connection."""

    @property
    def _running(self) -> LoopDriver:
        raise NotImplementedError

    async def send(
        self,
        peer_id: str,
        data: Data,
        *,
        lane: LaneArgument = Lane.NORMAL,
        deadline: float | None = None,
        when_full: WhenFull = "wait",
        timeout: float | None = None,
    ) -> Ticket:
        """Queues a message; returns when it is in its queue, and on disk where there is a state directory. `await` the ticket for its delivery.

        deadline: seconds after which it ends with `ExpiredError`; None: it is tried for ever. timeout: of this call; then the message is taken back.
        """
        options = options_of(lane, deadline, when_full)
        driver = self._running
        return await _queued(driver, driver.core.start(driver.core.native.send_start, peer_id, data, *options, True), timeout)

    def send_nowait(
        self,
        peer_id: str,
        data: Data,
        *,
        lane: LaneArgument = Lane.NORMAL,
        deadline: float | None = None,
        when_full: WhenFull = "fail",
    ) -> Ticket:
        """As `send`, without waiting for anything: also a full queue is told by the ticket alone."""
        driver = self._running
        return _start(driver, driver.core.native.send_start, peer_id, data, *options_of(lane, deadline, when_full), False)

    async def send_many(
        self,
        peer_id: str,
        messages: Iterable[Data],
        *,
        lane: LaneArgument = Lane.NORMAL,
        deadline: float | None = None,
        when_full: WhenFull = "wait",
    ) -> int:
        """Queues messages in order at the cost of one call; returns their number when all are in the queue. There are no tickets.

        After an error or a cancellation a part may have been queued.
        """
        native = self._running.core.native
        options = options_of(lane, deadline, when_full)
        return await asyncio.to_thread(native.send_many, peer_id, tuple(messages), *options, False, _meshnet.FOREVER)

    async def send_file(
        self,
        peer_id: str,
        path: str | os.PathLike[str],
        *,
        lane: LaneArgument = Lane.BULK,
        deadline: float | None = None,
        when_full: WhenFull = "wait",
        timeout: float | None = None,
    ) -> Ticket:
        """As `send`, with the content of a file as it is now."""
        driver = self._running
        options = options_of(lane, deadline, when_full)
        started = await driver.start_in_thread(driver.core.native.send_file_start, peer_id, os.fspath(path), *options, True)
        return await _queued(driver, started, timeout)

    async def request(
        self, peer_id: str, data: Data, *, timeout: float | None = None, lane: LaneArgument = Lane.NORMAL, when_full: WhenFull = "wait"
    ) -> Reply:
        """Sends a request and waits for its reply. timeout: seconds that it has; None: `MessageOptions.request_timeout`. Raises as `Ticket` does."""
        driver = self._running
        reply: Reply = await driver.ask(driver.core.native.request_start, peer_id, data, *options_of(lane, timeout, when_full), Reply)
        return reply

    def messages(self, peer: str | None = None, lane: LaneArgument | None = None) -> Messages:
        """The messages that arrive, those of one peer or one lane alone if given, for `async for`. Each goes to one consumer."""
        return Messages(self._running, peer, lane)

    async def receive(self, *, timeout: float | None = None, peer: str | None = None, lane: LaneArgument | None = None) -> ReceivedMessage:
        """The next message; say `done()` when you are. Raises `TimeoutError`, and `ClosedError` after the last one."""
        return await receive(self._running, *filter_of(peer, lane), timeout)

    async def reconnect(self, peer_id: str, addresses: Iterable[str] = ()) -> None:
        """Wants the channel to a peer, whatever closed it here or gave it up: the peer is dialled now, and again until it is there.

        addresses: where it may be found, beside those that are known. A channel that the peer closed stays so until the peer reconnects.
        """
        await self._running.call(self._running.core.native.reconnect_start, peer_id, tuple(addresses))

    async def close_peer(self, peer_id: str, reason: str | None = None) -> None:
        """Tells the peer goodbye, for this reason, and keeps apart from it until `reconnect` here: messages to it end with `PeerClosedError`."""
        await self._running.call(self._running.core.native.close_peer_start, peer_id, reason)

    async def channel(self, peer_id: str) -> Channel | None:
        """The channel to a peer; None when there is none."""
        channels = await self._running.call(self._running.core.native.channels_start, peer_id)
        return channel_of(channels[0]) if channels else None

    async def channels(self) -> list[Channel]:
        """The channels, ordered by peer id."""
        return [channel_of(native) for native in await self._running.call(self._running.core.native.channels_start, None)]

