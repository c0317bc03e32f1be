"""A core for threads: of those that wait, one watches the descriptor and hands out what comes; when it leaves, another takes its place."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _meshnet
from ._core import Completion, Core
from .errors import ClosedError, TimeoutError
from .messages import Inbox

if TYPE_CHECKING:
    from .sync import SyncStream

#: Calls that nobody waits for until one looks what became of the others: the node keeps 65,536 completions.
UNWATCHED_STARTS = 32


class Pump:
    """Hands out what a descriptor announces, to any number of threads."""

    def __init__(self, descriptor: int) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._watching = False
        self._process = os.getpid()

    @property
    def finished(self) -> bool:
        """Whether nothing will come any more."""
        raise NotImplementedError

    def turn(self) -> bool:
        """Fetches what waits; False when nothing does. With the lock held."""
        raise NotImplementedError

    def lock(self) -> threading.Condition:
        """To be held while what the threads share is used. In the child of a fork another thread may have left it locked for ever."""
        if os.getpid() != self._process:
            raise ClosedError("the node belongs to the parent of this process: make a new one here")
        return self._changed

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Waits until `ready()`, which is asked with the lock held. False: the time was over, or the node closed, before."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self.lock():
            while not ready():
                if not self._watching and self.look():
                    continue
                if self.finished:
                    return ready()
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return False
                if self._watching:
                    self._changed.wait(remaining)
                else:
                    self._watch(remaining)
            return True

    def wake(self) -> None:
        """Lets all that wait look again. With the lock held."""
        self._changed.notify_all()

    def look(self) -> bool:
        """A turn, and whether it changed anything. With the lock held."""
        finished = self.finished
        if self.turn() or self.finished != finished:
            self._changed.notify_all()
            return True
        return False

    def _watch(self, remaining: float | None) -> None:
        # poll, and not the node's own wait: a signal, such as that of Ctrl-C, is to end it.
        self._watching = True
        self._changed.release()
        try:
            self._poll.poll(None if remaining is None else max(0, remaining * 1000))
        finally:
            self._changed.acquire()
            self._watching = False
            self._changed.notify_all()

    @contextlib.contextmanager
    def at_rest(self) -> Any:
        """The lock, with nobody in the descriptor. Of a node that is closed, so that whoever watches leaves."""
        with self._changed:
            while self._watching:
                self._changed.wait()
            yield


class SyncInbox(Pump):
    """The messages of a node, and the threads that wait for them."""

    def __init__(self, native: _meshnet.Node) -> None:
        super().__init__(native.message_fd())
        self._inbox = Inbox(native)

    @property
    def finished(self) -> bool:
        """Whether no message will come any more."""
        return self._inbox.finished

    def turn(self) -> bool:
        """Fetches one batch."""
        return self._inbox.fetch() > 0

    def next(self, peer: str | None, lane: int | None, timeout: float | None) -> _meshnet.Message:
        """The next message. Raises `TimeoutError`, and `ClosedError` after the last one."""
        found: list[_meshnet.Message] = []

        def ready() -> bool:
            message = self._inbox.take(peer, lane)
            if message is not None:
                found.append(message)
            return message is not None

        if self.wait_for(ready, timeout):
            return found[0]
        if self.finished:
            raise ClosedError("the node is closed, and every message was given out")
        raise TimeoutError(f"no message came in {timeout:g} s")

    def drain(self) -> None:
        """Of a node that was closed: takes over what waits in it, for those who still ask."""
        with self.at_rest():
            while self._inbox.fetch():
                pass
            self._inbox.finished = True
            self._changed.notify_all()


class SyncDriver(Pump):
    """Serves one core from any number of threads."""

    def __init__(self, native: _meshnet.Node, stream_type: Callable[[SyncDriver, int, str, str], SyncStream]) -> None:
        super().__init__(native.event_fd())
        reference = weakref.ref(self)

        def make_stream(stream_id: int, peer_id: str, protocol_id: str) -> SyncStream:
            driver = reference()
            assert driver is not None, "events are fetched by the driver only"
            return stream_type(driver, stream_id, peer_id, protocol_id)

        self.core = Core(native, make_stream)
        self.messages = SyncInbox(native)
        self._freed = False
        self._unwatched = 0

    @property
    def finished(self) -> bool:
        """Whether no event will come any more."""
        return self.core.finished

    def turn(self) -> bool:
        """Hands out one batch of events."""
        return self.core.turn()

    def call(
        self, method: Callable[..., int], *arguments: Any, timeout: float | None = None, tidy: Callable[[Any], None] | None = None
    ) -> Any:
        """Starts a call and waits for it. A wait that ends early cancels the call; what succeeds all the same goes to `tidy`."""
        with self.lock():
            ticket, completion = self.core.start(method, *arguments)
        try:
            self.wait_for(lambda: completion.done, timeout)
        except BaseException:
            with self._changed:
                self.core.abandon(ticket, tidy)
            if completion.succeeded and tidy is not None:
                tidy(completion.value)
            raise
        with self._changed:
            if not completion.done:
                self.core.abandon(ticket, tidy)
                raise TimeoutError(f"nothing happened in {timeout:g} s")
        return completion.result()

    def start(self, method: Callable[..., int], *arguments: Any) -> tuple[int, Completion]:
        """Starts a call that nobody need wait for."""
        with self.lock():
            started = self.core.start(method, *arguments)
            self._unwatched += 1
            if self._unwatched >= UNWATCHED_STARTS and not self._watching:
                self._unwatched = 0
                self.look()
        return started

    def start_unlocked(self, method: Callable[..., int], *arguments: Any) -> tuple[int, Completion]:
        """Starts a call that may block before it returns."""
        with self.lock():
            if self.core.finished:
                raise ClosedError("the node is closed")
            self.core.starting += 1
        ticket = None
        try:
            ticket = method(*arguments)
        finally:
            with self._changed:
                completion = self.core.started(ticket)
        assert ticket is not None and completion is not None, "a call that failed has raised"
        return ticket, completion

    def wait_accepted(self, started: tuple[int, Completion], timeout: float | None) -> None:
        """Waits until a message is in its queue, or has failed to get there. A wait that ends early takes it back."""
        ticket, completion = started
        accepted = False
        try:
            accepted = self.wait_for(lambda: completion.accepted or completion.done, timeout)
        finally:
            if not accepted:
                with self._changed:
                    self.core.abandon(ticket)
        if completion.done:
            completion.result()
        if not accepted:
            raise TimeoutError(f"the queue took nothing in {timeout:g} s")

    def close(self) -> None:
        """Stops the node, hands the last events out, and gives the descriptors up."""
        if os.getpid() != self._process:
            self.core.native.free()
            return
        with contextlib.suppress(ClosedError):
            self.core.native.close()
        self.messages.drain()
        with self.at_rest():
            if self._freed:
                return
            self._freed = True
            while self.core.turn():
                pass
            if not self.core.finished:
                self.core.finish()
            self._changed.notify_all()
            self.core.native.free()
