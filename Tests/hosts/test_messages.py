"""Messages arrive, once: though processes are killed, stand still, lose their network, their address, their disk or their files."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import LONG
from harness.lab import Lab
from harness.messages import Side, doubled, lost
from waiting import eventually

Pair = Callable[..., tuple[Side, Side]]

#: MESHNET_KILLS=100 MESHNET_MESSAGES=10000 is the length that the claim is about.
KILLS = int(os.environ.get("MESHNET_KILLS", "6"))
MESSAGES = int(os.environ.get("MESHNET_MESSAGES", "600"))
SEED = int(os.environ.get("MESHNET_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
#: Seconds. Between two messages of a flow in which a process is killed, so that it dies in the middle.
PAUSE = 0.004
SUSPENDED = 30.0 if LONG else 5.0
CUT = 60.0 if LONG else 6.0
#: Bytes of the large message, and what a process may grow by for it.
LARGE = 1 << 30 if LONG else 64 << 20
GROWTH = 64 << 20
#: The longest delay between dials, a dial, and a loaded machine.
SOON = 40.0


@pytest.fixture
def pair(lab: Lab, tmp_path: Path) -> Iterator[Pair]:
    """Two hosts on one switch, a process with a node on each; only the second knows where the other is."""
    with ExitStack() as stack:

        def two(durable: bool = True, **options: object) -> tuple[Side, Side]:
            hosts = lab.hosts(2, lab.switch("lan"), ipv6=False)
            a, b = (
                Side(host, tmp_path / host.name, f"10.77.0.{number}", dict(options), durable) for number, host in enumerate(hosts, 1)
            )
            for side in (a, b):
                stack.callback(side.close)
            a.start()
            b.start(a)
            return a, b

        yield two


def settled(a: Side, b: Side, seconds: float = SOON) -> None:
    """Waits until everything that was accepted has arrived."""
    eventually(lambda: not lost(a, b) and not lost(b, a), "all that was accepted arrives", seconds, lambda: (len(lost(a, b)), len(lost(b, a))))


def meet(a: Side, b: Side) -> None:
    eventually(lambda: b.peer in a.call("peers") and a.peer in b.call("peers"), "both are connected", SOON)


def test_kills_of_a_random_side_lose_nothing_and_double_nothing(pair: Pair) -> None:
    a, b = pair()
    chance = random.Random(SEED)
    meet(a, b)
    # About a quarter of the flows dies with its process.
    share = 7 * MESSAGES // (10 * KILLS)
    for cycle in range(KILLS):
        flows = [
            side.running.start("flow", peer=other.peer, prefix=f"{side.host.name}-{cycle}", first=0, count=share, pause=PAUSE)
            for side, other in ((a, b), (b, a))
        ]
        victim, other = chance.choice([(a, b), (b, a)])
        # Somewhere in the middle of the flow, by what was accepted: nothing here depends on how fast the machine is.
        mark = chance.randrange(share)
        eventually(
            lambda: sum(text.startswith(f"{victim.host.name}-{cycle}-") for text in victim.accepted()) >= mark, "the flow has begun", SOON
        )
        victim.kill()
        flows[1 if victim is a else 0].result(SOON)
        victim.start(a if victim is b else None)
    settled(a, b, 2 * SOON)
    total = len(a.accepted()) + len(b.accepted())
    print(f"seed {SEED}: {KILLS} kills, {total} messages accepted, {len(a.texts()) + len(b.texts())} received")
    assert not doubled(a) and not doubled(b), f"MESHNET_SEED={SEED}"
    assert total >= MESSAGES * 3 // 4


def test_a_process_that_stands_still_loses_nothing(pair: Pair) -> None:
    a, b = pair(durable=False)
    meet(a, b)
    flow = b.running.start("flow", peer=a.peer, prefix="before", first=0, count=50)
    flow.result(SOON)
    a.running.suspend()
    b.call("flow", peer=a.peer, prefix="during", first=0, count=50)
    time.sleep(SUSPENDED)  # what is tested is this time
    a.running.resume()
    back = time.monotonic()
    settled(a, b)
    print(f"{time.monotonic() - back:.2f} s after {SUSPENDED:g} s of standing still all is there")
    assert not doubled(a) and b.call("state")["failures"] == []


def test_a_link_that_is_cut_and_comes_back(pair: Pair) -> None:
    a, b = pair(durable=False)
    meet(a, b)
    for side, other in ((a, b), (b, a)):
        side.call("flow", peer=other.peer, prefix=f"{side.host.name}-before", first=0, count=50)
    a.host.unplug()
    for side, other in ((a, b), (b, a)):
        side.call("flow", peer=other.peer, prefix=f"{side.host.name}-during", first=0, count=50)
    time.sleep(CUT)  # what is tested is this time
    a.host.plug()
    back = time.monotonic()
    settled(a, b)
    print(f"{time.monotonic() - back:.2f} s after a cut of {CUT:g} s all is there")
    assert not doubled(a) and not doubled(b)
    for side in (a, b):
        assert side.call("state")["failures"] == []


def test_an_address_that_changes_in_mid_conversation(pair: Pair) -> None:
    a, b = pair(durable=False)
    meet(a, b)
    b.call("flow", peer=a.peer, prefix="before", first=0, count=50)
    flow = b.running.start("flow", peer=a.peer, prefix="meanwhile", first=0, count=500)
    # b knows where a is; a knows b by its connection only.
    b.host.remove_addresses("10.77.0.2/24")
    b.host.add_addresses("10.77.0.99/24")
    flow.result(SOON)
    a.call("flow", peer=b.peer, prefix="back", first=0, count=50)
    settled(a, b)
    assert not doubled(a) and not doubled(b)
    assert a.call("state")["failures"] == [] and b.call("state")["failures"] == []


def test_a_full_disk_is_told_and_heals(lab: Lab, tmp_path: Path) -> None:
    a, b = (
        Side(host, tmp_path / host.name, f"10.77.0.{number}")
        for number, host in enumerate(lab.hosts(2, lab.switch("lan"), ipv6=False), 1)
    )
    b.state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(b.state)], check=True)
    try:
        a.start()
        b.start(a)
        meet(a, b)
        b.call("flow", peer=a.peer, prefix="before", first=0, count=20)
        settled(a, b)
        filler = b.state / "filler"
        with filler.open("wb") as file, pytest.raises(OSError):
            while True:
                file.write(b"\0" * 65_536)
                file.flush()
        # The log of the database may still have some room of its own.
        b.call("flow", peer=a.peer, prefix="full", first=0, count=100, size=65_000)
        failures = b.call("state")["failures"]
        assert any(text.startswith("StorageError") for text in failures), failures
        filler.unlink()
        b.call("flow", peer=a.peer, prefix="after", first=0, count=20)
        settled(a, b)
        assert {f"after-{number}" for number in range(20)} <= set(a.texts())
        assert not doubled(a)
    finally:
        a.close()
        b.close()
        subprocess.run(["umount", "-l", str(b.state)], check=True)


@pytest.mark.parametrize("damage", ["half", "garbage", "empty"])
def test_a_damaged_store_is_set_aside_and_new_messages_flow(pair: Pair, damage: str) -> None:
    a, b = pair()
    meet(a, b)
    b.call("flow", peer=a.peer, prefix="before", first=0, count=200, size=2_000)
    settled(a, b)
    b.kill()
    store = b.state / "messages.db"
    for log in (b.state / "messages.db-wal", b.state / "messages.db-shm"):
        log.unlink(missing_ok=True)
    size = store.stat().st_size
    if damage == "garbage":
        store.write_bytes(random.Random(SEED).randbytes(size))
    else:
        os.truncate(store, size // 2 // 4_096 * 4_096 + 100 if damage == "half" else 0)
    b.start(a)
    if damage != "empty":
        told = eventually(lambda: b.running.events("StorageProblem"), "the damage is told", SOON)
        assert told[0]["set_aside_as"] and Path(told[0]["set_aside_as"]).exists(), told
    b.call("flow", peer=a.peer, prefix="after", first=0, count=50)
    a.call("flow", peer=b.peer, prefix="back", first=0, count=50)
    eventually(lambda: {f"after-{n}" for n in range(50)} <= set(a.texts()), "new messages arrive", SOON, lambda: len(a.texts()))
    assert not doubled(a) and not doubled(b)


def test_a_large_message_needs_little_memory(pair: Pair, tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 4 * LARGE:
        pytest.skip(f"needs {4 * LARGE >> 20} MiB of disk")
    a, b = pair(durable=False)
    meet(a, b)
    b.call("send", peer=a.peer, text="hello")
    idle = {side.host.name: side.running.resident_bytes() for side in (a, b)}
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    transfer = b.running.start("send_file", peer=a.peer, path=str(path))
    peak = dict(idle)
    while not transfer.done():
        for side in (a, b):
            peak[side.host.name] = max(peak[side.host.name], side.running.resident_bytes())
        time.sleep(0.02)
    seconds = transfer.result()
    eventually(lambda: LARGE in a.call("state")["sizes"], "it is there, whole", SOON)
    for name, before in idle.items():
        print(f"{name}: {before >> 20} MiB before, {peak[name] >> 20} MiB at most, {LARGE >> 20} MiB in {seconds:.1f} s")
        assert peak[name] - before < GROWTH
