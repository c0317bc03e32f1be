"""The node and the process around it: the interpreter lock, fork, exit, leaks, import."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from pathlib import Path

import pytest

import meshnet
from support import PATIENCE, address_of, connected_pair, local, next_of, run_script, topic_pair

STALL = 5.0

PINGER = """
import sys, time, meshnet
with meshnet.SyncNode(identity=meshnet.Keypair.generate(), listens=False) as node:
    peer = node.connect(sys.argv[1], timeout=30)
    print("connected", flush=True)
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        seconds = node.ping(peer, timeout=30)
        print(time.monotonic(), seconds, flush=True)
        time.sleep(0.02)
"""


def test_pings_are_answered_while_python_stands_still() -> None:
    """Another process pings us while a call of ours holds the interpreter lock for five seconds."""
    with meshnet.SyncNode(**local(ping_interval=0.0)) as node:
        pinger = subprocess.Popen(
            [sys.executable, "-I", "-c", PINGER, address_of(node), str(STALL + 2)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert pinger.stdout is not None
            assert pinger.stdout.readline() == "connected\n"
            pinger.stdout.readline()
            turns = 0

            def count() -> None:
                nonlocal turns
                while not over.wait(0.01):
                    turns += 1

            over = threading.Event()
            counter = threading.Thread(target=count)
            counter.start()
            # PyDLL keeps the lock; CDLL would release it.
            usleep = ctypes.PyDLL(None).usleep
            before = turns
            begun = time.monotonic()
            usleep(ctypes.c_uint(int(STALL * 1e6)))
            ended = time.monotonic()
            assert turns - before <= 1, "the interpreter was to stand still"
            over.set()
            counter.join()
            out, errors = pinger.communicate(timeout=PATIENCE)
        finally:
            pinger.kill()
            pinger.wait()
        assert pinger.returncode == 0, errors
        pings = [(float(when), float(seconds)) for when, seconds in (line.split() for line in out.splitlines())]
        during = [seconds for when, seconds in pings if begun <= when <= ended]
        assert ended - begun >= STALL
        assert len(during) >= 20, f"only {len(during)} pings were answered in {STALL} s"
        assert max(during) < 1.0, f"a ping took {max(during):.3f} s"


FORK = """
import os, sys, meshnet
keys = meshnet.Keypair.generate
first = meshnet.SyncNode(identity=keys(), listen_addresses=["/ip4/127.0.0.1/tcp/0"])
second = meshnet.SyncNode(identity=keys(), listens=False)
first.start(); second.start()
peer = second.connect(first.listen_addresses()[0], timeout=30)
child = os.fork()
if child == 0:
    for call in (second.peers, lambda: second.ping(peer), lambda: second.subscribe("topic"), second.listen_addresses, second.events):
        try:
            call()
        except meshnet.ClosedError:
            continue
        os._exit(10)
    second.close(); first.close()
    with meshnet.SyncNode(identity=keys(), listen_addresses=["/ip4/127.0.0.1/tcp/0"]) as mine:
        with meshnet.SyncNode(identity=keys(), listens=False) as other:
            other.ping(other.connect(mine.listen_addresses()[0], timeout=30), timeout=30)
    sys.exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
second.ping(peer, timeout=30)
second.close(); first.close()
sys.exit(0 if status == 7 else 100 + status)
"""


def test_after_fork_the_node_is_the_parents() -> None:
    # From 3.12 on, Python warns of every fork while threads run.
    result = run_script(FORK, warnings="ignore")
    assert result.returncode == 0, result.stderr


PREPARE = """
import asyncio, sys, threading, meshnet
def options(): return dict(identity=meshnet.Keypair.generate(), listen_addresses=["/ip4/127.0.0.1/tcp/0"])
"""

EXITS = {
    "a blocking node": "node = meshnet.SyncNode(**options()); node.start()",
    "a daemon thread that waits": """
node = meshnet.SyncNode(**options()); node.start()
events = node.events()
ready = threading.Event()
def wait():
    for event in events: ready.set()
threading.Thread(target=wait, daemon=True).start()
ready.wait()
""",
    "a daemon thread inside the module": """
from meshnet import _meshnet
node = _meshnet.Node(_meshnet.keypair_generate(), {"listens": False})
threading.Thread(target=lambda: node.next_events(-1, 1), daemon=True).start()
""",
    "an asyncio node whose loop ended": """
node = meshnet.Node(**options())
asyncio.run(node.start())
""",
    "a handle that waits": """
async def main():
    global handle, task
    handle = meshnet.NetworkingHandle(meshnet.Keypair.generate(), [], 0)
    task = asyncio.ensure_future(handle.recv())
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "connected nodes in a cycle": """
first, second = meshnet.SyncNode(**options()), meshnet.SyncNode(**options())
first.start(); second.start()
second.connect(first.listen_addresses()[0], timeout=30)
first.myself = first; second.other = first
del first, second
""",
    "exit inside async with": """
async def main():
    async with meshnet.Node(**options()) as node:
        sys.exit(0)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("name", EXITS)
def test_the_interpreter_ends_with_live_nodes(name: str) -> None:
    begun = time.monotonic()
    result = run_script(PREPARE + EXITS[name] + "\nprint('end')", warnings="ignore")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.strip() in ("end", "") and time.monotonic() - begun < 10


def open_descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return sorted(found)


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def few_threads(most: int) -> bool:
    """Whether no more than so many threads are left. A thread that was joined stays in /proc until the kernel has reaped it."""
    limit = time.monotonic() + PATIENCE
    while threads() > most and time.monotonic() < limit:
        os.sched_yield()
    return threads() <= most


def our_objects() -> int:
    gc.collect()
    return sum(type(item).__module__.startswith("meshnet") for item in gc.get_objects())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def use_and_close() -> None:
    async with connected_pair() as (first, second), first.accept("/echo/1.0.0") as accepted:
        async with await second.open_stream(first.peer_id, "/echo/1.0.0", timeout=PATIENCE) as here:
            async with await accepted.next(timeout=PATIENCE) as there:
                await here.write(bytes(100_000))
                assert len(await there.readexactly(100_000)) == 100_000


def test_nothing_is_left_of_nodes_that_were_closed() -> None:
    def once() -> None:
        asyncio.run(use_and_close())
        with meshnet.SyncNode(**local()) as node:
            node.subscribe("topic")

    for _ in range(3):
        once()
    before = open_descriptors(), our_objects()
    running = threads()
    resident = resident_bytes()
    for _ in range(40):
        once()
    assert few_threads(running)
    assert (open_descriptors(), our_objects()) == before
    # 120 nodes with their buffers, if they stayed, would be far more.
    assert resident_bytes() - resident < 32 * 1024 * 1024


async def test_messages_leave_no_memory_behind() -> None:
    data = bytes(16 * 1024)
    async with topic_pair() as (first, second):
        events = second.events()

        async def pass_messages(count: int) -> None:
            for _ in range(count):
                await first.publish("news", data + os.urandom(8))
                await next_of(events, meshnet.Message)

        tracemalloc.start()
        try:
            await pass_messages(50)
            before = tracemalloc.get_traced_memory()[0]
            await pass_messages(500)
            # The messages are 8 MiB. What the extension module allocates is traced too.
            assert tracemalloc.get_traced_memory()[0] - before < 256 * 1024
        finally:
            tracemalloc.stop()


async def test_a_dropped_handle_closes_its_node() -> None:
    handle = meshnet.NetworkingHandle(meshnet.Keypair.generate(), [], 0)
    assert await handle.gossipsub_subscribe("topic")
    gone = weakref.ref(handle._driver.core.native)
    running = threads()
    del handle
    while gone() is not None:
        await asyncio.sleep(0)
    assert few_threads(running - 1)


def loaded_by(script: str, *modules: str) -> set[str]:
    """Those of the modules that the script has loaded."""
    return set(run_script(f"{script}; import sys; print(*(name for name in {modules!r} if name in sys.modules))").stdout.split())


def test_a_program_loads_what_it_uses() -> None:
    slow = ("asyncio", "dataclasses", "inspect", "re", "typing", "threading")
    assert loaded_by("import meshnet; meshnet.ClosedError", *slow) == set()
    assert "asyncio" not in loaded_by("import meshnet; meshnet.SyncNode(identity=meshnet.Keypair.generate())", *slow)
    assert "asyncio" in loaded_by("import meshnet; meshnet.Node", *slow)
