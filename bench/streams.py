"""Bulk on streams, and handshakes: the C library between two processes, beside the limit programs and beside messages of the rivals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import programs
import rows
from programs import node, pipeline, python, serving, sink
from table import Row

MIB = 1 << 20
PNET = {**os.environ, "BENCH_PNET": "1"}
STREAMS, CONNECTIONS = 8, 2
DIALS = 8


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    rounds: int = 5
    #: Divides every count and size; 1 measures properly.
    divisor: int = 1
    runs: int = 20

    def share(self, count: int, least: int = 1) -> int:
        return max(least, count // self.divisor)


def rate(size: int, nanoseconds: int) -> float:
    return size / MIB / (nanoseconds / 1e9)


def limit(size: int, *options: str) -> float:
    return pipeline("throughput", "--bytes", str(size), *options)["mib_per_second"]


def up(address: str, size: int, environment: Mapping[str, str] = os.environ) -> float:
    return rate(size, node("perf", address, str(size), "0", environment=environment)[0])


def down(address: str, size: int, environment: Mapping[str, str] = os.environ) -> float:
    return rate(size, node("perf", address, "0", str(size), environment=environment)[1])


def streams(by: Mapping[str, Row], settings: Settings) -> None:
    size = settings.share(1 << 30)
    with serving() as (_, address), serving(PNET) as (_, private):
        for _ in range(settings.rounds):
            bare = limit(size)
            one = up(address, size)
            by["upload"].add(ours=one, limit=bare)
            by["download"].add(ours=down(address, size), limit=bare)
            bare_private = limit(size, "--pnet")
            by["upload-pnet"].add(ours=up(private, size, PNET), limit=bare, limit_with_pnet=bare_private)
            by["download-pnet"].add(ours=down(private, size, PNET), limit=bare, limit_with_pnet=bare_private)
            together, *each = node("streams", address, str(size // STREAMS), str(STREAMS), str(CONNECTIONS))
            by["streams-sum"].add(ours=rate(size, together), one_stream=one)
            rates = [1 / took for took in each]
            by["streams-fair"].add(ours=min(rates) * len(rates) / sum(rates))


def bulk(by: Mapping[str, Row], settings: Settings) -> None:
    """Rivals send messages, we send a stream: what each has for bulk. Our own messages have rows too."""
    programs.install_rivals()
    size = settings.share(256 * MIB, MIB)

    def flood(kind: str, length: int, words: tuple[str, ...]) -> float:
        return rate(size, int(programs.output(*python(kind, "flood", str(length), str(size // length), *words))))

    with (
        programs.certificate() as folder,
        serving() as (_, address),
        sink(*python("meshnet", "sink")) as ours,
        sink(*python("zeromq", "sink")) as zeromq,
        sink(*python("zenoh", "sink", folder, str(programs.free_port()))) as zenoh,
    ):
        for _ in range(settings.rounds):
            stream = min(up(address, size), down(address, size))
            for name, length in (("1m", MIB), ("64k", MIB // 16)):
                beside = {rows.ZENOH: flood("zenoh", length, zenoh), rows.ZEROMQ: flood("zeromq", length, zeromq)}
                by[f"bulk-{name}"].add(ours=stream, **beside)
                by[f"messages-{name}"].add(ours=flood("meshnet", length, ours), **beside)


def link(by: Mapping[str, Row], settings: Settings) -> None:
    programs.build_counts()
    by["link"].add(ours=programs.counts("link", "60", "1000", str(settings.share(10)))["share"])


def handshakes(by: Mapping[str, Row], settings: Settings) -> None:
    """The limit of dials at once has all processors at work on handshakes alone; one after another, one processor at a time."""
    count, cores = settings.share(500, 10), os.cpu_count() or 1

    def side(costs: Mapping[str, float]) -> float:
        """Microseconds: 3 exchanges, 2 key generations, 1 signature, 1 verification."""
        return 3 * costs["exchange_us"] + 2 * costs["generate_us"] + costs["sign_us"] + costs["verify_us"]

    with serving() as (_, address):
        for _ in range(settings.rounds):
            took, costs = programs.beside_limits(cores, 1 / settings.divisor, lambda: node("dials", address, str(count // 2), str(DIALS))[0])
            by["handshakes"].add(ours=DIALS * (count // 2) / (took / 1e9), limit=cores * 1e6 / (2 * side(costs)))
            took, costs = programs.beside_limits(1, 1 / settings.divisor, lambda: sum(node("handshakes", address, str(count))))
            by["handshakes-serial"].add(ours=count / (took / 1e9), limit=1e6 / (2 * side(costs)))
