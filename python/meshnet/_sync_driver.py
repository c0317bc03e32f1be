"""A core for threads: of those that wait, one waits in the node and hands out what comes; when it leaves, another takes its place."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _meshnet
from ._core import BATCH, Completion, Core
from .errors import ClosedError, TimeoutError

if TYPE_CHECKING:
    from .sync import SyncStream

#: Calls that nobody waits for until one looks what became of the others: the node keeps 65,536 completions.
UNWATCHED_STARTS = 32
#: Milliseconds of the longest wait that the node takes.
LONGEST_WAIT = (1 << 31) - 1


_forks = 0


def _after_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_after_fork)


def _milliseconds(seconds: float | None) -> int:
    return -1 if seconds is None else max(0, min(LONGEST_WAIT, math.ceil(seconds * 1000)))


class Pump:
    """Hands out what a node brings, to any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._watching = False
        self._sleeping = 0
        self._forks = _forks

    @property
    def finished(self) -> bool:
        """Whether nothing will come any more."""
        raise NotImplementedError

    def fetch(self, timeout_ms: int) -> Any:
        """Waits for what comes. Without the lock, and one thread at a time."""
        raise NotImplementedError

    def hand_out(self, fetched: Any) -> bool:
        """Hands out what was fetched; False when it was nothing. With the lock held."""
        raise NotImplementedError

    def lock(self) -> threading.Condition:
        """To be held while what the threads share is used. In the child of a fork another thread may have left it locked for ever."""
        if _forks != self._forks:
            raise ClosedError("the node belongs to the parent of this process: make a new one here")
        return self._changed

    def wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Waits until `ready()`, which is asked with the lock held. False: the time was over, or the node closed, before."""
        deadline = None if timeout is None else time.monotonic() + timeout
        remaining = timeout
        with self.lock():
            while not ready():
                if self.finished:
                    return False
                is_over = remaining is not None and remaining <= 0
                if not self._watching:
                    if not self._watch(remaining) and is_over:
                        return ready()
                elif is_over:
                    return False
                else:
                    self._sleep(remaining)
                if deadline is not None:
                    remaining = deadline - time.monotonic()
            return True

    def wake(self) -> None:
        """Lets all that wait look again. With the lock held."""
        if self._sleeping:
            self._changed.notify_all()

    def look(self) -> None:
        """Hands out what waits, unless another thread does so. With the lock held."""
        if not self._watching and self.hand_out(self.fetch(0)):
            self.wake()

    def _sleep(self, remaining: float | None) -> None:
        self._sleeping += 1
        try:
            self._changed.wait(remaining)
        finally:
            self._sleeping -= 1

    def _watch(self, remaining: float | None) -> bool:
        self._watching = True
        self._changed.release()
        try:
            fetched = self.fetch(_milliseconds(remaining))
        finally:
            self._changed.acquire()
            self._watching = False
            self.wake()
        return self.hand_out(fetched)

    @contextlib.contextmanager
    def at_rest(self) -> Any:
        """The lock, with nobody in the node. Of a node that is closed, so that whoever waits in it leaves."""
        with self._changed:
            while self._watching:
                self._sleep(None)
            yield


class SyncInbox(Pump):
    """The messages of a node, and the threads that wait for them."""

    def __init__(self, native: _meshnet.Node, kind: type[_meshnet.Message], owner: object) -> None:
        super().__init__()
        self.inbox = _meshnet.Inbox(native, kind, owner)

    @property
    def finished(self) -> bool:
        """Whether no message will come any more."""
        return self.inbox.finished

    def fetch(self, timeout_ms: int) -> int:
        """Fetches one batch; messages that it brought."""
        return self.inbox.fetch(timeout_ms)

    def hand_out(self, fetched: int) -> bool:
        """They lie in the inbox already."""
        return fetched > 0

    def next(self, peer: str | None, lane: int | None, timeout: float | None) -> Any:
        """The next message. Raises `TimeoutError`, and `ClosedError` after the last one."""
        message: Any = None

        def ready() -> bool:
            nonlocal message
            message = self.inbox.take(peer, lane)
            return message is not None

        if self.wait_for(ready, timeout):
            return message
        if self.finished:
            raise ClosedError("the node is closed, and every message was given out")
        raise TimeoutError(f"no message came in {timeout:g} s")

    def drain(self) -> None:
        """Of a node that was closed: takes over what waits in it, for those who still ask."""
        with self.at_rest():
            while self.inbox.fetch(0):
                pass
            self.inbox.finished = True
            self._changed.notify_all()


class SyncDriver(Pump):
    """Serves one core from any number of threads."""

    def __init__(
        self, native: _meshnet.Node, stream_type: Callable[[SyncDriver, int, str, str], SyncStream], message_type: type[_meshnet.Message]
    ) -> None:
        super().__init__()
        reference = weakref.ref(self)

        def make_stream(stream_id: int, peer_id: str, protocol_id: str) -> SyncStream:
            driver = reference()
            assert driver is not None, "events are fetched by the driver only"
            return stream_type(driver, stream_id, peer_id, protocol_id)

        self.core = Core(native, make_stream)
        self.messages = SyncInbox(native, message_type, reference)
        self._freed = False
        self._unwatched = 0

    @property
    def finished(self) -> bool:
        """Whether no event will come any more."""
        return self.core.finished

    def fetch(self, timeout_ms: int) -> list[tuple[Any, ...]] | None:
        """One batch of events; None after the last one."""
        try:
            return self.core.native.next_events(timeout_ms, BATCH)
        except ClosedError:
            return None

    def hand_out(self, fetched: list[tuple[Any, ...]] | None) -> bool:
        """To those who wait for them."""
        return self.core.take(fetched)

    def call(
        self, method: Callable[..., int], *arguments: Any, timeout: float | None = None, tidy: Callable[[Any], None] | None = None
    ) -> Any:
        """Starts a call and waits for it. A wait that ends early cancels the call; what succeeds all the same goes to `tidy`."""
        with self.lock():
            ticket, completion = self.core.start(method, *arguments)
        try:
            self.wait_for(completion.is_done, timeout)
        except BaseException:
            with self._changed:
                self.core.abandon(ticket, tidy)
            if completion.succeeded and tidy is not None:
                tidy(completion.value)
            raise
        if not completion.done:
            with self._changed:
                self.core.abandon(ticket, tidy)
            if not completion.done:
                raise TimeoutError(f"nothing happened in {timeout:g} s")
        return completion.result()

    def start(self, method: Callable[..., int], *arguments: Any) -> tuple[int, Completion]:
        """Starts a call that nobody need wait for."""
        with self.lock():
            started = self.core.start(method, *arguments)
            self._unwatched += 1
            if self._unwatched >= UNWATCHED_STARTS:
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
        if _forks != self._forks:
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
