"""What lies in an inbox before anybody asks for it, and what becomes of tickets before anybody waits for them."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import meshnet
from meshnet import _meshnet
from meshnet._core import Core
from support import PATIENCE, address_of, connected_pair, local

CONTROL, NORMAL, BULK = meshnet.Lane


class Hall:
    """A node that receives, and others that send to it: what `send` has returned waits in the node."""

    def __init__(self, stack: ExitStack) -> None:
        self.node, self.a, self.b = (stack.enter_context(meshnet.SyncNode(**local())) for _ in range(3))
        for sender in (self.a, self.b):
            sender.connect(address_of(self.node), timeout=PATIENCE)
        self.inbox = self.node._running.messages.inbox

    def send(self, sender: meshnet.SyncNode, lane: meshnet.Lane, *numbers: int) -> None:
        native = sender._running.core.native
        datas = [b"%d" % number for number in numbers]
        assert native.send_many(self.node.peer_id, datas, lane, -1, _meshnet.WHEN_FULL_WAIT, True, PATIENCE * 1000) == len(numbers)

    def numbers(self, count: int, peer: str | None = None, lane: int | None = None) -> list[int]:
        return [int(self.inbox.take(peer, lane).data) for _ in range(count)]


@pytest.fixture
def hall() -> Iterator[Hall]:
    with ExitStack() as stack:
        yield Hall(stack)


COARSE = 6  # CLOCK_MONOTONIC_COARSE of Linux


def next_tick() -> None:
    """Returns when the clock of the inbox has advanced."""
    begun = time.clock_gettime_ns(COARSE)
    while time.clock_gettime_ns(COARSE) == begun:
        pass


def test_peers_take_turns_and_each_keeps_its_order(hall: Hall) -> None:
    hall.send(hall.a, NORMAL, 1, 2, 3, 4)
    hall.send(hall.b, NORMAL, 11, 12)
    assert hall.numbers(6) == [1, 11, 2, 12, 3, 4]
    assert hall.inbox.take(None, None) is None


def test_control_comes_first_also_before_what_was_fetched_earlier(hall: Hall) -> None:
    hall.send(hall.a, BULK, 1, 2, 3)
    assert hall.numbers(1) == [1]
    hall.send(hall.a, CONTROL, 100)
    next_tick()
    assert hall.numbers(3) == [100, 2, 3]


def test_filters_leave_others_for_others_and_starve_nobody(hall: Hall) -> None:
    count = 3000
    hall.send(hall.a, NORMAL, *range(count))
    hall.send(hall.b, NORMAL, -1)
    hall.send(hall.a, BULK, -2)
    assert hall.inbox.take(meshnet.Keypair.generate().peer_id, None) is None
    assert hall.numbers(1, hall.b.peer_id) == [-1]
    assert hall.numbers(1, hall.a.peer_id, BULK) == [-2]
    assert hall.inbox.take(hall.b.peer_id, None) is None
    assert hall.numbers(count, None, NORMAL) == list(range(count))


def test_it_finishes_after_the_last_message(hall: Hall) -> None:
    hall.send(hall.a, NORMAL, 1)
    hall.node._running.core.native.close()
    assert hall.numbers(1) == [1] and not hall.inbox.finished
    assert hall.inbox.take(None, None) is None and hall.inbox.finished
    assert hall.inbox.fetch(-1) == 0


def test_one_thread_waits_and_what_comes_is_for_all(hall: Hall) -> None:
    """Threads that want different peers, and one that takes whatever lies there."""
    found: dict[str, list[int]] = {}
    begun = threading.Barrier(4)

    def collect(name: str, peer: str | None, lane: meshnet.Lane) -> None:
        begun.wait(PATIENCE)
        messages = hall.node.messages(peer, lane)
        found[name] = [int(messages.next(timeout=PATIENCE).data) for _ in range(200)]

    wanted = {"a": (hall.a.peer_id, NORMAL), "b": (hall.b.peer_id, NORMAL), "any": (None, BULK)}
    threads = [threading.Thread(target=collect, args=(name, *what)) for name, what in wanted.items()]
    for thread in threads:
        thread.start()
    begun.wait(PATIENCE)
    for number in range(200):
        hall.send(hall.a, NORMAL, number)
        hall.send(hall.b, NORMAL, number)
        hall.send(hall.b, BULK, number)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert found == dict.fromkeys(wanted, list(range(200)))


def test_a_second_thread_may_not_wait_in_one_inbox(hall: Hall) -> None:
    ends: list[int] = []

    def wait() -> None:
        while not ends:
            with contextlib.suppress(meshnet.BusyError):
                ends.append(hall.inbox.fetch(-1))

    waiting = threading.Thread(target=wait)
    waiting.start()
    with pytest.raises(meshnet.BusyError):
        while True:
            hall.inbox.fetch(1)  # as long as the other thread has not begun
    hall.send(hall.a, NORMAL, 1)
    waiting.join(PATIENCE)
    assert ends == [1] and hall.numbers(1) == [1]


@contextlib.contextmanager
def counted_calls() -> Iterator[list[str]]:
    """The Python functions that this thread enters, by name."""
    names: list[str] = []
    sys.setprofile(lambda frame, kind, _: names.append(frame.f_code.co_name) if kind == "call" else None)
    try:
        yield names
    finally:
        sys.setprofile(None)


def test_a_step_of_a_loop_that_need_not_wait_runs_no_python_code(hall: Hall) -> None:
    count = 1000
    hall.send(hall.a, NORMAL, *range(count))
    found = []
    messages = hall.node.messages()
    with counted_calls() as names:
        for message in messages:
            found.append(message.data)
            if len(found) == count:
                break
    assert found == [b"%d" % number for number in range(count)]
    assert set(names) <= {"__exit__", "counted_calls"}


async def test_a_step_of_an_asynchronous_loop_neither() -> None:
    count = 1000
    async with connected_pair() as (first, second):
        native = first._running.core.native
        datas = [b"%d" % number for number in range(count)]
        native.send_many(second.peer_id, datas, NORMAL, -1, _meshnet.WHEN_FULL_WAIT, True, PATIENCE * 1000)
        found = []
        messages = second.messages()
        with counted_calls() as names:
            async for message in messages:
                found.append(message.data)
                if len(found) == count:
                    break
        assert found == datas
        # Other tasks get their turn now and then: nothing else happens.
        assert 0 < names.count("_wait") <= 2 * (count // 256)
        assert len(names) < count // 4


def test_only_messages_become_messages() -> None:
    node: Any = object()
    with meshnet.SyncNode(**local()) as opened:
        with pytest.raises(TypeError):
            _meshnet.Inbox(node, _meshnet.Message)
        with pytest.raises(TypeError):
            _meshnet.Inbox(opened._running.core.native, int)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            _meshnet.MessageIterator(node, None, None)
        with pytest.raises(TypeError):
            meshnet.SyncReceivedMessage()
        with pytest.raises(meshnet.InvalidArgument):
            opened._running.messages.inbox.take(None, 3)


class Calls:
    """A node whose calls end as the test says."""

    def __init__(self) -> None:
        self.cancelled: list[int] = []

    def cancel(self, ticket: int) -> None:
        self.cancelled.append(ticket)


def core() -> Any:
    made: Any = Core(Calls(), lambda *_: None)  # type: ignore[arg-type]
    return made


def test_a_ticket_may_end_before_the_thread_that_started_it_says_so() -> None:
    node = core()
    node.starting += 1
    node.handle((_meshnet.EVENT_ACCEPTED, 7))
    node.handle((_meshnet.EVENT_COMPLETED, 7, True, None))
    completion = node.started(7)
    assert completion.accepted and completion.done and completion.succeeded
    assert not node.pending and not node.early and not node.starting

    node.starting += 1
    node.handle((_meshnet.EVENT_ACCEPTED, 8))
    completion = node.started(8)
    assert completion.accepted and not completion.done and node.pending == {8: completion}
    node.handle((_meshnet.EVENT_COMPLETED, 8, False, meshnet.ExpiredError("late")))
    with pytest.raises(meshnet.ExpiredError):
        completion.result()


def test_a_thread_that_starts_nothing_leaves_nothing() -> None:
    node = core()
    node.starting += 1
    node.handle((_meshnet.EVENT_COMPLETED, 9, True, None))  # of somebody who no longer waits
    assert node.started(None) is None and not node.early and not node.pending
    node.handle((_meshnet.EVENT_ACCEPTED, 9))
    assert not node.early


def test_what_a_thread_starts_while_the_node_closes_ends_too() -> None:
    node = core()
    node.starting += 1
    node.finish()
    completion = node.started(3)
    assert completion.done
    with pytest.raises(meshnet.ClosedError):
        completion.result()
