"""Messages to one peer, by the asyncio face, end to end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest

import meshnet
from meshnet._loop import Looks
from support import PATIENCE, address_of, connected_pair, local, next_of

LARGE = 3 << 20  # above the threshold from which on a message lies in a file


async def collect(node: meshnet.Node, count: int) -> list[bytes]:
    """So many messages, each done with when the next is asked for."""
    found = []
    async for message in node.messages():
        found.append(message.data)
        if len(found) == count:
            message.done()
            return found
    raise AssertionError(f"the node closed after {len(found)} of {count} messages")


def unreachable() -> str:
    return meshnet.Keypair.generate().peer_id


async def test_a_message_arrives_with_all_about_it() -> None:
    async with connected_pair() as (first, second):
        ticket = await first.send(second.peer_id, b"hello", lane="control")
        message = await second.receive(timeout=PATIENCE)
        assert (message.data, message.size, message.peer_id, message.lane) == (b"hello", 5, first.peer_id, meshnet.Lane.CONTROL)
        assert (message.sequence, message.is_request, message.is_redelivered) == (1, False, False)
        assert len(message.incarnation) == 32 and int(message.incarnation, 16)
        await ticket
        await ticket.wait(timeout=0)
        assert ticket.ended and "delivered" in repr(ticket) and "5 bytes" in repr(message)
        message.done()
        message.done()
        assert message.data == b"hello"
        with message.open() as file:
            assert file.read(2) == b"he"


async def test_messages_arrive_once_and_in_order_whatever_their_size_and_type() -> None:
    datas = [os.urandom(size) for size in (0, 1, 15, 16, 1024, 70_000, 300_000)] * 3
    async with connected_pair() as (first, second):
        tickets = [first.send_nowait(second.peer_id, kind(data)) for data in datas for kind in (bytes, bytearray, memoryview)]
        assert await collect(second, len(tickets)) == [data for data in datas for _ in range(3)]
        await asyncio.gather(*tickets)
        channel = await first.channel(second.peer_id)
        assert channel is not None and channel.state is meshnet.ChannelState.CONNECTED
        assert (channel.delivered, channel.queued_messages, channel.queued_bytes) == (len(tickets), (0, 0, 0), (0, 0, 0))
        assert [channel.peer_id for channel in await second.channels()] == [first.peer_id]
        assert await first.channel(unreachable()) is None


async def test_many_messages_in_one_call() -> None:
    messages = [b"%d" % number for number in range(3000)]
    async with connected_pair() as (first, second):
        receiving = asyncio.create_task(collect(second, len(messages)))
        assert await first.send_many(second.peer_id, messages) == len(messages)
        assert await receiving == messages


async def test_messages_wait_for_a_peer_that_is_not_there_yet() -> None:
    async with meshnet.Node(**local()) as first, meshnet.Node(**local()) as second:
        tickets = [await first.send(second.peer_id, b"%d" % number) for number in range(10)]
        assert not tickets[0].ended
        channel = await first.channel(second.peer_id)
        assert channel is not None and channel.queued_messages[meshnet.Lane.NORMAL] == 10
        await second.connect(address_of(first), timeout=PATIENCE)
        assert await collect(second, 10) == [b"%d" % number for number in range(10)]
        await asyncio.gather(*tickets)


async def test_a_message_survives_the_end_of_its_connection() -> None:
    async with connected_pair() as (first, second):
        events = first.events()
        await (await first.send(second.peer_id, b"before"))
        await first.disconnect(second.peer_id)
        ticket = await first.send(second.peer_id, b"after")
        await second.connect(address_of(first), timeout=PATIENCE)
        assert await collect(second, 2) == [b"before", b"after"]
        await ticket
        assert await next_of(events, meshnet.ChannelResumed) == meshnet.ChannelResumed(second.peer_id, 0)


async def test_requests_are_answered_many_at_once_and_in_any_order() -> None:
    async with connected_pair() as (first, second):
        held: list[meshnet.ReceivedMessage] = []

        async def serve() -> None:
            async for message in second.messages():
                assert message.is_request
                held.append(message)
                if len(held) == 50:
                    for request in reversed(held):
                        request.reply(b"re: " + request.data)
                    return

        serving = asyncio.create_task(serve())
        replies = await asyncio.gather(*(first.request(second.peer_id, b"%d" % number, timeout=PATIENCE) for number in range(50)))
        assert [reply.data for reply in replies] == [b"re: %d" % number for number in range(50)]
        assert replies[0].peer_id == second.peer_id and replies[0].size == 5
        await serving
        with pytest.raises(meshnet.InvalidArgument):
            held[0].reply(b"again")


def test_a_look_must_be_worth_it() -> None:
    looks = Looks()
    looks.waiting = 1
    for _ in range(Looks.NEEDED):
        assert not looks.worthwhile
        looks.waited(Looks.QUICK)
    assert looks.worthwhile
    looks.looked(True)
    assert looks.worthwhile
    looks.waiting = 2
    assert not looks.worthwhile
    looks.waiting = 1
    looks.looked(False)
    for _ in range(2 * Looks.NEEDED):
        assert not looks.worthwhile
        looks.waited(0)
    assert looks.worthwhile
    looks.waited(2 * Looks.QUICK)
    assert not looks.worthwhile
    for _ in range(20):
        looks.looked(False)
    for _ in range(Looks.NEEDED_AT_MOST):
        looks.waited(0)
    looks.looked(True)
    assert looks.worthwhile


async def test_who_is_answered_quickly_looks_before_the_loop_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(Looks, "QUICK", PATIENCE)
    monkeypatch.setattr(Looks, "looked", lambda _, succeeded: found.append(succeeded))

    def serve(node: meshnet.SyncNode) -> None:
        for message in node.messages():
            message.reply(message.data)

    with meshnet.SyncNode(**local()) as second:
        serving = asyncio.create_task(asyncio.to_thread(serve, second))
        async with meshnet.Node(**local()) as first:
            await first.connect(address_of(second), timeout=PATIENCE)
            for number in range(20_000):
                assert (await first.request(second.peer_id, b"%d" % number, timeout=PATIENCE)).data == b"%d" % number
                if True in found:
                    break
            assert True in found
            found.clear()
            # Who asks several at once waits in the loop.
            await asyncio.gather(*(first.request(second.peer_id, b"", timeout=PATIENCE) for _ in range(10)))
            assert not found
        second.close()
        await serving


async def test_a_reply_tells_when_the_peer_has_it_and_only_requests_have_one() -> None:
    async with connected_pair() as (first, second):
        asking = asyncio.create_task(first.request(second.peer_id, b"question"))
        await (await second.receive(timeout=PATIENCE)).reply(bytearray(b"answer"))
        assert (await asking).data == b"answer"
        await first.send(second.peer_id, b"no question")
        message = await second.receive(timeout=PATIENCE)
        with pytest.raises(meshnet.InvalidArgument):
            await message.reply(b"")


async def test_a_request_that_nobody_answers_times_out() -> None:
    async with connected_pair() as (first, second):
        with pytest.raises(TimeoutError) as caught:
            await first.request(second.peer_id, b"question", timeout=0.2)
        assert isinstance(caught.value, meshnet.MeshnetError)


async def test_large_messages_lie_in_files(tmp_path: Path) -> None:
    data = os.urandom(LARGE)
    source = tmp_path / "source"
    source.write_bytes(data)
    async with connected_pair(messages=meshnet.MessageOptions(spool_threshold=1 << 20)) as (first, second):
        ticket = await first.send_file(second.peer_id, source)
        message = await second.receive(timeout=PATIENCE)
        await ticket
        assert message.size == LARGE
        with message.open() as file:
            assert hashlib.sha256(file.read()).digest() == hashlib.sha256(data).digest()
            file.seek(-10, os.SEEK_END)
            assert file.read() == data[-10:] and file.tell() == LARGE
            file.seek(5)
            assert file.read(7) == data[5:12]
        await message.save(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes() == data
        assert message.data == data
        message.done()
        assert message.data == data
        with pytest.raises(meshnet.InvalidArgument):
            await message.save(tmp_path / "again")

        asking = asyncio.create_task(second.request(first.peer_id, data))
        request = await first.receive(timeout=PATIENCE)
        request.reply(request.data[::-1])
        reply = await asking
        assert reply.size == LARGE
        await reply.save(tmp_path / "reply")
        assert (tmp_path / "reply").read_bytes() == data[::-1]

        with pytest.raises(OSError):
            await first.send_file(second.peer_id, tmp_path / "missing")


async def test_a_full_queue_waits_or_fails_or_drops_the_oldest() -> None:
    options = meshnet.MessageOptions(queue_messages=3)
    async with meshnet.Node(**local(messages=options)) as first, meshnet.Node(**local()) as second:
        tickets = [await first.send(second.peer_id, b"%d" % number) for number in range(3)]
        with pytest.raises(meshnet.QueueFullError):
            await first.send(second.peer_id, b"too many", when_full="fail")
        with pytest.raises(meshnet.QueueFullError):
            await first.send_nowait(second.peer_id, b"too many")
        with pytest.raises(meshnet.TimeoutError):
            await first.send(second.peer_id, b"in vain", timeout=0.05)
        tickets.append(await first.send(second.peer_id, b"3", when_full="drop_oldest"))
        with pytest.raises(meshnet.DisplacedError):
            await tickets.pop(0)
        waiting = asyncio.create_task(first.send(second.peer_id, b"4"))
        cancelled = asyncio.create_task(first.send(second.peer_id, b"never"))
        await first.peers()  # a turn of the node
        assert not waiting.done()
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert cancelled.cancelled()
        await second.connect(address_of(first), timeout=PATIENCE)
        tickets.append(await waiting)
        assert await collect(second, 4) == [b"1", b"2", b"3", b"4"]
        await asyncio.gather(*tickets)
        channel = await first.channel(second.peer_id)
        assert channel is not None and channel.displaced == 1 and channel.delivered == 4


async def test_a_deadline_passes() -> None:
    async with meshnet.Node(**local()) as node:
        ticket = await node.send(unreachable(), b"hurry", deadline=0.05)
        with pytest.raises(meshnet.ExpiredError) as caught:
            await ticket
        assert isinstance(caught.value, TimeoutError) and caught.value.hint


async def test_a_message_is_taken_back_and_a_wait_for_it_ended() -> None:
    async with meshnet.Node(**local()) as first, meshnet.Node(**local()) as second:
        ticket = await first.send(second.peer_id, b"back")
        stays = await first.send(second.peer_id, b"stays")
        waiting = asyncio.ensure_future(stays.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(meshnet.TimeoutError):
            await stays.wait(timeout=0.02)
        ticket.cancel()
        with pytest.raises(meshnet.CallCancelledError):
            await ticket
        await second.connect(address_of(first), timeout=PATIENCE)
        assert await collect(second, 1) == [b"stays"]
        await asyncio.gather(stays.wait(), stays.wait())


async def test_a_reader_that_is_slow_holds_its_sender_back_and_nobody_else() -> None:
    options = meshnet.MessageOptions(receive_bytes=64 << 10, queue_messages=20)
    async with connected_pair(messages=options) as (first, second), meshnet.Node(**local()) as third:
        await third.connect(address_of(second), timeout=PATIENCE)
        count, data = 400, bytes(4096)

        async def flood() -> None:
            for number in range(count):
                await first.send(second.peer_id, b"%06d" % number + data)

        flooding = asyncio.create_task(flood())
        await third.send(second.peer_id, b"third")
        assert (await second.receive(timeout=PATIENCE, peer=third.peer_id)).data == b"third"
        assert not flooding.done(), "all fits, and so nothing was held back"
        numbers = []
        async for message in second.messages(first.peer_id):
            numbers.append(int(message.data[:6]))
            channel = await second.channel(first.peer_id) if len(numbers) % 50 == 0 else None
            assert channel is None or channel.unsettled_bytes <= 2 * (64 << 10)
            if len(numbers) == count:
                break
        assert numbers == list(range(count))
        await flooding


async def test_consumers_of_peers_and_lanes() -> None:
    async with connected_pair() as (first, second), meshnet.Node(**local()) as third:
        await third.connect(address_of(second), timeout=PATIENCE)
        tickets = [await first.send(second.peer_id, lane.name.encode(), lane=lane) for lane in reversed(meshnet.Lane)]
        tickets += [await third.send(second.peer_id, b"third")]
        await asyncio.gather(*tickets)
        assert (await second.receive(timeout=PATIENCE, lane="bulk")).data == b"BULK"
        assert (await second.receive(timeout=PATIENCE, peer=third.peer_id)).data == b"third"
        assert await collect(second, 2) == [b"CONTROL", b"NORMAL"]
        nobody = second.messages(unreachable())
        with pytest.raises(meshnet.TimeoutError):
            await nobody.next(timeout=0.02)
        with pytest.raises(ValueError):
            second.messages(lane=7)  # type: ignore[arg-type]
        with pytest.raises(ValueError):
            await first.send(second.peer_id, b"", lane="urgent")  # type: ignore[arg-type]


async def test_who_asks_for_the_next_message_is_done_with_the_last_but_not_with_requests() -> None:
    async with connected_pair() as (first, second):
        unsettled = []
        tickets = [await first.send(second.peer_id, b"%d" % number) for number in range(3)]
        await asyncio.gather(*tickets)
        asking = asyncio.create_task(first.request(second.peer_id, b"request"))
        tail = await first.send(second.peer_id, b"tail", lane="bulk")
        kept = []
        async for message in second.messages():
            kept.append(message)
            await asyncio.sleep(0)  # those passed by are settled once in a turn of the loop
            channel = await second.channel(first.peer_id)
            assert channel is not None
            unsettled.append(channel.unsettled_messages)
            if len(kept) == 5:
                break
        await tail
        # The request, and the one in hand: the others are forgotten by the node, although they are kept here.
        request = next(message for message in kept if message.is_request)
        assert unsettled[-1] == 1 + (kept[-1] is not request)
        assert [message.data for message in kept if message.lane is meshnet.Lane.NORMAL] == [b"0", b"1", b"2", b"request"]
        request.reply(b"late")
        assert (await asking).data == b"late"


async def test_a_cancelled_receive_loses_nothing() -> None:
    async with connected_pair() as (first, second):
        for number in range(20):
            waiting = [asyncio.create_task(second.receive()) for _ in range(3)]
            await asyncio.sleep(0)
            await first.send(second.peer_id, b"%d" % number)
            waiting[0].cancel()
            _, pending = await asyncio.wait(waiting[1:], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            found = [task.result().data for task in waiting[1:] if task.done()]
            assert found == [b"%d" % number]
            for task in pending:
                task.cancel()
            await asyncio.wait([*pending, waiting[0]])


async def test_a_channel_that_was_closed_on_purpose_is_opened_by_who_closed_it() -> None:
    async with connected_pair() as (first, second):
        at_second = second.events()
        await (await first.send(second.peer_id, b"before"))
        waiting = await first.send(unreachable(), b"elsewhere")
        await first.close_peer(second.peer_id, "enough")
        assert await next_of(at_second, meshnet.ChannelClosed) == meshnet.ChannelClosed(first.peer_id, False, "enough")
        for here, there in ((first, second), (second, first)):
            with pytest.raises(meshnet.PeerClosedError):
                await (await here.send(there.peer_id, b"after"))
        channel = await second.channel(first.peer_id)
        assert channel is not None and channel.state is meshnet.ChannelState.CLOSED
        assert (channel.closed_by_us, channel.closed_reason) == (False, "enough")
        # Only who closed it can open it again.
        await second.reconnect(first.peer_id, [address_of(first)])
        with pytest.raises(meshnet.PeerClosedError):
            await (await second.send(first.peer_id, b"in vain"))
        await first.reconnect(second.peer_id, [address_of(second)])
        await (await first.send(second.peer_id, b"again"))
        assert await collect(second, 2) == [b"before", b"again"]
        assert not waiting.ended


async def test_the_end_of_a_node_ends_tickets_requests_and_receivers() -> None:
    async with meshnet.Node(**local()) as node:
        ticket = await node.send(unreachable(), b"never")
        iterating = asyncio.create_task(collect(node, 1))
        receiving = asyncio.create_task(node.receive())
        asking = asyncio.create_task(node.request(unreachable(), b"never"))
        await asyncio.sleep(0)
    for waiting in (ticket.wait(), receiving, asking):
        with pytest.raises(meshnet.ClosedError):
            await waiting
    with pytest.raises(AssertionError, match="after 0"):
        await iterating
    with pytest.raises(meshnet.ClosedError):
        await node.send(unreachable(), b"late")


async def test_bad_input_is_told_before_anything_is_sent() -> None:
    options = meshnet.MessageOptions(maximum_message_size=1000)
    async with meshnet.Node(**local(messages=options)) as node:
        with pytest.raises(meshnet.InvalidPeerID):
            await node.send("nonsense", b"")
        with pytest.raises(TypeError):
            await node.send(unreachable(), "text")  # type: ignore[arg-type]
        with pytest.raises(meshnet.MessageTooLargeError):
            await node.send(unreachable(), bytes(1001))
        with pytest.raises(meshnet.InvalidArgument, match="deadline"):
            await node.send(unreachable(), b"", deadline=-1)
        with pytest.raises(meshnet.InvalidArgument, match="when_full"):
            await node.send(unreachable(), b"", when_full="maybe")  # type: ignore[arg-type]
        with pytest.raises(meshnet.InvalidArgument):
            await node.send_many(unreachable(), [])
        with pytest.raises(meshnet.SelfDialError):
            await (await node.send(node.peer_id, b""))
    with pytest.raises(meshnet.InvalidArgument):
        await meshnet.Node(**local(reconnect=meshnet.Reconnect(factor=0.0))).start()


async def test_messages_that_are_forgotten_make_room_and_leave_no_memory() -> None:
    options = meshnet.MessageOptions(receive_bytes=256 << 10)
    data = bytes(16 << 10)
    async with connected_pair(messages=options) as (first, second):

        async def pass_messages(count: int) -> None:
            for _ in range(count):
                ticket = await first.send(second.peer_id, data)
                assert (await second.receive(timeout=PATIENCE)).size == len(data)  # and nobody says that it is done
                await ticket

        tracemalloc.start()
        try:
            await pass_messages(40)
            before = tracemalloc.get_traced_memory()[0]
            await pass_messages(400)  # 6.4 MiB, far more than the peer takes without being done with them
            assert tracemalloc.get_traced_memory()[0] - before < 256 * 1024
        finally:
            tracemalloc.stop()
