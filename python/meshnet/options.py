"""The options of a node beyond the usual. None always means the library's default, which meshnet.h names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

from . import _meshnet
from .errors import InvalidArgument

__all__ = ["Gossipsub", "Limits", "SigningPolicy"]


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
    }
)


def _milliseconds(name: str, seconds: float) -> int:
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidArgument(f"{name} is {seconds}: it must be a number of seconds, 0 or more")
    return round(seconds * 1000)


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
