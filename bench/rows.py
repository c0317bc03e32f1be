"""The rows of the race: what is measured, by which measurement, and what is to be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from table import Row, Target

LIMIT, ZENOH, ZEROMQ = "limit", "zenoh TLS", "ZeroMQ CURVE"
#: What a control request may take while bulk runs, by its idle value.
TWICE_IDLE = "twice that and 1 ms"
#: 64 bytes between two plain sockets while the pipeline runs: what this machine lets anybody reach.
PLAIN = "plain sockets beside the pipeline"
#: Parts of a row's name that stand for more than one row.
MIB, KIB64 = "1 MiB", "64 KiB"
AT_LEAST_EQUAL = 1.0


def faster(key: str, what: str, unit: str, *targets: Target) -> Row:
    return Row(key, what, unit, targets)


def smaller(key: str, what: str, unit: str, *targets: Target) -> Row:
    return Row(key, what, unit, targets, more_is_better=False)


def streams() -> list[Row]:
    return [
        faster("upload", "one stream, upload", "MiB/s", Target(0.95, LIMIT)),
        faster("download", "one stream, download", "MiB/s", Target(0.95, LIMIT)),
        faster("upload-pnet", "one stream in a private network, upload", "MiB/s", Target(0.6, LIMIT)),
        faster("download-pnet", "one stream in a private network, download", "MiB/s", Target(0.6, LIMIT)),
        faster("streams-sum", "8 streams on 2 connections, in sum", "MiB/s", Target(AT_LEAST_EQUAL, "one stream")),
        faster("streams-fair", "the slowest of them, to their mean", "", Target(0.8)),
    ]


def bulk() -> list[Row]:
    return [
        faster("bulk-1m", f"one stream, slower direction; beside messages of {MIB}", "MiB/s", Target(1.3, ZENOH), Target(1.5, ZEROMQ)),
        faster("bulk-64k", f"one stream, slower direction; beside messages of {KIB64}", "MiB/s", Target(1.8, ZENOH), Target(1.8, ZEROMQ)),
        faster("messages-1m", f"messages of {MIB}, Python", "MiB/s"),
        faster("messages-64k", f"messages of {KIB64}, Python", "MiB/s"),
    ]


def link() -> list[Row]:
    return [faster("link", "one stream at 60 ms round trip and 1 Gbit/s, virtual clock: share of the link", "", Target(0.9))]


def messages_native() -> list[Row]:
    return [
        faster("native-16", "messages of 16 bytes, C", "1/s", Target(3e6)),
        faster("native-1k", "messages of 1 KiB, C", "1/s"),
    ]


def messages_python() -> list[Row]:
    return [
        faster("python-16", "messages of 16 bytes, Python", "1/s", Target(1.5, ZENOH), Target(1.5, ZEROMQ), Target(1e6)),
        faster("python-1k", "messages of 1 KiB, Python", "1/s", Target(1.5, ZENOH)),
    ]


def round_trip() -> list[Row]:
    return [
        smaller("trip-p50", "round trip of 64 bytes on a stream, C, p50", "µs", Target(1.3, LIMIT)),
        smaller("trip-p99", "the same, p99", "µs", Target(1.5, LIMIT)),
        smaller("request-p50", "request of 64 bytes and its reply, C, p50", "µs"),
        smaller("request-p99", "the same, p99", "µs"),
    ]


def round_trip_python() -> list[Row]:
    return [
        smaller("sync-p50", "request of 64 bytes and its reply, Python, p50", "µs", Target(0.6, ZEROMQ)),
        smaller("sync-p99", "the same, p99", "µs"),
        smaller("asyncio-p50", "the same by asyncio, p50", "µs", Target(AT_LEAST_EQUAL, ZEROMQ)),
        smaller("asyncio-p99", "the same by asyncio, p99", "µs"),
    ]


def gossip() -> list[Row]:
    return [
        faster("gossip-signed", "topic, signed, 256 bytes to 3 subscribers", "1/s", Target(0.9, LIMIT)),
        faster("gossip-unsigned", "the same with StrictNoSign", "1/s", Target(300_000)),
        faster("gossip-connected", "the same, each of them also connected to the others", "1/s"),
    ]


def handshakes() -> list[Row]:
    return [
        faster("handshakes", "handshakes, 8 dials at once", "1/s", Target(0.8, LIMIT)),
        faster("handshakes-serial", "handshakes, one after another", "1/s", Target(0.8, LIMIT)),
    ]


def counts() -> list[Row]:
    return [
        smaller("flights", "connect and first answered byte", "round trips", Target(3)),
        smaller("flights-pnet", "the same in a private network", "round trips", Target(3)),
        smaller("frame-allocations", "allocations for a frame, both ends", "", Target(0)),
        smaller("frame-allocations-pnet", "the same in a private network", "", Target(0)),
        smaller("message-allocations", "allocations for a message of 16 bytes, both ends", ""),
    ]


def memory() -> list[Row]:
    return [smaller("memory", "resident memory of an idle connection, of 10,000", "KiB", Target(16))]


def idle() -> list[Row]:
    return [
        smaller("idle", "processor time of a node with 100 idle peers", "%", Target(0.2)),
        smaller("wakeups", "its wake-ups", "1/s"),
    ]


def library() -> list[Row]:
    return [
        smaller("size", "libmeshnet.so", "MB", Target(10)),
        smaller("import", "import meshnet in a new Python", "ms", Target(30)),
        smaller("import-asyncio", "the same where asyncio is loaded", "ms"),
    ]


def control() -> list[Row]:
    return [
        smaller("control", "64-byte control request, p99, while bulk runs", "µs", Target(1.0, TWICE_IDLE)),
        faster("control-bulk", "bulk meanwhile, messages of 64 KiB", "MiB/s"),
    ]


def control_link() -> list[Row]:
    return [
        smaller("control-link", "the same over a link of 1 Gbit/s between two hosts", "µs", Target(1.0, TWICE_IDLE)),
        faster("control-link-bulk", "bulk meanwhile, messages of 64 KiB", "MiB/s"),
    ]


def returning() -> list[Row]:
    return [smaller("return", "first reply after a link returns that was out for 10 s", "ms")]


def discovery() -> list[Row]:
    return [
        smaller("newcomer", "mDNS: first contact of a newcomer", "s"),
        smaller("mesh", "mDNS: full mesh of 10 hosts", "s"),
        smaller("mesh-loss", "mDNS: the same, 20 % of multicast lost", "s"),
        smaller("mesh-loss-ipv4", "mDNS: the same, by IPv4 alone", "s"),
    ]


#: The measurements, each with the rows that it fills.
GROUPS: Mapping[str, Callable[[], list[Row]]] = {
    "streams": streams,
    "bulk": bulk,
    "link": link,
    "messages-native": messages_native,
    "messages-python": messages_python,
    "round-trip": round_trip,
    "round-trip-python": round_trip_python,
    "gossip": gossip,
    "handshakes": handshakes,
    "counts": counts,
    "memory": memory,
    "idle": idle,
    "library": library,
    "control": control,
    "control-link": control_link,
    "return": returning,
    "discovery": discovery,
}
