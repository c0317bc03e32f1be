"""A core on a running asyncio loop: the node's descriptor wakes the loop, tickets become futures."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _meshnet
from ._core import Acceptor, Completion, Consumer, Core
from ._stream import StreamBase
from .errors import ClosedError, MeshnetError, TimeoutError
from .events import Event

if TYPE_CHECKING:
    from .node import Stream


def _settle(future: asyncio.Future[Any], completion: Completion) -> None:
    if future.done():
        return
    if completion.succeeded:
        future.set_result(completion.value)
    else:
        future.set_exception(completion.value)


def _expire(future: asyncio.Future[Any], timeout: float) -> None:
    if not future.done():
        future.set_exception(TimeoutError(f"nothing happened in {timeout:g} s"))


def _readable(driver_reference: weakref.ref[LoopDriver]) -> None:
    driver = driver_reference()
    if driver is not None:
        driver._on_readable()


def _messages_wait(reference: weakref.ref[LoopInbox]) -> None:
    inbox = reference()
    if inbox is not None:
        inbox.on_readable()


def _retire(loop: asyncio.AbstractEventLoop, descriptor: int, native: _meshnet.Node, messages: LoopInbox) -> None:
    loop.remove_reader(descriptor)
    messages.detach()
    # Messages that nobody was given come again after a restart: they must not be forgotten before the node is gone.
    native.free()


class Waiters:
    """Tasks that wait for one thing to change."""

    def __init__(self) -> None:
        self._futures: set[asyncio.Future[None]] = set()

    async def wait(self, timeout: float | None = None) -> None:
        """Returns after the next `wake`. Raises `TimeoutError`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, _expire, future, timeout)
        self._futures.add(future)
        try:
            await future
        finally:
            self._futures.discard(future)
            if timer is not None:
                timer.cancel()

    def __bool__(self) -> bool:
        return bool(self._futures)

    def wake(self) -> None:
        """Lets all of them look again."""
        for future in self._futures:
            if not future.done():
                future.set_result(None)


class Looks:
    """Whether a loop that waits for a reply looks for it before it sleeps: to be woken takes longer than a short round trip.

    After several quick replies in a row; each look in vain doubles their number, for the next: where the same loop has to answer, all are in vain.
    """

    #: Seconds. With a processor to be woken on both sides.
    QUICK = 0.0004
    #: Quick replies in a row before a look, at first and at most.
    NEEDED, NEEDED_AT_MOST = 4, 1024

    def __init__(self) -> None:
        self._quick = 0
        self._needed = self.NEEDED
        #: Requests that wait for their replies. Where several do, the loop has better things to do.
        self.waiting = 0

    @property
    def worthwhile(self) -> bool:
        """Whether to look now."""
        return self.waiting == 1 and self._quick >= self._needed

    def waited(self, seconds: float) -> None:
        """A reply came, after so long."""
        self._quick = min(self._quick + 1, self._needed) if seconds <= self.QUICK else 0

    def looked(self, found: bool) -> None:
        """What a look brought."""
        if found:
            self._needed = self._quick = self.NEEDED
        else:
            self._needed, self._quick = min(2 * self._needed, self.NEEDED_AT_MOST), 0


class LoopInbox:
    """The messages of a node, and the tasks that wait for them. Its descriptor is watched while somebody does."""

    def __init__(self, native: _meshnet.Node, kind: type[_meshnet.Message], owner: object) -> None:
        self.inbox = _meshnet.Inbox(native, kind, owner)
        self._descriptor = native.message_fd()
        self._waiters = Waiters()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def next(self, loop: asyncio.AbstractEventLoop, peer: str | None, lane: int | None, timeout: float | None) -> Any:
        """The next message. Raises `TimeoutError`, and `ClosedError` after the last one."""
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            message = self.inbox.take(peer, lane)
            if message is not None:
                return message
            if self.inbox.finished:
                raise ClosedError("the node is closed, and every message was given out")
            self._watch(loop)
            try:
                await self._waiters.wait(None if deadline is None else max(0, deadline - loop.time()))
            except TimeoutError:
                raise TimeoutError(f"no message came in {timeout:g} s") from None

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            self._loop = loop
            loop.add_reader(self._descriptor, _messages_wait, weakref.ref(self))

    def on_readable(self) -> None:
        """Messages wait in the node."""
        if self._waiters:
            self.inbox.fetch(0)
            self._waiters.wake()
        if not self._waiters or self.inbox.finished:
            self.detach()

    def detach(self) -> None:
        """Watches no longer."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._descriptor)

    def drain(self) -> None:
        """Of a node that was closed: takes over what waits in it, for those who still ask."""
        while self.inbox.fetch(0):
            pass
        self.inbox.finished = True
        self.detach()
        self._waiters.wake()


class LoopDriver:
    """Serves one core from one loop at a time. The loop holds it weakly: who drops the driver closes the node."""

    def __init__(
        self,
        native: _meshnet.Node,
        stream_type: Callable[[LoopDriver, int, str, str], StreamBase],
        message_type: type[_meshnet.Message] = _meshnet.Message,
    ) -> None:
        reference = weakref.ref(self)

        def make_stream(stream_id: int, peer_id: str, protocol_id: str) -> StreamBase:
            driver = reference()
            assert driver is not None, "events are fetched by the driver only"
            return stream_type(driver, stream_id, peer_id, protocol_id)

        self.core = Core(native, make_stream)
        self.messages = LoopInbox(native, message_type, reference)
        self._looks = Looks()
        self._descriptor = native.event_fd()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Task[None] | None = None
        self._freed = False

    def attach(self) -> asyncio.AbstractEventLoop:
        """Makes the running loop serve the node. Raises RuntimeError when another loop, not closed, does."""
        running = asyncio.get_running_loop()
        if self._loop is running:
            return running
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("this node belongs to another event loop: use it from the loop in which it was started, or use SyncNode")
        for ticket in list(self.core.pending):
            # Those who waited are gone with their loop.
            self.core.abandon(ticket)
        self._loop = running
        if not self.core.finished:
            running.add_reader(self._descriptor, _readable, weakref.ref(self))
        return running

    def _on_readable(self) -> None:
        # One batch for each time that the loop comes round; the descriptor stays readable while more waits.
        self.core.turn()
        if self.core.finished:
            self._detach()

    def _detach(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._descriptor)

    async def call(
        self, method: Callable[..., int], *arguments: Any, timeout: float | None = None, tidy: Callable[[Any], None] | None = None
    ) -> Any:
        """Starts a call and waits for it. A wait that ends early cancels the call; what succeeds all the same goes to `tidy`."""
        self.attach()
        ticket, completion = self.core.start(method, *arguments)
        try:
            return await self.wait(completion, timeout)
        except (asyncio.CancelledError, TimeoutError):
            if not completion.done:
                self.core.abandon(ticket, tidy)
            elif completion.succeeded and tidy is not None:
                tidy(completion.value)
            raise

    async def ask(self, method: Callable[..., int], *arguments: Any) -> Any:
        """As `call`, for a request."""
        loop, looks = self.attach(), self._looks
        begun = loop.time()
        looks.waiting += 1
        try:
            if looks.worthwhile:
                # Behind the tasks that are ready now.
                loop.call_soon(self._look)
            result = await self.call(method, *arguments)
            looks.waited(loop.time() - begun)
            return result
        finally:
            looks.waiting -= 1

    def _look(self) -> None:
        if self._looks.worthwhile and not self.core.finished:
            found = self.core.native.look() and self.core.turn()
            self._looks.looked(found)
            if self.core.finished:
                self._detach()

    async def wait(self, completion: Completion, timeout: float | None = None) -> Any:
        """Waits for a call that goes on when the wait ends early."""
        if completion.done:
            return completion.result()
        loop = self.attach()
        future: asyncio.Future[Any] = loop.create_future()
        completion.when_done = lambda done: _settle(future, done)
        timer = None if timeout is None else loop.call_later(timeout, _expire, future, timeout)
        try:
            return await future
        finally:
            completion.when_done = None
            if timer is not None:
                timer.cancel()
            if future.done() and not future.cancelled():
                future.exception()  # a task that is cancelled in the same turn never looks at it

    async def wait_accepted(self, completion: Completion, timeout: float | None) -> None:
        """Waits until a message is in its queue, or has failed to get there."""
        if not (completion.accepted or completion.done):
            loop = self.attach()
            future: asyncio.Future[None] = loop.create_future()

            def look(*_: Any) -> None:
                if not future.done():
                    future.set_result(None)

            completion.when_accepted = completion.when_done = look
            timer = None if timeout is None else loop.call_later(timeout, _expire, future, timeout)
            try:
                await future
            finally:
                completion.when_accepted = completion.when_done = None
                if timer is not None:
                    timer.cancel()
        if completion.done:
            completion.result()

    async def start_in_thread(self, method: Callable[..., int], *arguments: Any) -> tuple[int, Completion]:
        """Starts a call that may block before it returns. A wait that ends early cancels the call as soon as it has begun."""
        loop, core = self.attach(), self.core
        if core.finished:
            raise ClosedError("the node is closed")
        core.starting += 1
        started: list[tuple[int, Completion]] = []

        def begun(future: asyncio.Future[int]) -> None:
            ticket = None if future.cancelled() or future.exception() is not None else future.result()
            completion = core.started(ticket)
            if ticket is not None and completion is not None:
                started.append((ticket, completion))

        def give_up(_: asyncio.Future[int]) -> None:
            for ticket, _completion in started:
                core.abandon(ticket)

        begin = loop.run_in_executor(None, method, *arguments)
        begin.add_done_callback(begun)
        try:
            await asyncio.shield(begin)
        except asyncio.CancelledError:
            begin.add_done_callback(give_up)
            raise
        return started[0]

    async def close(self) -> None:
        """Stops the node, hands the last events out, and gives the descriptor up. All at once wait for the same end."""
        if self._freed:
            return
        loop = self.attach()
        if self._closing is None:
            self._closing = loop.create_task(self._shut_down())
        await asyncio.shield(self._closing)

    async def _shut_down(self) -> None:
        try:
            # Up to a second: the loop has other things to do meanwhile.
            await asyncio.to_thread(_close_quietly, self.core.native)
        finally:
            self.close_now()

    def close_now(self) -> None:
        """As `close`, without a loop. Blocks: under 1 s, unless the node has stopped already."""
        if self._freed:
            return
        self._freed = True
        _close_quietly(self.core.native)
        while self.core.turn():
            pass
        if not self.core.finished:
            self.core.finish()
        self._detach()
        self.messages.drain()
        self.core.native.free()

    def __del__(self) -> None:
        loop = getattr(self, "_loop", None)
        if loop is None or self._freed or loop.is_closed():
            return
        # This may be any thread, and the loop must forget the descriptor before it is closed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_retire, loop, self._descriptor, self.core.native, self.messages)


def _close_quietly(native: _meshnet.Node) -> None:
    with contextlib.suppress(ClosedError):
        native.close()


class Events(Consumer):
    """The events of a node from now on (or from its start, for the first consumer): `async for event in node.events()`.

    Each consumer sees every event. One that reads too slowly loses messages, is told by `MessagesDropped` where, and by `dropped` how many.
    """

    def __init__(self, driver: LoopDriver, limit: int) -> None:
        super().__init__(driver.core, limit)
        self._driver = driver
        self._waiters = Waiters()

    def _notify(self) -> None:
        self._waiters.wake()

    def __aiter__(self) -> Events:
        return self

    async def next(self, *, timeout: float | None = None) -> Event:
        """The next event. Raises `TimeoutError`, and `ClosedError` after the last one."""
        while True:
            event = self._queue.pop()
            if event is not None:
                return event
            if self._core.finished:
                raise ClosedError("the node is closed, and every event was read")
            self._driver.attach()
            await self._waiters.wait(timeout)

    async def __anext__(self) -> Event:
        try:
            return await self.next()
        except ClosedError:
            raise StopAsyncIteration from None


class Streams(Acceptor):
    """The streams that peers open for one protocol id.

    `async for stream in node.accept(…)` accepts from its first step on; `async with node.accept(…) as streams` from its beginning.
    """

    def __init__(self, driver: LoopDriver, protocol_id: str) -> None:
        super().__init__(driver.core, protocol_id)
        self._driver = driver
        self._waiters = Waiters()

    def _notify(self) -> None:
        self._waiters.wake()

    async def _register(self) -> None:
        if not self._registered:
            self._core.take_acceptor(self)
            self._registered = True
            try:
                await self._driver.call(self._core.native.accept_start, self._protocol_id)
            except BaseException:
                self._core.drop_acceptor(self)
                raise

    async def __aenter__(self) -> Streams:
        await self._register()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __aiter__(self) -> Streams:
        return self

    async def next(self, *, timeout: float | None = None) -> Stream:
        """The next stream. Raises `TimeoutError`, and `ClosedError` after the end."""
        await self._register()
        while True:
            if self._streams:
                stream: Stream = self._streams.popleft()
                return stream
            if self._closed or self._core.finished:
                raise ClosedError("no more streams are accepted")
            await self._waiters.wait(timeout)

    async def __anext__(self) -> Stream:
        try:
            return await self.next()
        except ClosedError:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """Accepts no more; streams that were not taken are reset."""
        if self._registered and not self._closed:
            self._core.drop_acceptor(self)
            with contextlib.suppress(MeshnetError):
                await self._driver.call(self._core.native.stop_accepting_start, self._protocol_id)
