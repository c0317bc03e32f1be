"""What the faces do with messages and tickets before anybody waits for them, without a node."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

import meshnet
from meshnet import _meshnet, messages
from meshnet._core import Core
from meshnet.messages import Inbox


@dataclass
class Letter:
    """What `Inbox` needs of a message of the extension module."""

    peer_id: str
    lane: int
    number: int


class Source:
    """A node of which messages can be fetched, control ones first, as of the library."""

    def __init__(self) -> None:
        self.waiting: list[deque[Letter]] = [deque() for _ in meshnet.Lane]
        self.fetches = 0
        self.closed = False

    def add(self, peer: str, lane: meshnet.Lane, *numbers: int) -> None:
        self.waiting[lane].extend(Letter(peer, lane, number) for number in numbers)

    def receive_many(self, timeout_ms: int, capacity: int) -> list[Letter]:
        assert timeout_ms == 0
        self.fetches += 1
        found = []
        for lane in self.waiting:
            while lane and len(found) < capacity:
                found.append(lane.popleft())
        if not found and self.closed:
            raise meshnet.ClosedError("closed")
        return found


@pytest.fixture
def source() -> Source:
    return Source()


def inbox_of(source: Source) -> Any:
    inbox: Any = Inbox(source)  # type: ignore[arg-type]
    return inbox


def numbers(inbox: Any, count: int, peer: str | None = None, lane: int | None = None) -> list[int]:
    return [inbox.take(peer, lane).number for _ in range(count)]


CONTROL, NORMAL, BULK = meshnet.Lane


def test_peers_take_turns_and_each_keeps_its_order(source: Source) -> None:
    source.add("a", NORMAL, 1, 2, 3, 4)
    source.add("b", NORMAL, 11, 12)
    inbox = inbox_of(source)
    assert numbers(inbox, 6) == [1, 11, 2, 12, 3, 4]
    assert inbox.take(None, None) is None


def test_control_comes_first_also_before_what_was_fetched_earlier(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: clock[0])
    source.add("a", BULK, 1, 2, 3)
    inbox = inbox_of(source)
    assert numbers(inbox, 1) == [1]
    source.add("a", CONTROL, 100)
    assert numbers(inbox, 1) == [2] and source.fetches == 1
    clock[0] += 2 * messages.FRESH
    assert numbers(inbox, 2) == [100, 3] and source.fetches == 2


def test_filters_leave_others_for_others_and_starve_nobody(source: Source) -> None:
    count = 2 * messages.AHEAD
    source.add("a", NORMAL, *range(count))
    source.add("b", NORMAL, -1)
    source.add("a", BULK, -2)
    inbox = inbox_of(source)
    assert inbox.take("c", None) is None
    assert numbers(inbox, 1, "b") == [-1]
    assert numbers(inbox, 1, "a", BULK) == [-2]
    assert inbox.take("b", None) is None
    assert numbers(inbox, count, None, NORMAL) == list(range(count))


def test_it_finishes_after_the_last_message(source: Source) -> None:
    source.add("a", NORMAL, 1)
    source.closed = True
    inbox = inbox_of(source)
    assert numbers(inbox, 1) == [1] and not inbox.finished
    assert inbox.take(None, None) is None and inbox.finished
    fetches = source.fetches
    assert inbox.take(None, None) is None and source.fetches == fetches


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
