"""Streams of both nodes: large data, half-close, ends, cancellation."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading

import pytest

import meshnet
from support import PATIENCE, connected_pair, sync_connected_pair

ECHO = "/echo/1.0.0"
LARGE = 16 * 1024 * 1024
SEED = 20261121


async def serve_echo(streams: meshnet.Streams) -> None:
    async for stream in streams:
        async with stream:
            async for part in stream:
                await stream.write(part)
            await stream.close_write()


async def test_echo_of_large_data() -> None:
    data = random.Random(SEED).randbytes(LARGE)
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:
        server = asyncio.create_task(serve_echo(accepted))
        async with await second.open_stream(first.peer_id, ["/none/1.0.0", ECHO], timeout=PATIENCE) as stream:
            assert (stream.peer_id, stream.protocol_id) == (first.peer_id, ECHO)

            async def send() -> None:
                await stream.write(memoryview(data)[: LARGE // 2])
                await stream.write(bytearray(data[LARGE // 2 :]))
                await stream.close_write()

            sender = asyncio.create_task(send())
            digest = hashlib.sha256()
            async for part in stream:
                digest.update(part)
            await sender
            assert digest.digest() == hashlib.sha256(data).digest(), f"seed {SEED}"
        await accepted.close()
        await asyncio.wait_for(server, PATIENCE)


def test_sync_echo_of_large_data() -> None:
    data = random.Random(SEED).randbytes(LARGE)
    with sync_connected_pair() as (first, second), first.accept(ECHO) as accepted:

        def serve() -> None:
            with accepted.next(timeout=PATIENCE) as stream:
                for part in stream:
                    stream.write(part, timeout=PATIENCE)
                stream.close_write()

        server = threading.Thread(target=serve)
        server.start()
        with second.open_stream(first.peer_id, ECHO, timeout=PATIENCE) as stream:
            sender = threading.Thread(target=lambda: (stream.write(data, timeout=PATIENCE), stream.close_write()))
            sender.start()
            received = stream.readexactly(LARGE, timeout=PATIENCE)
            assert stream.read() == b""
            sender.join(PATIENCE)
        server.join(PATIENCE)
        assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest(), f"seed {SEED}"


async def test_read_takes_what_is_there_and_readexactly_waits_for_all() -> None:
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:
        async with await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE) as here:
            async with await accepted.next(timeout=PATIENCE) as there:
                await here.write(b"0123456789")
                assert await there.read(4) == b"0123"
                assert await there.read(0) == b""
                assert await there.readexactly(6) == b"456789"
                await here.write(b"abc")
                await here.close_write()
                with pytest.raises(asyncio.IncompleteReadError) as caught:
                    await there.readexactly(4)
                assert caught.value.partial == b"abc"
                assert await there.read() == b"" and await there.read(1) == b""
                await there.write(b"back")
                assert await here.readexactly(4) == b"back"


async def test_a_cancelled_read_loses_nothing() -> None:
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:
        async with await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE) as here:
            async with await accepted.next(timeout=PATIENCE) as there:
                reading = asyncio.create_task(there.read(100))
                await asyncio.sleep(0)
                with pytest.raises(meshnet.BusyError):
                    await there.read(100)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
                with pytest.raises(meshnet.TimeoutError):
                    await there.read(100, timeout=0.01)
                await here.write(b"all of it")
                assert await there.readexactly(9) == b"all of it"


async def test_a_reset_stream_fails_at_the_other_end() -> None:
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:
        here = await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE)
        there = await accepted.next(timeout=PATIENCE)
        here.reset()
        with pytest.raises(ConnectionResetError) as caught:
            await there.read(1)
        assert isinstance(caught.value, meshnet.StreamResetError)
        await there.close()
        with pytest.raises(meshnet.NoSuchStreamError):
            await here.read(1)


async def test_writing_after_the_end_is_refused() -> None:
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:
        async with await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE) as here:
            async with await accepted.next(timeout=PATIENCE):
                await here.close_write()
                await here.close_write()
                with pytest.raises(BrokenPipeError):
                    await here.write(b"late")


async def test_a_protocol_that_nobody_accepts_is_refused() -> None:
    async with connected_pair() as (first, second):
        with pytest.raises(meshnet.ProtocolNotSupportedError):
            await second.open_stream(first.peer_id, "/none/1.0.0", timeout=PATIENCE)
        async with first.accept(ECHO):
            async with await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE):
                pass
        with pytest.raises(meshnet.ProtocolNotSupportedError):
            await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE)


async def test_one_acceptor_at_a_time() -> None:
    async with connected_pair() as (first, _), first.accept(ECHO) as accepted:
        with pytest.raises(meshnet.InvalidArgument, match="accepted already"):
            await first.accept(ECHO).next()
        await accepted.close()
        with pytest.raises(meshnet.ClosedError):
            await accepted.next()
        async with first.accept(ECHO):
            pass


async def test_an_accepted_stream_is_an_event_too() -> None:
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:
        events = first.events()
        async with await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE):
            async with await accepted.next(timeout=PATIENCE) as there:
                while not isinstance(event := await events.next(timeout=PATIENCE), meshnet.StreamOpened):
                    pass
                assert event == meshnet.StreamOpened(there, second.peer_id, ECHO)


async def test_a_stream_dropped_unclosed_warns_and_is_reset() -> None:
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:
        here = await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE)
        there = await accepted.next(timeout=PATIENCE)
        with pytest.warns(ResourceWarning, match="unclosed"):
            del here
        with pytest.raises(meshnet.StreamResetError):
            await there.read(1)
        await there.close()


async def test_many_streams_at_once() -> None:
    async with connected_pair() as (first, second), first.accept(ECHO) as accepted:

        async def answer(stream: meshnet.Stream) -> None:
            async with stream:
                await stream.write(await stream.read())

        async def serve() -> None:
            answers = [asyncio.create_task(answer(await accepted.next(timeout=PATIENCE))) for _ in range(100)]
            await asyncio.gather(*answers)

        async def ask(number: int) -> None:
            async with await second.open_stream(first.peer_id, ECHO, timeout=PATIENCE) as stream:
                await stream.write(b"%d" % number)
                await stream.close_write()
                assert await stream.read() == b"%d" % number

        await asyncio.gather(serve(), *(ask(number) for number in range(100)))
