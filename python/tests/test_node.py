"""The asyncio node: connections, events, messages, cancellation."""

from __future__ import annotations

import asyncio
import threading

import pytest

import meshnet
from support import PATIENCE, address_of, connected_pair, local, next_of, topic_pair


async def test_listening_is_the_first_event_and_the_port_is_real() -> None:
    async with meshnet.Node(**local()) as node:
        event = await node.events().next(timeout=PATIENCE)
        match event:
            case meshnet.Listening(address):
                assert address == address_of(node)
            case _:
                pytest.fail(f"{event!r}")


async def test_connect_tells_both_sides() -> None:
    async with meshnet.Node(**local()) as first, meshnet.Node(**local()) as second:
        at_first, at_second = first.events(), second.events()
        assert await second.connect(address_of(first), timeout=PATIENCE) == first.peer_id
        there = await next_of(at_first, meshnet.Connected)
        here = await next_of(at_second, meshnet.Connected)
        assert (there.peer_id, there.direction) == (second.peer_id, meshnet.Direction.INBOUND)
        assert (here.peer_id, here.direction) == (first.peer_id, meshnet.Direction.OUTBOUND)
        assert [peer.peer_id for peer in await first.peers()] == [second.peer_id]
        identified = await next_of(at_first, meshnet.Identified)
        assert identified.peer_id == second.peer_id
        await second.disconnect(first.peer_id)
        gone = await next_of(at_second, meshnet.Disconnected)
        assert gone.cause is meshnet.DisconnectCause.CLOSED_BY_US
        assert (await next_of(at_first, meshnet.Disconnected)).cause is meshnet.DisconnectCause.CLOSED_BY_PEER
        with pytest.raises(meshnet.NotConnectedError):
            await second.disconnect(first.peer_id)


async def test_a_bootstrap_peer_added_later_is_dialled() -> None:
    async with meshnet.Node(**local()) as first, meshnet.Node(**local()) as second:
        events = second.events()
        await second.add_bootstrap_peer(address_of(first))
        assert (await next_of(events, meshnet.Connected)).peer_id == first.peer_id
        await second.remove_bootstrap_peer(address_of(first))


async def test_messages_reach_those_who_follow() -> None:
    async with topic_pair() as (first, second):
        events = second.events()
        assert [peer.peer_id for peer in await first.topic_peers("news")] == [second.peer_id]
        for data in (b"one", bytearray(b"two"), memoryview(b"three"), b""):
            await first.publish("news", data)
            message = await next_of(events, meshnet.Message)
            assert (message.topic, message.data, message.origin) == ("news", bytes(data), first.peer_id)
            assert message.received_from == first.peer_id
        assert await first.publish_many("news", [b"four", bytearray(b"five"), memoryview(b"six")]) == 3
        assert [(await next_of(events, meshnet.Message)).data for _ in range(3)] == [b"four", b"five", b"six"]
        with pytest.raises(meshnet.MessageTooLargeError):
            await first.publish_many("news", [b"seven", bytes((8 << 20) + 1)])
        assert (await next_of(events, meshnet.Message)).data == b"seven"
        assert not await first.subscribe("news")
        assert await first.unsubscribe("news") and not await first.unsubscribe("news")


async def test_the_last_value_waits_for_who_comes_late() -> None:
    async with connected_pair() as (first, second):
        events = second.events()
        await first.publish_retained("news", b"zero")
        await first.publish_retained("news", b"one")
        assert await second.subscribe("news")
        message = await next_of(events, meshnet.Message)
        assert (message.data, message.origin, message.retained) == (b"one", first.peer_id, True)
        assert [peer.peer_id for peer in await first.wait_for_peers(1, "news", timeout=PATIENCE)] == [second.peer_id]
        await first.publish("news", b"two")
        message = await next_of(events, meshnet.Message)
        assert (message.data, message.retained) == (b"two", False)
        with pytest.raises(meshnet.MessageTooLargeError):
            await first.publish_retained("news", bytes((1 << 20) + 1))


async def test_waiting_for_peers_ends_when_they_come() -> None:
    async with connected_pair() as (first, second):
        assert await first.wait_for_peers(0, "news") == []
        with pytest.raises(TimeoutError):
            await first.wait_for_peers(1, "news", timeout=0.05)
        waiting = asyncio.ensure_future(first.wait_for_peers(1, "news"))
        cancelled = asyncio.ensure_future(first.wait_for_peers(2, "news"))
        await asyncio.sleep(0)
        await second.subscribe("news")
        assert [peer.peer_id for peer in await asyncio.wait_for(waiting, PATIENCE)] == [second.peer_id]
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled


async def test_many_messages_come_in_order() -> None:
    async with topic_pair() as (first, second):
        events = second.events()

        async def publish() -> None:
            for number in range(500):
                await first.publish("news", number.to_bytes(4, "big"))

        sender = asyncio.create_task(publish())
        numbers = [int.from_bytes((await next_of(events, meshnet.Message)).data, "big") for _ in range(500)]
        await sender
        assert numbers == list(range(500))


async def test_every_consumer_sees_every_event() -> None:
    async with topic_pair() as (first, second):
        consumers = [second.events() for _ in range(3)]
        await first.publish("news", b"to all")
        assert [(await next_of(events, meshnet.Message)).data for events in consumers] == [b"to all"] * 3


async def test_a_slow_consumer_is_told_what_it_missed_and_others_miss_nothing() -> None:
    async with topic_pair() as (first, second):
        slow, fast = second.events(limit=2), second.events()
        for number in range(5):
            await first.publish("news", b"%d" % number)
        assert [(await next_of(fast, meshnet.Message)).data for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert [(await next_of(slow, meshnet.Message)).data for _ in range(2)] == [b"0", b"1"]
        assert await slow.next(timeout=PATIENCE) == meshnet.MessagesDropped(3)
        assert slow.dropped == 3 and fast.dropped == 0


async def test_a_consumer_that_is_dropped_is_forgotten() -> None:
    async with meshnet.Node(**local()) as node:
        core = node._running.core
        async for _ in node:
            break
        assert len(core.consumers) == 0


async def test_ping_gives_seconds_and_perf_counts_bytes() -> None:
    async with connected_pair() as (first, second):
        assert 0 < await second.ping(first.peer_id, timeout=PATIENCE) < PATIENCE
        result = await second.perf(first.peer_id, upload=1 << 20, download=1 << 20, timeout=PATIENCE)
        assert result.upload > 0 and result.download > 0
        with pytest.raises(meshnet.NotConnectedError):
            await second.ping(meshnet.Keypair.generate().peer_id)


async def test_iteration_ends_when_the_node_closes() -> None:
    node = meshnet.Node(**local())
    await node.start()
    kinds = []

    async def collect() -> None:
        async for event in node:
            kinds.append(type(event))

    task = asyncio.create_task(collect())
    await asyncio.gather(node.close(), node.close())
    await asyncio.wait_for(task, PATIENCE)
    assert kinds[0] is meshnet.Listening
    await node.close()
    assert node.closed
    for call in (node.peers(), node.subscribe("topic"), node.ping(node.peer_id)):
        with pytest.raises(meshnet.ClosedError):
            await call
    with pytest.raises(ConnectionError):
        node.listen_addresses()


async def test_closing_ends_every_wait() -> None:
    async with connected_pair() as (first, second):
        async with second.accept("/silent/1.0.0") as accepted:
            stream = await first.open_stream(second.peer_id, "/silent/1.0.0", timeout=PATIENCE)
            await accepted.next(timeout=PATIENCE)
            waits = [asyncio.ensure_future(stream.read(1)), asyncio.ensure_future(first.accept("/other/1.0.0").next())]
            await asyncio.sleep(0)
            await first.close()
            for wait in waits:
                with pytest.raises(ConnectionError):
                    await asyncio.wait_for(wait, PATIENCE)


async def test_a_cancelled_call_leaves_the_node_usable() -> None:
    async with connected_pair() as (first, second):
        # A name server that is not there: this dial lasts until it is given up.
        dial = asyncio.create_task(second.connect("/ip4/127.0.0.1/tcp/9/p2p/" + meshnet.Keypair.generate().peer_id))
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        tasks = [asyncio.create_task(second.ping(first.peer_id)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
        assert all(isinstance(result, float) for result in results[1::2])
        assert await second.ping(first.peer_id, timeout=PATIENCE) > 0


async def test_a_timeout_is_an_error_of_both_kinds() -> None:
    async with meshnet.Node(**local()) as node:
        events = node.events()
        await next_of(events, meshnet.Listening)
        with pytest.raises(TimeoutError) as caught:
            await events.next(timeout=0.01)
        assert isinstance(caught.value, meshnet.TimeoutError)
        assert caught.value.code is meshnet.ErrorCode.TIMED_OUT


async def test_another_loop_is_told_so() -> None:
    async with meshnet.Node(**local()) as node:
        caught: list[BaseException] = []

        def elsewhere() -> None:
            try:
                asyncio.run(node.peers())
            except RuntimeError as error:
                caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(caught) == 1 and "another event loop" in str(caught[0])
        assert await node.peers() == []


async def test_a_node_that_was_not_started_says_so() -> None:
    node = meshnet.Node(**local())
    assert "not started" in repr(node) and node.peer_id.startswith("12D3KooW")
    with pytest.raises(RuntimeError, match="not started"):
        await node.peers()
    await node.close()


async def test_the_loop_serves_others_during_a_flood() -> None:
    async with topic_pair() as (first, second):
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        events = second.events()
        await asyncio.gather(*(first.publish("news", b"x" * 100) for _ in range(200)))
        for _ in range(200):
            await next_of(events, meshnet.Message)
        ticking.cancel()
        assert turns > 1


async def test_an_unclosed_node_warns_and_is_closed() -> None:
    node = meshnet.Node(**local())
    await node.start()
    with pytest.warns(ResourceWarning, match="unclosed"):
        del node
    await asyncio.sleep(0)
