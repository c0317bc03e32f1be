"""Bad input, each with its own error that names the value and the remedy."""

from __future__ import annotations

import errno
import os
import pickle
import re
import socket
import stat
from pathlib import Path

import pytest

import meshnet
from meshnet import _meshnet
from support import HEADER, PATIENCE, address_of, connected_pair, local, next_of, port_of, topic_pair

BUILT_IN = {
    "INVALID_ARGUMENT": ValueError,
    "INVALID_ADDRESS": ValueError,
    "INVALID_PEER_ID": ValueError,
    "INVALID_KEY": ValueError,
    "CLOSED": ConnectionError,
    "TIMED_OUT": TimeoutError,
    "NO_MEMORY": MemoryError,
    "SYSTEM": OSError,
    "KEY_FILE": OSError,
    "PORT_IN_USE": OSError,
    "LISTEN_FAILED": OSError,
    "REFUSED": ConnectionRefusedError,
    "WRONG_PEER": ConnectionError,
    "NOT_CONNECTED": ConnectionError,
    "STREAM_RESET": ConnectionResetError,
    "STREAM_CLOSED": BrokenPipeError,
    "EXPIRED": TimeoutError,
    "QUEUE_FULL": BlockingIOError,
    "PEER_RESTARTED": ConnectionResetError,
    "PEER_CLOSED": ConnectionError,
    "GAVE_UP": ConnectionError,
    "STORAGE": OSError,
}


def codes_of_the_header() -> dict[str, int]:
    found = re.findall(r"^\s*MESHNET_ERROR_(\w+) = (-\d+),?", HEADER.read_text(), re.M)
    assert len(found) > 30
    return {name: int(value) for name, value in found}


@pytest.mark.parametrize("name", codes_of_the_header())
def test_every_code_has_a_class(name: str) -> None:
    code = codes_of_the_header()[name]
    assert meshnet.ErrorCode[name] == code
    error = meshnet.errors._make(code, errno.EIO, "what happened", "what to do")
    assert type(error) is not meshnet.MeshnetError and isinstance(error, meshnet.MeshnetError)
    assert (error.code, error.detail, error.hint) == (meshnet.ErrorCode[name], "what happened", "what to do")
    assert isinstance(error, BUILT_IN.get(name, Exception))
    if isinstance(error, OSError):
        assert error.errno == errno.EIO
    assert repr(error)
    if not isinstance(error, meshnet.errors._FixedTextError):
        assert str(error) == "what happened (what to do)"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and (again.code, again.detail, again.hint) == (error.code, error.detail, error.hint)


def test_the_enum_has_no_other_codes() -> None:
    assert {code.name: code.value for code in meshnet.ErrorCode} == codes_of_the_header()


def test_a_code_of_a_later_library_is_still_an_error() -> None:
    error = meshnet.errors._make(-9999, 0, "new", "")
    assert type(error) is meshnet.MeshnetError and error.code == -9999 and str(error) == "new"


async def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        node = meshnet.Node(**local(listen_addresses=[f"/ip4/127.0.0.1/tcp/{port}"]))
        with pytest.raises(meshnet.PortInUseError, match=str(port)) as caught:
            await node.start()
        assert isinstance(caught.value, OSError) and caught.value.errno == errno.EADDRINUSE and caught.value.hint


@pytest.mark.parametrize("port", [-1, 65_536, 2**70])
async def test_no_such_port(port: int) -> None:
    with pytest.raises(ValueError, match="65535") as caught:
        await meshnet.Node(identity=meshnet.Keypair.generate(), listen_port=port).start()
    assert str(port) in str(caught.value) and isinstance(caught.value, meshnet.InvalidArgument)


async def test_wrong_types_are_type_errors() -> None:
    with pytest.raises(TypeError, match="Keypair"):
        meshnet.Node(identity="key")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await meshnet.Node(**local(listen_port="4001", listen_addresses=None)).start()
    with pytest.raises(TypeError):
        await meshnet.Node(**local(bootstrap_peers=[1])).start()
    with pytest.raises(meshnet.InvalidArgument, match="list"):
        meshnet.Node(**local(bootstrap_peers="/ip4/127.0.0.1/tcp/1"))
    async with meshnet.Node(**local()) as node:
        with pytest.raises(TypeError):
            await node.publish("topic", "text")  # type: ignore[arg-type]
        with pytest.raises(ValueError):
            await node.subscribe("a\0b")


async def test_bad_listen_address_key_and_times() -> None:
    with pytest.raises(meshnet.InvalidAddress, match="nonsense"):
        await meshnet.Node(**local(listen_addresses=["nonsense"])).start()
    for key in (b"", b"short", "/key/nonsense"):
        with pytest.raises(meshnet.InvalidKey):
            await meshnet.Node(**local(pre_shared_key=key)).start()
    with pytest.raises(meshnet.InvalidArgument, match="ping_interval"):
        await meshnet.Node(**local(ping_interval=-1.0)).start()


async def test_an_unusable_bootstrap_address_is_an_event_and_in_the_list() -> None:
    async with meshnet.Node(**local()) as first:
        good = address_of(first)
        async with meshnet.Node(**local(bootstrap_peers=["nonsense", "/ip4/localhost/tcp/1", good])) as node:
            events = node.events()
            seen: list[meshnet.AddressProblem] = []
            connected = False
            while len(seen) < 2 or not connected:
                match await events.next(timeout=PATIENCE):
                    case meshnet.AddressProblem() as problem:
                        seen.append(problem)
                    case meshnet.Connected(peer_id=first.peer_id):
                        connected = True
            problems = {problem.address: problem for problem in seen}
            assert problems["nonsense"].used_instead is None and problems["nonsense"].detail
            # A host name where an IP address belongs, as in exo's compose file, is understood.
            assert problems["/ip4/localhost/tcp/1"].used_instead == "/dns4/localhost/tcp/1"
            assert {problem.address for problem in await node.address_problems()} == set(problems)


async def test_dials_that_fail() -> None:
    async with connected_pair() as (first, second):
        with pytest.raises(meshnet.InvalidAddress, match="nonsense"):
            await second.connect("nonsense")
        with pytest.raises(ValueError):
            await second.add_bootstrap_peer("nonsense")
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            port = silent.getsockname()[1]
            with pytest.raises(ConnectionRefusedError) as caught:
                await second.connect(f"/ip4/127.0.0.1/tcp/{port}", timeout=PATIENCE)
        assert isinstance(caught.value, meshnet.RefusedError) and isinstance(caught.value, meshnet.DialError)
        assert caught.value.detail and caught.value.errno == errno.ECONNREFUSED and caught.value.hint
        with pytest.raises(meshnet.SelfDialError):
            await second.connect(address_of(second), timeout=PATIENCE)
        somebody = meshnet.Keypair.generate().peer_id
        async with meshnet.Node(**local()) as third:
            with pytest.raises(meshnet.WrongPeerError):
                await third.connect(f"{address_of(first)}/p2p/{somebody}", timeout=PATIENCE)
        with pytest.raises(meshnet.AddressUnsupportedError):
            await second.connect("/ip4/127.0.0.1/udp/1/quic-v1", timeout=PATIENCE)
        with pytest.raises(meshnet.InvalidPeerID, match="nobody"):
            await second.ping("nobody")
        with pytest.raises(meshnet.NotConnectedError, match=somebody):
            await second.ping(somebody)


async def test_a_failed_dial_of_a_bootstrap_peer_is_an_event() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}"
        async with meshnet.Node(**local(bootstrap_peers=[address])) as node:
            failed = await next_of(node.events(), meshnet.DialFailed)
            assert failed.address == address and failed.cause is meshnet.DialCause.REFUSED
            assert failed.code == meshnet.ErrorCode.REFUSED and failed.errno == errno.ECONNREFUSED
            assert failed.detail and failed.hint
            assert failed.retry_after is not None and 0 <= failed.retry_after <= 1


async def test_messages_that_cannot_be_sent() -> None:
    async with topic_pair(gossipsub=meshnet.Gossipsub(maximum_message_size=2048)) as (first, _):
        await first.publish("news", bytes(1024))
        with pytest.raises(meshnet.MessageTooLargeError) as caught:
            await first.publish("news", bytes(2049))
        assert "2049" in caught.value.detail or "2,049" in caught.value.detail
        with pytest.raises(meshnet.NoPeersSubscribedToTopicError) as missing:
            await first.publish("nobody reads this", b"data")
        assert "nobody reads this" in missing.value.detail and missing.value.hint
        with pytest.raises(meshnet.InvalidTopic):
            await first.subscribe("")
        with pytest.raises(meshnet.NotSubscribedError, match="unknown"):
            await first.topic_peers("unknown")


async def test_protocols_that_are_none() -> None:
    async with connected_pair() as (first, second):
        for protocols in ([], [""]):
            with pytest.raises(meshnet.InvalidProtocol):
                await second.open_stream(first.peer_id, protocols)
        with pytest.raises(meshnet.InvalidProtocol):
            await second.accept("").next()


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    with pytest.raises(meshnet.KeyFileError, match=re.escape(str(path))) as missing:
        meshnet.Keypair.load(path)
    assert missing.value.errno == errno.ENOENT and isinstance(missing.value, OSError)
    keys = meshnet.Keypair.generate()
    keys.save(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert meshnet.Keypair.load(str(path)) == keys
    with pytest.raises(meshnet.KeyFileError) as existing:
        keys.save(path)
    assert existing.value.errno == errno.EEXIST
    path.chmod(0o600)
    path.write_bytes(b"nonsense")
    with pytest.raises(meshnet.KeyFileError):
        meshnet.Keypair.load(path)


async def test_a_private_network_keeps_others_out() -> None:
    key = bytes(range(32))
    async with meshnet.Node(**local(pre_shared_key=key)) as inside, meshnet.Node(**local(pre_shared_key=key)) as member:
        assert await member.connect(address_of(inside), timeout=PATIENCE) == inside.peer_id
        async with meshnet.Node(**local(limits=meshnet.Limits(handshake_timeout=2.0), dial_timeout=2.0)) as outside:
            with pytest.raises(meshnet.OtherNetworkError):
                await outside.connect(address_of(inside), timeout=PATIENCE)


def test_a_node_of_this_module_was_listening_on_the_port_it_said() -> None:
    with meshnet.SyncNode(**local()) as node:
        with socket.create_connection(("127.0.0.1", port_of(address_of(node))), timeout=PATIENCE):
            pass


def test_the_module_raises_what_the_package_makes() -> None:
    node = _meshnet.Node(_meshnet.keypair_generate(), {"listens": False})
    with pytest.raises(meshnet.NotConnectedError):
        node.ping(meshnet.Keypair.generate().peer_id, 0)
    node.free()
    node.free()
    with pytest.raises(meshnet.ClosedError):
        node.peers()
