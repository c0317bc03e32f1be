"""What a node costs: memory, processor time while idle, size, import; and counts that no clock has a part in."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import programs
from programs import BUILT, LIBRARY, Unmeasured, line, output, serving, started
from streams import Settings
from table import Row

CONNECTIONS = 10_000
#: Nodes in one process of the crowd, each with a thread and a few descriptors.
CROWD = 1_000
IDLE_PEERS = 100
DESCRIPTORS_OF_A_NODE = 8


@contextmanager
def crowd(address: str, count: int) -> Iterator[None]:
    """So many connections from elsewhere."""
    with ExitStack() as stack:
        for first in range(0, count, CROWD):
            share = min(CROWD, count - first)
            # One process after another: they share the processors with the node that accepts them.
            if line(stack.enter_context(started(str(BUILT / "node"), "crowd", address, str(share)))) != "ready":
                raise Unmeasured("the crowd did not connect")
        yield


def resident_kib(pid: int) -> int:
    for text in Path(f"/proc/{pid}/status").read_text().splitlines():
        if text.startswith("VmRSS:"):
            return int(text.split()[1])
    raise Unmeasured(f"no VmRSS of process {pid}")


def memory(by: Mapping[str, Row], settings: Settings) -> None:
    count = settings.share(CONNECTIONS, 10)
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < max(count + 100, min(count, CROWD) * DESCRIPTORS_OF_A_NODE):
        raise Unmeasured(f"a process may have {allowed:,} descriptors only")
    with serving() as (pid, address):
        before = resident_kib(pid)
        with crowd(address, count):
            by["memory"].add(ours=(resident_kib(pid) - before) / count)


def processor(pid: int) -> tuple[int, int]:
    """Nanoseconds that the threads of a process have run, and how often they were woken."""
    nanoseconds = wakeups = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((task / "schedstat").read_text().split()[0])
        status = (task / "status").read_text().splitlines()
        wakeups += next(int(text.split()[1]) for text in status if text.startswith("voluntary_ctxt_switches:"))
    return nanoseconds, wakeups


def idle(by: Mapping[str, Row], settings: Settings) -> None:
    seconds = 20 / settings.divisor
    with serving() as (pid, address), crowd(address, settings.share(IDLE_PEERS, 4)):
        # Until the talk at the beginning of a connection is over.
        time.sleep(2 / settings.divisor)
        for _ in range(settings.rounds if settings.divisor > 1 else min(settings.rounds, 5)):
            start, before, woken = time.monotonic_ns(), *processor(pid)
            time.sleep(seconds)
            end, after, woken_then = time.monotonic_ns(), *processor(pid)
            by["idle"].add(ours=100 * (after - before) / (end - start))
            by["wakeups"].add(ours=(woken_then - woken) / ((end - start) / 1e9))


def library(by: Mapping[str, Row], settings: Settings) -> None:
    by["size"].add(ours=(LIBRARY / "libmeshnet.so").stat().st_size / 1e6)

    def milliseconds(before: str) -> float:
        """Of the import, in a new interpreter that has loaded what is named."""
        return float(output(sys.executable, "-c", f"import time{before}; t = time.perf_counter(); import meshnet; print((time.perf_counter() - t) * 1e3)"))

    milliseconds("")
    for _ in range(2 * settings.rounds):
        by["import"].add(ours=milliseconds(""))
        by["import-asyncio"].add(ours=milliseconds(", asyncio"))


def counts(by: Mapping[str, Row], settings: Settings) -> None:
    programs.build_counts()
    for suffix, option in (("", ()), ("-pnet", ("pnet",))):
        by[f"flights{suffix}"].add(ours=programs.counts("flights", *option)["round_trips"])
        frames = programs.counts("frames", str(settings.share(2_000, 200)), *option)
        by[f"frame-allocations{suffix}"].add(ours=frames["allocations"] / frames["frames"])
    found = programs.counts("messages", str(settings.share(10_000, 2_000)))
    by["message-allocations"].add(ours=found["allocations"] / found["messages"])
