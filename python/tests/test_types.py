"""Types: the package under mypy --strict, its stubs against the runtime, and a user's program."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import meshnet

PACKAGE = Path(meshnet.__file__).parent
SOURCES = Path(__file__).parents[1] / "meshnet"
EXAMPLES = Path(__file__).parents[1] / "examples"

pytest.importorskip("mypy")

PROGRAM = '''
import asyncio
import meshnet
from meshnet import FromSwarm

def name(event: meshnet.Event) -> str:
    match event:
        case meshnet.Listening(address): return address
        case meshnet.Connected(peer_id, address, direction): return peer_id + address + direction.name
        case meshnet.Disconnected(peer_id=peer_id, cause=meshnet.DisconnectCause.TIMED_OUT): return peer_id
        case meshnet.Message(topic, data, origin, received_from): return topic + data.decode() + (origin or received_from)
        case meshnet.Subscription(peer_id, topic, subscribed): return peer_id + topic + str(subscribed)
        case meshnet.DialFailed(retry_after=float(seconds)): return f"{seconds:.1f}"
        case meshnet.ChannelResumed(peer_id, resent): return peer_id + str(resent)
        case meshnet.ChannelClosed(peer_id, by_us=False, reason=reason): return peer_id + reason
        case meshnet.ChannelGaveUp(peer_id, attempts, cause=meshnet.DialCause.REFUSED): return peer_id + str(attempts)
        case meshnet.Members(topic, peer_ids): return topic + ",".join(peer_ids)
        case meshnet.Woke(after): return f"{after:.1f}"
        case meshnet.StorageProblem(kind=meshnet.StorageFailure.FULL, path=path): return path
        case _: return ""

def drop_in(event: FromSwarm) -> bytes:
    match event:
        case FromSwarm.Connection(peer_id, connected): return peer_id.encode() if connected else b""
        case FromSwarm.Message(origin, topic, data): return origin.encode() + topic.encode() + data
    return b""

async def main(identity: meshnet.Keypair) -> None:
    async with meshnet.Node(identity=identity, limits=meshnet.Limits(connections=10)) as node:
        round_trip: float = await node.ping(await node.connect("/ip4/127.0.0.1/tcp/1", timeout=1))
        followed: bool = await node.subscribe(f"{round_trip}")
        async with await node.open_stream(node.peer_id, "/echo/1.0.0") as stream:
            await stream.write(b"data")
            data: bytes = await stream.readexactly(4)
        async for accepted in node.accept("/echo/1.0.0"):
            await accepted.close()
        async for event in node:
            print(name(event), followed, data)

async def messages(identity: meshnet.Keypair, peer: str) -> None:
    options = meshnet.MessageOptions(queue_messages=200, receive_bytes=1 << 20)
    async with meshnet.Node(identity=identity, state_dir="/nowhere", messages=options, reconnect=meshnet.Reconnect(cap=5.0)) as node:
        ticket: meshnet.Ticket = await node.send(peer, b"data", lane="bulk", deadline=2.5, when_full="drop_oldest")
        try:
            await ticket
        except meshnet.ExpiredError as error:
            print(error.hint, node.send_nowait(peer, memoryview(b"")).ended)
        reply: meshnet.Reply = await node.request(peer, b"question", timeout=1)
        with reply.open() as file:
            line: bytes = file.readline()
        async for message in node.messages(peer, meshnet.Lane.CONTROL):
            if message.is_request:
                await message.reply(message.data + line)
            await message.save("file")
        channel: meshnet.Channel | None = await node.channel(peer)
        print(channel and channel.queued_messages[meshnet.Lane.BULK], await node.send_many(peer, [b"one", bytearray(2)]))

def blocking(node: meshnet.SyncNode) -> None:
    for message in node.messages():
        message.done()
        node.send(message.peer_id, message.data, lane=message.lane).wait(timeout=1)
    answer: bytes = node.request("peer", b"").data
    print(answer, [channel.state for channel in node.channels()])
    for stream in node.accept("/echo/1.0.0"):
        part: bytes = stream.read(10)
        print(part, [peer.address for peer in node.peers()])
    try:
        node.publish("topic", b"")
    except meshnet.MessageTooLargeError as error:
        code: int = error.code
        print(code, error.hint)
'''

WRONG = '''
import meshnet
meshnet.NetworkingHandle(meshnet.Keypair.generate(), [])
meshnet.Node(identity="me")
meshnet.FromSwarm.Message("a", "b", "c")
def f(message: meshnet.Message) -> None:
    message.data = b""
'''


def mypy(*arguments: str, module: str = "mypy") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    # Away from the checkout, so that the package that is checked is the one that is installed.
    return subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent.parent)


def check(path: Path) -> subprocess.CompletedProcess[str]:
    return mypy("--strict", "--no-incremental", "--python-executable", sys.executable, str(path))


def test_the_package_is_strictly_typed() -> None:
    result = check(SOURCES)
    assert result.returncode == 0, result.stdout


def test_the_stubs_are_what_runs() -> None:
    result = mypy("meshnet", module="mypy.stubtest")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_the_examples_are_strictly_typed(example: Path) -> None:
    result = check(example)
    assert result.returncode == 0, result.stdout


def test_a_program_is_strictly_typed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    result = check(tmp_path / "program.py")
    assert result.returncode == 0, result.stdout


def test_mistakes_are_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    result = check(tmp_path / "wrong.py")
    lines = {line.split(":")[1] for line in result.stdout.splitlines() if ": error:" in line}
    assert lines == {"3", "4", "5", "7"}, result.stdout


def test_everything_public_is_named_and_described() -> None:
    assert sorted(meshnet.__all__) == meshnet.__all__
    expected = {*meshnet.errors.__all__, *meshnet.events.__all__, *meshnet.discovery.__all__}
    assert expected <= set(meshnet.__all__)
    for name in meshnet.__all__:
        value = getattr(meshnet, name)
        if inspect.isclass(value):
            assert inspect.getdoc(value), name
            for member, function in inspect.getmembers(value, inspect.isfunction):
                assert member.startswith("_") or inspect.getdoc(function), f"{name}.{member}"
    assert (PACKAGE / "py.typed").exists() and (PACKAGE / "_meshnet.pyi").exists()
