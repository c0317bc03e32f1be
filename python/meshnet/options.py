"""The options of a node beyond the usual. None always means the library's default, which meshnet.h names."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

from . import _meshnet
from .errors import InvalidArgument

__all__ = ["Gossipsub", "Keepalive", "Limits", "MessageOptions", "Reconnect", "SigningPolicy", "Wake"]


class SigningPolicy(IntEnum):
    """STRICT_SIGN: messages are signed, unsigned ones refused. STRICT_NO_SIGN: neither author nor signature, signed ones refused."""

    STRICT_SIGN = _meshnet.STRICT_SIGN
    STRICT_NO_SIGN = _meshnet.STRICT_NO_SIGN


@dataclass(frozen=True)
class Gossipsub:
    """Gossipsub, with the names of its specification. Sizes in bytes, times in seconds."""

    signing_policy: SigningPolicy | None = None
    maximum_message_size: int | None = None
    heartbeat_interval: float | None = None
    mesh_degree: int | None = None
    mesh_degree_low: int | None = None
    mesh_degree_high: int | None = None
    mesh_degree_lazy: int | None = None
    mesh_outbound_minimum: int | None = None
    flood_publish: bool | None = None


@dataclass(frozen=True)
class Limits:
    """Bounds of a node. Sizes in bytes, times in seconds."""

    connections: int | None = None
    pending_inbound_connections: int | None = None
    pending_outbound_connections: int | None = None
    connections_per_peer: int | None = None
    inbound_connections_per_address: int | None = None
    streams_per_connection: int | None = None
    handshake_timeout: float | None = None
    stream_negotiation_timeout: float | None = None
    maximum_stream_window: int | None = None
    send_buffer: int | None = None
    event_queue_count: int | None = None
    event_queue_bytes: int | None = None
    topics: int | None = None
    pending_accepts: int | None = None
    #: Connections a second from one IPv4 address or IPv6 /56, and from one IPv6 /48, loopback free; 0 is without limit. So many at once after a pause.
    inbound_rate_per_address: float | None = None
    inbound_rate_per_network: float | None = None
    inbound_burst_per_address: int | None = None
    inbound_burst_per_network: int | None = None


@dataclass(frozen=True)
class MessageOptions:
    """How messages to one peer are queued, kept and taken. Sizes in bytes, times in seconds; rates: 0 is without limit."""

    #: Waits for the disk at every commit, so that a power failure loses nothing either.
    synchronizes_disk: bool | None = None
    #: What may wait for one peer, 64 bytes for each message beside its own, and for all together.
    queue_bytes: int | None = None
    queue_messages: int | None = None
    total_queue_bytes: int | None = None
    #: Received of one peer and lane and not done with; beyond it the peer waits.
    receive_bytes: int | None = None
    maximum_message_size: int | None = None
    #: A larger message lies in a file and not in memory.
    spool_threshold: int | None = None
    spool_bytes: int | None = None
    acknowledgement_delay: float | None = None
    request_timeout: float | None = None
    requests_per_peer: int | None = None
    send_messages_per_second: int | None = None
    send_bytes_per_second: int | None = None
    receive_messages_per_second: int | None = None
    receive_bytes_per_second: int | None = None
    #: Peers that are remembered.
    channels: int | None = None


@dataclass(frozen=True)
class Reconnect:
    """When a peer is dialled again: the n-th delay is random between 0 and first × factorⁿ, at most the cap. Times in seconds."""

    first: float | None = None
    cap: float | None = None
    factor: float | None = None
    #: Failed rounds in a row after which messages end with `GaveUpError`; 0: never.
    attempts: int | None = None
    #: A connection that lasted so long resets the delays.
    lasting: float | None = None
    #: So many failures of one kind in a row look permanent, are reported, and tried again only after `permanent_delay`.
    permanent_after: int | None = None
    permanent_delay: float | None = None
    dials_per_minute: int | None = None
    #: A peer that was away for so long, and that nothing waits for, is dialled no more until somebody sends to it; 0: it is for ever.
    stale_after: float | None = None


@dataclass(frozen=True)
class Wake:
    """What counts as a wake from sleep, upon which every wait for a peer is cut short. Times in seconds."""

    #: Between two looks at the clocks.
    interval: float | None = None
    #: A look that comes so much too late is a wake.
    jump: float | None = None
    #: A node that starts so long after it was last alive starts as after a wake.
    stored_gap: float | None = None


@dataclass(frozen=True)
class Keepalive:
    """When the kernel probes a silent peer, and when its connection is given up: in networks of ours, and elsewhere. Seconds; `idle` whole ones."""

    local_idle: float | None = None
    local_timeout: float | None = None
    remote_idle: float | None = None
    remote_timeout: float | None = None


#: Options in seconds here and in milliseconds there.
_TIMES = frozenset(
    {
        "ping_interval",
        "ping_timeout",
        "dial_timeout",
        "backoff_first",
        "backoff_cap",
        "trim_grace",
        "heartbeat_interval",
        "handshake_timeout",
        "stream_negotiation_timeout",
        "acknowledgement_delay",
        "request_timeout",
        "reconnect_first",
        "reconnect_cap",
        "reconnect_lasting",
        "permanent_delay",
        "stale_after",
        "wake_interval",
        "wake_jump",
        "wake_stored_gap",
        "keepalive_local_idle",
        "keepalive_local_timeout",
        "keepalive_remote_idle",
        "keepalive_remote_timeout",
    }
)


def _milliseconds(name: str, seconds: float) -> int:
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidArgument(f"{name} is {seconds}: it must be a number of seconds, 0 or more")
    return round(seconds * 1000)


def _prefixed(prefix: str, options: object) -> dict[str, Any]:
    """The fields of a dataclass under the names of the header."""
    if options is None:
        return {}
    whole = {"permanent_after", "permanent_delay", "dials_per_minute", "stale_after"}
    return {part.name if part.name in whole else prefix + part.name: getattr(options, part.name) for part in fields(options)}  # type: ignore[arg-type]


def _messages(
    state_dir: str | os.PathLike[str] | None, messages: MessageOptions | None, reconnect: Reconnect | None, wake: Wake | None
) -> dict[str, Any]:
    """One struct of the library from what is several arguments here."""
    state = {"state_directory": None if state_dir is None else os.fspath(state_dir)}
    return _native({**state, **_prefixed("", messages), **_prefixed("reconnect_", reconnect), **_prefixed("wake_", wake)})


def _native(options: dict[str, Any]) -> dict[str, Any]:
    """Without what was left to the library, and with times in milliseconds."""
    native: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in _TIMES:
            native[name + "_ms"] = _milliseconds(name, value)
        elif isinstance(value, (Gossipsub, Limits)):
            native[name] = _native({field.name: getattr(value, field.name) for field in fields(value)})
        else:
            native[name] = value
    return native


def _addresses(name: str, addresses: Iterable[str]) -> tuple[str, ...]:
    if isinstance(addresses, str):
        raise InvalidArgument(f"{name} is the single text {addresses!r}: give a list of addresses, such as [{addresses!r}]")
    return tuple(addresses)
