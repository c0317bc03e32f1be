"""Messages, round trips and topics between processes of this machine, beside the limit programs, ZeroMQ with CURVE and zenoh over TLS.

All sides run in turn, round by round. Every side is encrypted and loses nothing: who is too fast waits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import programs
import rows
from programs import BUILT, messages, node, output, pipeline, python, serving, sink, started, zeromq
from streams import MIB, Settings
from table import Row, percentile


def microseconds(text: str) -> list[float]:
    return [int(word) / 1e3 for word in text.split()]


def trips(by: Mapping[str, Row], name: str, **samples: Sequence[float]) -> None:
    for percent in (50, 99):
        by[f"{name}-p{percent}"].add(**{who: percentile(times, percent) for who, times in samples.items()})


def messages_native(by: Mapping[str, Row], settings: Settings) -> None:
    programs.build_zeromq()
    with sink(*messages("sink")) as here, sink(*zeromq("sink")) as there:
        for _ in range(settings.rounds):
            for name, size, whole in (("16", 16, 1_000_000), ("1k", 1_024, 300_000)):
                count = settings.share(whole)
                ours = count / int(output(*messages("flood", *here, str(size), str(count)))) * 1e9
                theirs = count / int(output(*zeromq("flood", *there, str(size), str(count)))) * 1e9
                by[f"native-{name}"].add(ours=ours, **{rows.ZEROMQ: theirs})


def messages_python(by: Mapping[str, Row], settings: Settings) -> None:
    programs.install_rivals()

    def rate(kind: str, size: int, count: int, words: tuple[str, ...]) -> float:
        return count / int(output(*python(kind, "flood", str(size), str(count), *words))) * 1e9

    with (
        programs.certificate() as folder,
        sink(*python("meshnet", "sink")) as ours,
        sink(*python("zeromq", "sink")) as zmq,
        sink(*python("zenoh", "sink", folder, str(programs.free_port()))) as zenoh,
    ):
        for _ in range(settings.rounds):
            for name, size, whole in (("16", 16, 300_000), ("1k", 1_024, 150_000)):
                count = settings.share(whole)
                beside = {rows.ZENOH: rate("zenoh", size, count, zenoh), rows.ZEROMQ: rate("zeromq", size, count, zmq)}
                by[f"python-{name}"].add(ours=rate("meshnet", size, count, ours), **beside)


def round_trip(by: Mapping[str, Row], settings: Settings) -> None:
    count = settings.share(20_000, 100)
    with serving() as (_, address), sink(*messages("sink")) as words:
        for _ in range(settings.rounds):
            raw = pipeline("pingpong", "--rounds", str(count))
            ours = [sample / 1e3 for sample in node("echo", address, "64", str(count))]
            by["trip-p50"].add(ours=percentile(ours, 50), limit=raw["p50_us"])
            by["trip-p99"].add(ours=percentile(ours, 99), limit=raw["p99_us"])
            requests = microseconds(output(*messages("requests", *words, str(count))))
            by["request-p50"].add(ours=percentile(requests, 50), limit=raw["p50_us"])
            by["request-p99"].add(ours=percentile(requests, 99), limit=raw["p99_us"])


def round_trip_python(by: Mapping[str, Row], settings: Settings) -> None:
    programs.install_rivals()
    count = settings.share(3_000, 10)

    def times(kind: str, words: tuple[str, ...], role: str = "trips") -> list[float]:
        return microseconds(output(*python(kind, role, str(count), *words)))

    with (
        programs.certificate() as folder,
        sink(*python("meshnet", "sink")) as ours,
        sink(*python("zeromq", "sink")) as zmq,
        sink(*python("zenoh", "sink", folder, str(programs.free_port()))) as zenoh,
    ):
        for _ in range(settings.rounds):
            beside = {rows.ZEROMQ: times("zeromq", zmq), rows.ZENOH: times("zenoh", zenoh)}
            trips(by, "sync", ours=times("meshnet", ours), **beside)
            trips(by, "asyncio", ours=times("meshnet", ours, "asyncio_trips"), **beside)


def gossip(by: Mapping[str, Row], settings: Settings) -> None:
    """The limit is what the processors of this machine sign and verify, a core for each of the four nodes where there are so many."""
    subscribers, cores = 3, os.cpu_count() or 1

    def rate(count: int, signed: int, connected: int) -> float:
        return count / int(output(str(BUILT / "gossip"), "256", str(count), str(subscribers), str(signed), str(connected))) * 1e9

    for _ in range(settings.rounds):
        signed, costs = programs.beside_limits(cores, 1 / settings.divisor, lambda: rate(settings.share(60_000), 1, 0))
        sign, verify = costs["sign_us"], costs["verify_us"]
        slowest = max(sign, verify, (sign + subscribers * verify) / cores)
        by["gossip-signed"].add(ours=signed, limit=1e6 / slowest)
        by["gossip-unsigned"].add(ours=rate(settings.share(400_000), 0, 0))
        by["gossip-connected"].add(ours=rate(settings.share(200_000), 0, 1))


def control(by: Mapping[str, Row], settings: Settings) -> None:
    with sink(*messages("sink")) as words:
        for _ in range(settings.rounds):
            with started(str(BUILT / "pipeline"), "throughput", "--bytes", str(64 << 30)):
                plain = pipeline("pingpong", "--rounds", str(settings.share(2_000, 100)))["p99_us"]
            control_round(by, "control", settings, words, **{rows.PLAIN: plain})


def control_round(by: Mapping[str, Row], name: str, settings: Settings, words: tuple[str, ...], place: tuple[str, ...] = (), **beside: float) -> None:
    """The control lane while the bulk lane is full, beside the same without: to be at most twice that, plus 1 ms."""
    command = (*place, *messages("control", *words, str(settings.share(2_000, 10))))
    idle = percentile(microseconds(output(*command, "0")), 99)
    *samples, last = output(*command, "1").splitlines()
    by[name].add(ours=percentile(microseconds(" ".join(samples)), 99), while_idle=idle, **{rows.TWICE_IDLE: 2 * idle + 1_000}, **beside)
    _, size, took = last.split()
    by[f"{name}-bulk"].add(ours=int(size) / MIB / (int(took) / 1e9))
