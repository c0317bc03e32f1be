"""`make bench`: what two nodes on this machine reach, next to what the machine can do; and how fast ten hosts find each other.

The limit and our side run in turn, round by round, in the same run, so that a busy neighbour slows both. Medians over the
rounds, with the lowest and highest. The programs are bench/pipeline.c (the limit) and bench/node.c (our C library).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import messages
from table import BUILT, LIBRARY, ROOT, Row, output, table

MIB = 1 << 20


def build() -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    output("make", "--silent", "-C", "bench")
    flags = ["-O2", "-std=c11", "-Wall", "-Wextra", "-Iinclude", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
    output("gcc", *flags, "bench/node.c", "-lmeshnet", "-o", str(BUILT / "node"))


def pipeline(mode: str, *arguments: str) -> dict[str, float]:
    answer = json.loads(output(str(BUILT / "pipeline"), mode, *arguments))
    assert isinstance(answer, dict)
    return answer


def node(*arguments: str) -> list[str]:
    return output(str(BUILT / "node"), *arguments).split()


@contextmanager
def serving() -> Iterator[tuple[int, str]]:
    """A listening node in a process of its own: its process id and address."""
    process = subprocess.Popen([BUILT / "node", "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        if len(words) != 2:
            sys.exit("bench: the serving node did not start")
        yield process.pid, words[1]
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"no VmRSS of process {pid}")


def rate(size: int, nanoseconds: str) -> float:
    return size / MIB / (int(nanoseconds) / 1e9)


def throughput(rounds: int, size: int) -> list[Row]:
    up, down, limit = Row("upload", "MiB/s", [], []), Row("download", "MiB/s", [], []), []
    with serving() as (_, address):
        for _ in range(rounds):
            limit.append(pipeline("throughput", "--bytes", str(size))["mib_per_second"])
            up.ours.append(rate(size, node("perf", address, str(size), "0")[0]))
            down.ours.append(rate(size, node("perf", address, "0", str(size))[1]))
    up.limit.extend(limit)
    down.limit.extend(limit)
    return [up, down]


def round_trip(rounds: int, count: int) -> list[Row]:
    middle, late = Row("64-byte round trip, p50", "µs", [], [], False), Row("64-byte round trip, p99", "µs", [], [], False)
    with serving() as (_, address):
        for _ in range(rounds):
            raw = pipeline("pingpong", "--rounds", str(count))
            samples = sorted(int(text) / 1e3 for text in node("echo", address, "64", str(count)))
            middle.limit.append(raw["p50_us"])
            late.limit.append(raw["p99_us"])
            middle.ours.append(samples[len(samples) // 2])
            late.ours.append(samples[len(samples) * 99 // 100])
    return [middle, late]


def handshakes(rounds: int, count: int) -> list[Row]:
    row = Row("handshakes one after another, TCP to muxer", "1/s", [], [])
    with serving() as (_, address):
        for _ in range(rounds):
            samples = [int(text) for text in node("handshakes", address, str(count))]
            row.ours.append(len(samples) / (sum(samples) / 1e9))
    return [row]


def idle_memory(connections: int) -> list[Row]:
    with serving() as (pid, address):
        before = resident_kib(pid)
        crowd = subprocess.Popen([BUILT / "node", "crowd", address, str(connections)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert crowd.stdin is not None and crowd.stdout is not None
        with crowd.stdin, crowd.stdout:
            if crowd.stdout.readline() != "ready\n":
                sys.exit("bench: the crowd did not connect")
            after = resident_kib(pid)
        crowd.wait()
    return [Row(f"memory of an idle connection, of {connections:,}", "KiB", [(after - before) / connections], [], False)]


def import_time(rounds: int) -> list[Row]:
    """A Python process that imports the package, less one that imports nothing."""
    row = Row("import meshnet in Python", "ms", [], [], False)

    def once(program: str) -> float:
        start = time.perf_counter()
        output(sys.executable, "-c", program)
        return (time.perf_counter() - start) * 1e3

    once("import meshnet")
    for _ in range(rounds):
        row.ours.append(once("import asyncio, meshnet") - once("import asyncio"))
    return [row]


def library_size() -> list[Row]:
    return [Row("size of libmeshnet.so", "MiB", [(LIBRARY / "libmeshnet.so").stat().st_size / MIB], [], False)]


def discovery(runs: int) -> list[Row]:
    """mDNS between ten hosts, each a network namespace; by the programs of Tests/hosts."""
    sys.path.insert(0, str(ROOT / "Tests" / "hosts"))
    from harness import measure
    from harness.lab import Lab, NoLab

    try:
        lab = Lab()
    except NoLab as reason:
        print(f"  discovery left out: {reason}", file=sys.stderr)
        return []
    rows: list[Row] = []

    def add(what: str, samples: list[float]) -> None:
        rows.append(Row(f"{what}, p50 of {runs} runs", "s", samples, [], False))
        rows.append(Row(f"{what}, p99 of {runs} runs", "s", [measure.percentile(samples, 99)], [], False))

    with lab, measure.ten(lab) as hosts:
        add("mDNS: first contact of a newcomer", measure.newcomer(hosts, runs))
        add("mDNS: full mesh of 10 hosts", measure.full_mesh(hosts, runs, loss=0).full_mesh)
        add("mDNS: the same, 20 % of multicast lost", measure.full_mesh(hosts, runs, loss=20).full_mesh)
        add("mDNS: the same, by IPv4 alone", measure.full_mesh(hosts, runs, loss=20, ipv6=False).full_mesh)
    return rows


def machine() -> str:
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return f"{cpu or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.2f} at the start"


def main() -> None:
    # What is measured is between the nodes at hand; the measurement of discovery says itself which modes it wants.
    os.environ["MESHNET_DISCOVERY_MODE"] = "none"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", help="throughput round-trip handshakes memory import size discovery messages; all when none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20, help="of discovery")
    parser.add_argument("--bytes", type=int, default=1 << 30, help="of one transfer")
    parser.add_argument("--json", type=Path, help="write every sample to this file too")
    options = parser.parse_args()
    measurements: dict[str, Callable[[], list[Row]]] = {
        "throughput": lambda: throughput(options.rounds, options.bytes),
        "round-trip": lambda: round_trip(options.rounds, 20_000),
        "handshakes": lambda: handshakes(options.rounds, 500),
        "memory": lambda: idle_memory(1_000),
        "import": lambda: import_time(2 * options.rounds),
        "size": library_size,
        "discovery": lambda: discovery(options.runs),
        "messages": lambda: messages.measure(options.rounds),
    }
    unknown = set(options.only) - set(measurements)
    if unknown:
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}; there are {', '.join(measurements)}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(machine(), flush=True)
    build()
    rows: list[Row] = []
    for name, measure in measurements.items():
        if not options.only or name in options.only:
            rows += measure()
            print(f"  {name} done", file=sys.stderr, flush=True)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
