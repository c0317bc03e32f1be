"""The blocking node: the same names, from any thread."""

from __future__ import annotations

import inspect
import os
import signal
import threading
import time

import pytest

import meshnet
from support import PATIENCE, address_of, local, sync_connected_pair, sync_next_of

#: What only one of the two can have.
DIFFERENT = {"__aenter__", "__aexit__", "__aiter__", "__anext__", "__enter__", "__exit__", "__iter__", "__next__"}


@pytest.mark.parametrize(
    ("asynchronous", "blocking"),
    [
        (meshnet.Node, meshnet.SyncNode),
        (meshnet.Stream, meshnet.SyncStream),
        (meshnet.Events, meshnet.SyncEvents),
        (meshnet.Streams, meshnet.SyncStreams),
        (meshnet.Ticket, meshnet.SyncTicket),
        (meshnet.Reply, meshnet.SyncReply),
        (meshnet.ReceivedMessage, meshnet.SyncReceivedMessage),
        (meshnet.Messages, meshnet.SyncMessages),
    ],
)
def test_the_names_and_parameters_are_the_same(asynchronous: type, blocking: type) -> None:
    def members(kind: type) -> dict[str, list[tuple[str, object, object]]]:
        return {
            name: [(p.name, p.kind, p.default) for p in inspect.signature(value).parameters.values()] if callable(value) else []
            for name, value in inspect.getmembers(kind)
            if not name.startswith("_") and name not in DIFFERENT
        }

    assert members(asynchronous) == members(blocking)


def test_messages() -> None:
    with sync_connected_pair() as (first, second):
        at_first, at_second = first.events(), second.events()
        assert first.subscribe("news") and second.subscribe("news") and not first.subscribe("news")
        sync_next_of(at_first, meshnet.Subscription)
        sync_next_of(at_second, meshnet.Subscription)
        first.publish("news", b"hello")
        message = sync_next_of(at_second, meshnet.Message)
        assert (message.topic, message.data, message.origin) == ("news", b"hello", first.peer_id)
        assert first.publish_many("news", (bytes([number]) for number in range(5))) == 5
        assert [sync_next_of(at_second, meshnet.Message).data for _ in range(5)] == [bytes([number]) for number in range(5)]
        assert [peer.peer_id for peer in first.topic_peers("news")] == [second.peer_id]
        assert [peer.peer_id for peer in first.peers()] == [second.peer_id]
        assert [peer.peer_id for peer in first.wait_for_peers(1, "news", timeout=PATIENCE)] == [second.peer_id]
        with pytest.raises(TimeoutError):
            first.wait_for_peers(2, "news", timeout=0.05)
        first.publish_retained("late", b"value")
        second.subscribe("late")
        message = sync_next_of(at_second, meshnet.Message)
        assert (message.data, message.retained) == (b"value", True)
        assert first.unsubscribe("news") and not first.unsubscribe("news")
        assert 0 < first.ping(second.peer_id, timeout=PATIENCE) < PATIENCE
        assert first.perf(second.peer_id, upload=1000, timeout=PATIENCE).upload >= 0
        first.disconnect(second.peer_id)
        assert sync_next_of(at_second, meshnet.Disconnected).cause is meshnet.DisconnectCause.CLOSED_BY_PEER


def test_many_threads_use_one_node() -> None:
    with sync_connected_pair() as (first, second):
        failures: list[BaseException] = []
        seen: list[list[bytes]] = [[] for _ in range(4)]
        consumers = [second.events() for _ in seen]
        first.subscribe("news")
        second.subscribe("news")
        sync_next_of(first.events(), meshnet.Subscription)

        def guarded(work: object, *arguments: object) -> threading.Thread:
            def run() -> None:
                try:
                    work(*arguments)  # type: ignore[operator]
                except BaseException as error:
                    failures.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            return thread

        def ping() -> None:
            for _ in range(50):
                second.ping(first.peer_id, timeout=PATIENCE)

        def publish(start: int) -> None:
            for number in range(start, start + 50):
                first.publish("news", b"%d" % number)

        def collect(index: int) -> None:
            while len(seen[index]) < 200:
                seen[index].append(sync_next_of(consumers[index], meshnet.Message).data)

        threads = [guarded(ping) for _ in range(4)]
        threads += [guarded(collect, index) for index in range(4)]
        threads += [guarded(publish, start) for start in (0, 50, 100, 150)]
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert failures == []
        assert all(sorted(map(int, datas)) == list(range(200)) for datas in seen)


def test_closing_ends_the_waits_of_other_threads() -> None:
    node = meshnet.SyncNode(**local())
    node.start()
    ends: list[str] = []
    events = [node.events() for _ in range(3)]
    for consumer in events:
        consumer._queue.items.clear()
    waiting = threading.Barrier(4)

    def collect(consumer: meshnet.SyncEvents) -> None:
        waiting.wait(PATIENCE)
        for _ in consumer:
            pass
        ends.append("in order")

    threads = [threading.Thread(target=collect, args=(consumer,)) for consumer in events]
    for thread in threads:
        thread.start()
    waiting.wait(PATIENCE)
    begun = time.monotonic()
    node.close()
    assert time.monotonic() - begun < 5
    for thread in threads:
        thread.join(PATIENCE)
    assert ends == ["in order"] * 3
    node.close()
    with pytest.raises(meshnet.ClosedError):
        node.peers()


def test_an_interrupt_ends_a_wait_at_once() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    old = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with meshnet.SyncNode(**local()) as node:
            events = node.events()
            sync_next_of(events, meshnet.Listening)
            timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            with pytest.raises(Interrupted):
                events.next(timeout=PATIENCE)
            timer.join()
            assert node.peers() == []
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_timeouts() -> None:
    with meshnet.SyncNode(**local()) as node:
        events = node.events()
        sync_next_of(events, meshnet.Listening)
        with pytest.raises(TimeoutError):
            events.next(timeout=0)
        with pytest.raises(meshnet.TimeoutError):
            events.next(timeout=0.01)
        with node.accept("/none/1.0.0") as streams, pytest.raises(meshnet.TimeoutError):
            streams.next(timeout=0.01)


def test_a_read_that_timed_out_loses_nothing() -> None:
    with sync_connected_pair() as (first, second), first.accept("/echo/1.0.0") as accepted:
        with second.open_stream(first.peer_id, "/echo/1.0.0", timeout=PATIENCE) as here:
            with accepted.next(timeout=PATIENCE) as there:
                with pytest.raises(meshnet.TimeoutError):
                    there.read(100, timeout=0.01)
                here.write(b"all of it")
                here.close_write()
                assert there.readexactly(9, timeout=PATIENCE) == b"all of it"
                assert there.read(1, timeout=PATIENCE) == b""
                with pytest.raises(EOFError):
                    there.readexactly(1)


def test_not_started_and_started_twice() -> None:
    node = meshnet.SyncNode(**local())
    with pytest.raises(RuntimeError, match="not started"):
        node.peers()
    with node:
        assert address_of(node)
        with pytest.raises(RuntimeError, match="already"):
            node.start()


def test_an_unclosed_node_warns() -> None:
    node = meshnet.SyncNode(**local())
    node.start()
    with pytest.warns(ResourceWarning, match="unclosed"):
        del node
