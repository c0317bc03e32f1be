"""Messages and the process around them: kill -9 with a state directory, exit, fork, threads."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import meshnet
from support import PATIENCE, address_of, local, run_script, sync_connected_pair

#: Prints "address A", then "got N sequence redelivered" for each message before it is done with it.
RECEIVER = """
import sys, meshnet
key, state = sys.argv[1:3]
with meshnet.SyncNode(identity=meshnet.Keypair.load(key), listen_addresses=[sys.argv[3]], state_dir=state) as node:
    print("address", node.listen_addresses()[0], flush=True)
    for message in node.messages():
        print("got", message.data.decode(), message.sequence, int(message.is_redelivered), flush=True)
"""

#: Sends "0", "1", … and prints "accepted N" behind each; with an empty count it only waits until nothing is queued.
SENDER = """
import sys, time, meshnet
key, state, address, peer, count = sys.argv[1:6]
with meshnet.SyncNode(identity=meshnet.Keypair.load(key), listens=False, state_dir=state) as node:
    node.reconnect(peer, [address])
    for number in range(int(count)):
        node.send(peer, str(number).encode())
        print("accepted", number, flush=True)
    while sum(node.channel(peer).queued_messages):
        time.sleep(0.01)
    print("empty", flush=True)
"""


@contextmanager
def program(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-I", "-X", "faulthandler", "-c", script, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def key_file(folder: Path) -> Path:
    path = folder / "key"
    meshnet.Keypair.generate().save(path)
    return path


def lines(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.split()


def received(entries: list[list[str]]) -> list[str]:
    """The texts in order, those given again left out; each was said to be given again."""
    seen: dict[int, str] = {}
    for _, text, sequence, redelivered in entries:
        if int(sequence) in seen:
            assert redelivered == "1" and seen[int(sequence)] == text, entries
        seen[int(sequence)] = text
    assert sorted(seen) == list(range(1, len(seen) + 1)) and list(seen) == sorted(seen)
    return list(seen.values())


async def test_a_receiver_that_is_killed_gets_all_that_it_had_not_done_with(tmp_path: Path) -> None:
    key, state, count = key_file(tmp_path), tmp_path / "state", 300
    peer = meshnet.Keypair.load(key).peer_id
    entries: list[list[str]] = []
    async with meshnet.Node(**local(state_dir=tmp_path / "sender")) as node:
        address = "/ip4/127.0.0.1/tcp/0"
        tickets: list[meshnet.Ticket] = []
        for kill_after in (40, 150, count):
            with program(RECEIVER, key, state, address) as process:
                told = lines(process)
                address = (await asyncio.to_thread(next, told))[1]
                await node.reconnect(peer, [address])
                while len(tickets) < count:
                    tickets.append(await node.send(peer, b"%d" % len(tickets)))
                while len({entry[2] for entry in entries}) < kill_after:
                    entries.append(await asyncio.to_thread(next, told))
                process.send_signal(signal.SIGKILL)
                process.wait()
                entries += [entry for entry in told if len(entry) == 4]
        await asyncio.gather(*tickets)
    assert received(entries) == [str(number) for number in range(count)]


def test_a_sender_that_is_killed_sends_all_that_was_accepted(tmp_path: Path) -> None:
    key, state = key_file(tmp_path), tmp_path / "state"
    sender = meshnet.Keypair.load(key).peer_id
    with meshnet.SyncNode(**local()) as node:
        with program(SENDER, key, state, address_of(node), node.peer_id, 100_000) as process:
            for word, number in lines(process):
                if int(number) == 120:
                    break
            process.send_signal(signal.SIGKILL)
            process.wait()
            last = max([120, *(int(line[1]) for line in lines(process) if len(line) == 2)])
        with program(SENDER, key, state, address_of(node), node.peer_id, 0) as process:
            assert next(lines(process)) == ["empty"]
        channel = node.channel(sender)
        assert channel is not None and channel.received > last
        messages = node.messages()
        found = [int(messages.next(timeout=PATIENCE).data) for _ in range(channel.received)]
    assert found == list(range(len(found))) and len(found) >= last + 1


def test_a_state_directory_belongs_to_one_process(tmp_path: Path) -> None:
    options = local(state_dir=tmp_path)
    with meshnet.SyncNode(**options):
        with pytest.raises(meshnet.StorageError):
            meshnet.SyncNode(**options).start()


def test_a_peer_without_its_state_is_another_incarnation(tmp_path: Path) -> None:
    keys = meshnet.Keypair.generate()
    with meshnet.SyncNode(**local()) as node:
        events = node.events()
        for _ in range(2):
            with meshnet.SyncNode(**local(identity=keys)) as peer:
                peer.connect(address_of(node), timeout=PATIENCE)
                peer.send(node.peer_id, b"hello").wait(timeout=PATIENCE)
                first = node.receive(timeout=PATIENCE)
                assert first.sequence == 1
                node.send(keys.peer_id, b"hello").wait(timeout=PATIENCE)
            ticket = node.send(keys.peer_id, b"to the one that was there")
        with meshnet.SyncNode(**local(identity=keys)) as peer:
            peer.connect(address_of(node), timeout=PATIENCE)
            with pytest.raises(meshnet.PeerRestartedError):
                ticket.wait(timeout=PATIENCE)
        while not isinstance(event := events.next(timeout=PATIENCE), meshnet.ChannelPeerRestarted):
            pass
        assert event.peer_id == keys.peer_id


FORK = """
import os, sys, meshnet
keys = meshnet.Keypair.generate
first = meshnet.SyncNode(identity=keys(), listen_addresses=["/ip4/127.0.0.1/tcp/0"])
second = meshnet.SyncNode(identity=keys(), listens=False)
first.start(); second.start()
peer = second.connect(first.listen_addresses()[0], timeout=30)
second.send(peer, b"one").wait(timeout=30)
message = first.receive(timeout=30)
child = os.fork()
if child == 0:
    calls = (lambda: second.send(peer, b""), lambda: second.receive(timeout=1), lambda: second.send_many(peer, [b""]),
             lambda: second.request(peer, b""), lambda: first.channels(), lambda: first.messages().next())
    for call in calls:
        try:
            call()
        except meshnet.ClosedError:
            continue
        os._exit(10)
    message.done()
    sys.exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
second.send(peer, b"two").wait(timeout=30)
assert first.receive(timeout=30).data == b"two" and message.data == b"one"
second.close(); first.close()
sys.exit(0 if status == 7 else 100 + status)
"""


def test_after_fork_messages_are_the_parents() -> None:
    result = run_script(FORK, warnings="ignore")
    assert result.returncode == 0, result.stderr


PREPARE = """
import asyncio, sys, threading, meshnet
def options(): return dict(identity=meshnet.Keypair.generate(), listen_addresses=["/ip4/127.0.0.1/tcp/0"])
first, second = meshnet.SyncNode(**options()), meshnet.SyncNode(**options())
first.start(); second.start()
second.connect(first.listen_addresses()[0], timeout=30)
"""

EXITS = {
    "messages that nobody took": "second.send_many(first.peer_id, [b'x'] * 100); second.send(first.peer_id, b'last').wait(timeout=30)",
    "messages that were taken": """
tickets = [second.send(first.peer_id, b'x') for _ in range(10)]
held = [first.receive(timeout=30) for _ in range(10)]
""",
    "messages on their way": "tickets = [second.send(meshnet.Keypair.generate().peer_id, b'x') for _ in range(10)]",
    "a daemon thread that receives": """
ready = threading.Event()
def wait():
    for message in first.messages(): ready.set()
threading.Thread(target=wait, daemon=True).start()
second.send(first.peer_id, b"x")
ready.wait()
""",
    "a daemon thread that sends into a full queue": """
node = meshnet.SyncNode(**options(), messages=meshnet.MessageOptions(queue_messages=1)); node.start()
ready = threading.Event()
def wait():
    peer = meshnet.Keypair.generate().peer_id
    node.send(peer, b"x")
    ready.set()
    try:
        node.send_many(peer, [b"x"])
    except meshnet.ClosedError:
        pass
threading.Thread(target=wait, daemon=True).start()
ready.wait()
""",
    "an asyncio receiver whose loop ended": """
async def main():
    global node, task
    node = meshnet.Node(**options())
    await node.start()
    task = asyncio.ensure_future(node.receive())
    await asyncio.sleep(0)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("name", EXITS)
def test_the_interpreter_ends_with_messages_under_way(name: str) -> None:
    result = run_script(PREPARE + EXITS[name] + "\nprint('end')", warnings="ignore")
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "end\n")


def test_threads_share_the_messages_of_a_node() -> None:
    count, seen, lock = 600, [], threading.Lock()
    with sync_connected_pair() as (first, second):

        def take() -> None:
            for message in second.messages():
                with lock:
                    seen.append(int(message.data))

        takers = [threading.Thread(target=take) for _ in range(3)]
        for taker in takers:
            taker.start()
        tickets = [first.send(second.peer_id, b"%d" % number) for number in range(count)]
        for ticket in tickets:
            ticket.wait(timeout=PATIENCE)
        # Another consumer has its own; the threads get none of it.
        first.send(second.peer_id, b"-1", lane="bulk").wait(timeout=PATIENCE)
        second.close()
        for taker in takers:
            taker.join()
    assert sorted(seen) == [-1, *range(count)]


def test_blocking_messages_of_all_kinds(tmp_path: Path) -> None:
    with sync_connected_pair() as (first, second):
        server = threading.Thread(target=lambda: [message.reply(message.data * 2).wait(timeout=PATIENCE) for message in second.messages(lane="control")])
        server.start()
        assert first.request(second.peer_id, b"ab", lane="control", timeout=PATIENCE).data == b"abab"
        (tmp_path / "file").write_bytes(b"content")
        first.send_file(second.peer_id, tmp_path / "file").wait(timeout=PATIENCE)
        second.receive(timeout=PATIENCE, lane="bulk").save(tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"content"
        assert first.send_many(second.peer_id, [b"1", b"2"]) == 2
        messages = second.messages(first.peer_id, meshnet.Lane.NORMAL)
        assert [messages.next(timeout=PATIENCE).data for _ in range(2)] == [b"1", b"2"]
        with pytest.raises(meshnet.TimeoutError):
            messages.next(timeout=0.01)
        assert not first.send_nowait(meshnet.Keypair.generate().peer_id, b"").ended
        first.close_peer(second.peer_id)
        with pytest.raises(meshnet.PeerClosedError):
            first.send(second.peer_id, b"").wait(timeout=PATIENCE)
        first.reconnect(second.peer_id)
        first.send(second.peer_id, b"").wait(timeout=PATIENCE)
        # More than the node keeps completions of, and nobody waits for any.
        for _ in range(100):
            first.send_nowait(second.peer_id, b"", deadline=PATIENCE)
        second.close()
        server.join()
