"""What `make bench BENCH=messages` measures: messages between two processes of this machine, beside ZeroMQ with CURVE and zenoh over TLS.

All sides run in turn, round by round. Every side is encrypted and loses nothing: who is too fast waits.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from table import BUILT, LIBRARY, ROOT, Row, output, port

HERE = Path(__file__).resolve().parent
#: For the bench alone, in the private environment beside those of the tests.
PACKAGES = ("pyzmq==27.3.0", "eclipse-zenoh==1.10.2")
PYTHON_PEER = HERE / "python_peer.py"


def setup() -> None:
    """Installs what only these measurements need, and builds their programs."""
    output(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES)
    if subprocess.run(["pkg-config", "--exists", "libzmq"]).returncode != 0:
        output("apt-get", "install", "-y", "-qq", "--no-install-recommends", "libzmq3-dev")
    BUILT.mkdir(parents=True, exist_ok=True)
    flags = ["-O2", "-std=c11", "-Wall", "-Wextra", "-pthread"]
    library = ["-Iinclude", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
    output("gcc", *flags, *library, "bench/messages.c", "-lmeshnet", "-o", str(BUILT / "messages"))
    output("gcc", *flags, "bench/zmq.c", "-lzmq", "-o", str(BUILT / "zmq"))


def certificate(folder: Path) -> None:
    """An authority and a certificate for this machine, thrown away with the folder."""

    def make(name: str, *options: str) -> None:
        files = ("-keyout", f"{folder}/{name}-key.pem", "-out", f"{folder}/{name}.pem")
        command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *options, *files)
        subprocess.run(command, check=True, capture_output=True)

    make("ca", "-subj", "/CN=bench")
    make(
        *("leaf", "-subj", "/CN=localhost", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca-key.pem"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"),
    )


@contextmanager
def sink(*command: str) -> Iterator[tuple[str, ...]]:
    """The side that receives; the words that the other side needs."""
    process = subprocess.Popen([*command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        words = tuple(process.stdout.readline().split())
        if len(words) != 2:
            sys.exit(f"bench: {' '.join(command)} did not start")
        yield words
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def python(kind: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, str(PYTHON_PEER), kind, *words)


def ours(*words: str) -> tuple[str, ...]:
    return (str(BUILT / "messages"), *words)


def zmq(*words: str) -> tuple[str, ...]:
    return (str(BUILT / "zmq"), *words)


def native_rates(rounds: int, size: int, count: int) -> list[Row]:
    row = Row(f"{size:,}-byte messages, C; beside ZeroMQ CURVE", "1/s", [], [])
    with sink(*ours("sink")) as here, sink(*zmq("sink")) as there:
        for _ in range(rounds):
            row.ours.append(count / int(output(*ours("flood", *here, str(size), str(count)))) * 1e9)
            row.limit.append(count / int(output(*zmq("flood", *there, str(size), str(count)))) * 1e9)
    return [row]


def python_rows(rounds: int, sizes: Sequence[tuple[int, int]], trips: int) -> list[Row]:
    """Rates and round trips from Python, beside both."""
    others = ("zeromq", "zenoh")
    names = {"zeromq": "ZeroMQ CURVE", "zenoh": "zenoh TLS"}
    rates = {(size, other): Row(f"{size:,}-byte messages, Python; beside {names[other]}", "1/s", [], []) for size, _ in sizes for other in others}
    delays = {other: Row(f"64-byte round trip, Python, p50; beside {names[other]}", "µs", [], [], False) for other in others}
    with tempfile.TemporaryDirectory() as folder:
        certificate(Path(folder))
        sinks = {"meshnet": (), "zeromq": (), "zenoh": (folder, str(port()))}
        with (
            sink(*python("meshnet", "sink")) as first,
            sink(*python("zeromq", "sink")) as second,
            sink(*python("zenoh", "sink", *sinks["zenoh"])) as third,
        ):
            words = {"meshnet": first, "zeromq": second, "zenoh": third}
            for _ in range(rounds):
                for size, count in sizes:
                    rate = {k: count / int(output(*python(k, "flood", str(size), str(count), *words[k]))) * 1e9 for k in words}
                    for other in others:
                        rates[size, other].ours.append(rate["meshnet"])
                        rates[size, other].limit.append(rate[other])
                delay = {k: percentile([int(t) / 1e3 for t in output(*python(k, "trips", str(trips), *words[k])).split()], 50) for k in words}
                for other in others:
                    delays[other].ours.append(delay["meshnet"])
                    delays[other].limit.append(delay[other])
    return [*rates.values(), *delays.values()]


def percentile(samples: Sequence[float], percent: float) -> float:
    """By nearest rank."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def control(rounds: int, count: int) -> list[Row]:
    """The control lane while the bulk lane is full, beside the same without: a ratio of the row's own kind, which must not exceed 2, plus 1 ms."""
    row = Row("64-byte control request, p99, while bulk runs; beside idle", "µs", [], [], False)
    bulk = Row("bulk meanwhile, messages of 64 KiB", "MiB/s", [], [])
    with sink(*ours("sink")) as words:
        for _ in range(rounds):
            row.limit.append(percentile([int(t) / 1e3 for t in output(*ours("control", *words, str(count), "0")).split()], 99))
            *samples, last = output(*ours("control", *words, str(count), "1")).splitlines()
            row.ours.append(percentile([int(t) / 1e3 for t in samples], 99))
            _, size, took = last.split()
            bulk.ours.append(int(size) / (1 << 20) / (int(took) / 1e9))
    return [row, bulk]


def returning(runs: int, seconds: float) -> list[Row]:
    """The cable of one of two hosts is out for so long: from its return to the reply of a request that was sent meanwhile."""
    sys.path.insert(0, str(ROOT / "Tests" / "hosts"))
    from harness.lab import Lab, NoLab

    try:
        lab = Lab()
    except NoLab as reason:
        print(f"  the return of a link left out: {reason}", file=sys.stderr)
        return []
    row = Row(f"first reply after a link returns, which was out for {seconds:g} s", "ms", [], [], False)
    with lab:
        here, there = lab.hosts(2, lab.switch("lan"), ipv6=False)
        inside = ("ip", "netns", "exec")
        with sink(*inside, there.netns, *python("meshnet", "sink", "10.77.0.2")) as words:
            command = [*inside, here.netns, *python("meshnet", "return", "10.77.0.1", *words)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert process.stdin is not None and process.stdout is not None
            try:
                if process.stdout.readline() != "ready\n":
                    sys.exit("bench: the hosts did not meet")
                for _ in range(runs):
                    there.unplug()
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    time.sleep(seconds)
                    plugged = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                    there.plug()
                    row.ours.append((int(process.stdout.readline()) - plugged) / 1e6)
            finally:
                process.kill()
                process.wait()
    return [row]


def measure(rounds: int) -> list[Row]:
    setup()
    rows: list[Row] = []
    parts: tuple[tuple[str, Callable[[], list[Row]]], ...] = (
        ("native", lambda: native_rates(rounds, 16, 500_000) + native_rates(rounds, 1_024, 200_000)),
        ("Python", lambda: python_rows(rounds, ((16, 100_000), (1_024, 50_000)), 2_000)),
        ("control", lambda: control(rounds, 2_000)),
        ("return", lambda: returning(rounds, 10)),
    )
    for what, part in parts:
        rows += part()
        print(f"  messages, {what}: done", file=sys.stderr, flush=True)
    return rows
