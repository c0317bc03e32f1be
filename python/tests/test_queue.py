"""The bounded queue of one consumer."""

from __future__ import annotations

import pytest

import meshnet
from meshnet._core import CONSUMER_BYTES, EventQueue


def message(size: int = 1) -> meshnet.Message:
    return meshnet.Message("topic", bytes(size), "origin", "neighbour")


def test_drops_are_reported_where_they_happened() -> None:
    queue = EventQueue(2)
    for _ in range(5):
        queue.push(message())
    assert [queue.pop(), queue.pop()] == [message(), message()]
    queue.push(message(2))
    assert [queue.pop(), queue.pop(), queue.pop()] == [meshnet.MessagesDropped(3), message(2), None]
    assert queue.dropped == 3


def test_drops_at_the_end_are_reported_too() -> None:
    queue = EventQueue(1)
    queue.push(message())
    queue.push(message())
    assert [queue.pop(), queue.pop(), queue.pop()] == [message(), meshnet.MessagesDropped(1), None]


def test_connections_get_through_when_messages_no_longer_do() -> None:
    queue = EventQueue(2)
    connected = meshnet.Connected("peer", "address", meshnet.Direction.INBOUND)
    for _ in range(2):
        queue.push(message())
    queue.push(message())
    queue.push(connected)
    queue.push(connected)
    items = [queue.pop() for _ in range(4)]
    assert items == [message(), message(), meshnet.MessagesDropped(1), connected]
    assert queue.dropped == 2 and queue.pop() == meshnet.MessagesDropped(1)


def test_bytes_are_bounded_and_one_message_always_fits() -> None:
    queue = EventQueue(100)
    queue.push(message(CONSUMER_BYTES + 1))
    queue.push(message(1))
    assert queue.dropped == 1
    assert queue.pop() == message(CONSUMER_BYTES + 1)
    queue.pop()
    queue.push(message(CONSUMER_BYTES))
    queue.push(message(1))
    assert queue.dropped == 2


def test_a_queue_has_room() -> None:
    with pytest.raises(ValueError, match="limit"):
        EventQueue(0)
