"""The interface of exo's networking module, and what its own tests ask of it."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import meshnet as exo_rs
from support import PATIENCE

FromSwarm = exo_rs.FromSwarm


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def handle(bootstrap_peers: list[str], port: int) -> AsyncIterator[exo_rs.NetworkingHandle]:
    made = exo_rs.NetworkingHandle(exo_rs.Keypair.generate(), bootstrap_peers, port)
    try:
        yield made
    finally:
        made.close()


async def connection_of(node: exo_rs.NetworkingHandle, seconds: float) -> FromSwarm.Connection:
    async def first() -> FromSwarm.Connection:
        while True:
            event = await node.recv()
            if isinstance(event, FromSwarm.Connection):
                return event

    return await asyncio.wait_for(first(), seconds)


async def test_two_nodes_connect_through_a_bootstrap_address_within_ten_seconds() -> None:
    port = free_port()
    async with handle([], port) as first, handle([f"/ip4/127.0.0.1/tcp/{port}"], 0) as second:
        at_first, at_second = await asyncio.gather(connection_of(first, 10), connection_of(second, 10))
        assert at_first.connected and at_second.connected
        assert at_first.peer_id != at_second.peer_id


async def test_an_empty_list_of_bootstrap_peers_works() -> None:
    async with handle([], 0) as node:
        assert await node.gossipsub_subscribe("topic")


async def test_an_invalid_address_among_valid_ones_does_not_stop_the_node() -> None:
    port = free_port()
    bootstrap = ["not a multiaddr", "", "/ip4/999.0.0.1/tcp/1", f"/ip4/127.0.0.1/tcp/{port}"]
    async with handle([], port) as first, handle(bootstrap, 0) as second:
        await asyncio.gather(connection_of(first, 10), connection_of(second, 10))


async def test_a_fixed_port_works() -> None:
    port = free_port()
    async with handle([], port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            pass


async def test_two_handles_talk_on_one_machine() -> None:
    port = free_port()
    keys = exo_rs.Keypair.generate()
    first = exo_rs.NetworkingHandle(keys, [], port)
    async with handle([f"/ip4/127.0.0.1/tcp/{port}"], 0) as second:
        assert await first.gossipsub_subscribe("election")
        assert not await first.gossipsub_subscribe("election")
        assert await second.gossipsub_subscribe("election")
        await asyncio.gather(connection_of(first, PATIENCE), connection_of(second, PATIENCE))

        async def publish_until_somebody_listens(node: exo_rs.NetworkingHandle, data: bytes) -> None:
            # exo's router does the same: it drops the message and publishes again at the next occasion.
            while True:
                try:
                    return await node.gossipsub_publish("election", data)
                except exo_rs.NoPeersSubscribedToTopicError:
                    await asyncio.sleep(0.01)

        await publish_until_somebody_listens(first, b"\x00vote")
        match await asyncio.wait_for(second.recv(), PATIENCE):
            case FromSwarm.Message(origin, topic, data):
                assert (origin, topic, data) == (keys.to_node_id(), "election", b"\x00vote")
            case other:
                pytest.fail(f"{other!r}")

        assert await second.gossipsub_unsubscribe("election")
        assert not await second.gossipsub_unsubscribe("election")
        first.close()
        match await asyncio.wait_for(second.recv(), PATIENCE):
            case FromSwarm.Connection(peer_id, connected):
                assert (peer_id, connected) == (keys.to_node_id(), False)
            case other:
                pytest.fail(f"{other!r}")


async def test_a_second_recv_at_once_is_refused_and_the_first_goes_on() -> None:
    async with handle([], 0) as node:
        first = asyncio.ensure_future(node.recv())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await node.recv()
        assert not first.done()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        again = asyncio.ensure_future(node.recv())
        await asyncio.sleep(0)
        assert not again.done()
        again.cancel()


async def test_a_closed_handle_raises_connection_error() -> None:
    node = exo_rs.NetworkingHandle(exo_rs.Keypair.generate(), [], 0)
    waiting = asyncio.ensure_future(node.recv())
    await asyncio.sleep(0)
    node.close()
    node.close()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(waiting, PATIENCE)
    with pytest.raises(ConnectionError):
        await node.recv()
    with pytest.raises(ConnectionError):
        await node.gossipsub_subscribe("topic")


async def test_publishing_without_peers_has_its_error() -> None:
    async with handle([], 0) as node:
        with pytest.raises(exo_rs.NoPeersSubscribedToTopicError) as caught:
            await node.gossipsub_publish("topic", b"data")
        assert str(caught.value) == str(exo_rs.NoPeersSubscribedToTopicError())


def test_the_handle_is_made_without_a_loop_and_used_from_one_loop_after_another() -> None:
    node = exo_rs.NetworkingHandle(exo_rs.Keypair.generate(), [], 0)
    assert asyncio.run(node.gossipsub_subscribe("topic"))
    assert not asyncio.run(node.gossipsub_subscribe("topic"))
    node.close()


def test_all_three_arguments_are_required() -> None:
    assert str(inspect.signature(exo_rs.NetworkingHandle)).startswith("(identity")
    parameters = inspect.signature(exo_rs.NetworkingHandle).parameters
    assert list(parameters) == ["identity", "bootstrap_peers", "listen_port"]
    for parameter in parameters.values():
        assert parameter.default is inspect.Parameter.empty
        assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    exo_rs.NetworkingHandle(identity=exo_rs.Keypair.generate(), bootstrap_peers=(), listen_port=0).close()


def test_keypair() -> None:
    keys = exo_rs.Keypair.generate()
    secret = keys.to_bytes()
    assert len(secret) == 32
    same = exo_rs.Keypair.from_bytes(secret)
    assert same == keys and hash(same) == hash(keys) and same.to_bytes() == secret
    assert same.to_node_id() == keys.to_node_id() and keys.to_node_id().startswith("12D3KooW")
    assert keys != exo_rs.Keypair.generate()
    assert secret.hex() not in repr(keys)
    with pytest.raises(ValueError, match="31"):
        exo_rs.Keypair.from_bytes(bytes(31))
    with pytest.raises(TypeError):
        exo_rs.Keypair()


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (FromSwarm.Connection("peer", True), ("peer_id", "connected")),
        (FromSwarm.Message("origin", "topic", b"data"), ("origin", "topic", "data")),
    ],
)
def test_events_are_values(event: FromSwarm, names: tuple[str, ...]) -> None:
    assert isinstance(event, FromSwarm)
    assert type(event).__match_args__ == names
    fields = [getattr(event, name) for name in names]
    assert type(event)(*fields) == event == type(event)(**dict(zip(names, fields)))  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(event)) == event and len({event, type(event)(*fields)}) == 1
    assert repr(event).startswith("FromSwarm.") and repr(fields[0]) in repr(event)
    for name in names:
        with pytest.raises(AttributeError):
            setattr(event, name, fields[0])


@pytest.mark.parametrize("kind", [exo_rs.NoPeersSubscribedToTopicError, exo_rs.AllQueuesFullError, exo_rs.MessageTooLargeError])
def test_errors_take_any_arguments_and_have_a_fixed_text(kind: type[Exception]) -> None:
    assert issubclass(kind, Exception)
    texts = {str(kind()), str(kind("one")), str(kind(1, object(), None))}
    assert len(texts) == 1 and texts != {""}
    assert repr(kind("one")).startswith(kind.__name__ + "(")
    assert str(pickle.loads(pickle.dumps(kind("one")))) == str(kind())
