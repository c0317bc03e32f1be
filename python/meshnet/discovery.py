"""How a node finds others: the options, the table of what was found, and diagnoses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any, Literal, Union

from . import _meshnet
from .errors import InvalidArgument
from .events import DialCause, DiscoveryFilter, DiscoverySource, SourceFailure, SourceState, _known
from .options import _addresses, _milliseconds

__all__ = [
    "Diagnosis",
    "DiagnosisCause",
    "Discovery",
    "DiscoveryEntry",
    "DiscoveryTable",
    "EntryState",
    "Finding",
    "HeadscaleConfig",
    "InterfaceStatus",
    "SourceStatus",
    "TailscaleConfig",
]

_MODES = {
    "mdns": _meshnet.DISCOVER_MDNS,
    "dns": _meshnet.DISCOVER_DNS,
    "gossip": _meshnet.DISCOVER_GOSSIP,
    "headscale": _meshnet.DISCOVER_HEADSCALE,
    "tailscale": _meshnet.DISCOVER_TAILSCALE,
}
_BACKENDS = {"auto": _meshnet.MDNS_AUTO, "embedded": _meshnet.MDNS_EMBEDDED, "avahi": _meshnet.MDNS_AVAHI}
_POLICIES = {"dial": _meshnet.POLICY_DIAL, "offer": _meshnet.POLICY_OFFER}


class EntryState(IntEnum):
    """What becomes of an address that was found."""

    CONNECTED = _meshnet.ENTRY_CONNECTED
    DIALLING = _meshnet.ENTRY_DIALLING
    WAITING = _meshnet.ENTRY_WAITING
    OFFERED = _meshnet.ENTRY_OFFERED
    FILTERED = _meshnet.ENTRY_FILTERED


class DiagnosisCause(IntEnum):
    """Why a peer is not connected, or that it is."""

    CONNECTED = _meshnet.CAUSE_CONNECTED
    UNKNOWN_PEER = _meshnet.CAUSE_UNKNOWN_PEER
    NOTHING_HEARD = _meshnet.CAUSE_NOTHING_HEARD
    NO_MULTICAST_INTERFACE = _meshnet.CAUSE_NO_MULTICAST_INTERFACE
    OTHER_SUBNET = _meshnet.CAUSE_OTHER_SUBNET
    FILTERED_APP_ID = _meshnet.CAUSE_FILTERED_APP_ID
    FILTERED_SERVICE_TAG = _meshnet.CAUSE_FILTERED_SERVICE_TAG
    FILTERED_BY_LIST = _meshnet.CAUSE_FILTERED_BY_LIST
    FIREWALL = _meshnet.CAUSE_FIREWALL
    REFUSED = _meshnet.CAUSE_REFUSED
    ISOLATED = _meshnet.CAUSE_ISOLATED
    UNREACHABLE = _meshnet.CAUSE_UNREACHABLE
    OTHER_NETWORK = _meshnet.CAUSE_OTHER_NETWORK
    WRONG_PEER = _meshnet.CAUSE_WRONG_PEER
    NO_COMMON_PROTOCOL = _meshnet.CAUSE_NO_COMMON_PROTOCOL
    DUPLICATE_IDENTITY = _meshnet.CAUSE_DUPLICATE_IDENTITY
    LIMIT_REACHED = _meshnet.CAUSE_LIMIT_REACHED
    UNRESOLVED = _meshnet.CAUSE_UNRESOLVED
    CONTROL_KEY_REFUSED = _meshnet.CAUSE_CONTROL_KEY_REFUSED
    CONTROL_KEY_EXPIRED = _meshnet.CAUSE_CONTROL_KEY_EXPIRED
    CONTROL_KEY_WRONG_KIND = _meshnet.CAUSE_CONTROL_KEY_WRONG_KIND
    CONTROL_SERVER_DOWN = _meshnet.CAUSE_CONTROL_SERVER_DOWN
    CLOCK_OFF = _meshnet.CAUSE_CLOCK_OFF
    OWN = _meshnet.CAUSE_OWN
    HANDSHAKE_FAILED = _meshnet.CAUSE_HANDSHAKE_FAILED
    BAD_TARGET = _meshnet.CAUSE_BAD_TARGET
    SOURCE_FAILED = _meshnet.CAUSE_SOURCE_FAILED
    REACHABLE = _meshnet.CAUSE_REACHABLE


# Options

#: "none", one mode, or several.
DiscoveryModes = Union[
    Literal["none", "mdns", "dns", "gossip", "headscale", "tailscale"],
    Iterable[Literal["mdns", "dns", "gossip", "headscale", "tailscale"]],
    None,
]


@dataclass
class HeadscaleConfig:
    """A Headscale server. `port`: the libp2p port of nodes whose tags name none; 0: such nodes are not dialled."""

    api_base_url: str
    #: Of `headscale apikeys create`. It rules the whole tailnet; shown nowhere, also not here.
    api_key: str = field(repr=False)
    poll_interval_secs: int
    port: int
    #: Only nodes with this tag are dialled; None: all.
    required_tag: str | None = None
    #: Write our own peer id and port as tags of our node. Not to be undone: see docs/discovery.md.
    tags_itself: bool = False
    #: Certificates to trust in place of the system's, PEM.
    certificate_authority_file: str | None = None


@dataclass
class TailscaleConfig:
    """A tailnet: through tailscaled on this machine, or through the API when a key or a client is given."""

    socket_path: str | None = None
    api_base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    poll_interval_secs: int = 30
    #: 0: our own.
    port: int = 0
    required_tag: str | None = None
    certificate_authority_file: str | None = None


@dataclass(frozen=True)
class Discovery:
    """How a node finds others. None always means the library's default, which meshnet.h names; times in seconds."""

    #: "none", one mode, or several; None: what MESHNET_DISCOVERY_MODE says, else mdns and gossip.
    modes: DiscoveryModes = None
    mdns_backend: Literal["auto", "embedded", "avahi"] | None = None
    #: "offer": the event `Discovered` only, and you connect.
    policy: Literal["dial", "offer"] | None = None
    service_tag: str | None = None
    app_id: str | None = None
    endpoint_id: str | None = None
    dns_services: Iterable[str] = ()
    interval: float | None = None
    offer_queue: int | None = None
    allowed_networks: Iterable[str] = ()
    denied_networks: Iterable[str] = ()
    allowed_interfaces: Iterable[str] = ()
    denied_interfaces: Iterable[str] = ()
    allowed_peers: Iterable[str] = ()
    headscale: HeadscaleConfig | None = None
    tailscale: TailscaleConfig | None = None

    def _native(self) -> dict[str, Any]:
        native: dict[str, Any] = {}
        if self.modes is not None:
            native["modes"] = _modes(self.modes)
        if self.mdns_backend is not None:
            native["mdns_backend"] = _choice("mdns_backend", self.mdns_backend, _BACKENDS)
        if self.policy is not None:
            native["policy"] = _choice("policy", self.policy, _POLICIES)
        if self.interval is not None:
            native["interval_ms"] = _milliseconds("interval", self.interval)
        for name in ("service_tag", "app_id", "endpoint_id", "offer_queue"):
            if getattr(self, name) is not None:
                native[name] = getattr(self, name)
        for name in ("dns_services", "allowed_networks", "denied_networks", "allowed_interfaces", "denied_interfaces", "allowed_peers"):
            native[name] = _addresses(name, getattr(self, name))
        for name, server in (("headscale", self.headscale), ("tailscale", self.tailscale)):
            if server is not None:
                native[name] = {part.name: value for part in fields(server) if (value := getattr(server, part.name)) is not None}
        return native


#: What a constructor takes for `discovery`: all of it, or its modes.
DiscoveryArgument = Union[Discovery, DiscoveryModes]


def discovery_of(discovery: DiscoveryArgument, changes: dict[str, Any]) -> Discovery:
    """The whole, from what a constructor was given; None among the changes leaves a field as it is."""
    whole = discovery if isinstance(discovery, Discovery) else Discovery(modes=discovery)
    return replace(whole, **{name: value for name, value in changes.items() if value is not None})


def _modes(modes: str | Iterable[str]) -> int:
    if modes == "none":
        return _meshnet.DISCOVER_NONE
    total = 0
    for word in [modes] if isinstance(modes, str) else modes:
        total |= _choice("discovery", word, _MODES)
    return total


def _choice(name: str, word: str, choices: dict[str, int]) -> int:
    number = choices.get(word)
    if number is None:
        raise InvalidArgument(f"{name}: {word!r} is none of {', '.join(choices)}" + (", none" if choices is _MODES else ""))
    return number


# The table


@dataclass(frozen=True, slots=True)
class InterfaceStatus:
    """Multicast packets of one interface, and why the last one failed (None: it works)."""

    name: str
    sent: int
    heard: int
    failure: SourceFailure | int | None
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source, with its counters. Times in seconds, ago; None: never."""

    source: DiscoverySource | int
    state: SourceState | int
    failure: SourceFailure | int | None
    detail: str
    hint: str
    retry_after: float | None
    heard: int
    dialled: int
    succeeded: int
    filtered: dict[DiscoveryFilter | int, int]
    failed: dict[DialCause | int, int]
    last_heard: float | None
    last_success: float | None
    interfaces: tuple[InterfaceStatus, ...]


@dataclass(frozen=True, slots=True)
class DiscoveryEntry:
    """One address of one source. `heard` in seconds ago; `expires` and `next_try` in seconds from now."""

    peer_id: str | None
    address: str
    source: DiscoverySource | int
    state: EntryState | int
    filter: DiscoveryFilter | int | None
    interface: str | None
    heard: float
    expires: float | None
    attempts: int
    last_cause: DialCause | int | None
    last_detail: str
    next_try: float | None


@dataclass(frozen=True, slots=True)
class DiscoveryTable:
    """What the sources told, and what became of it."""

    sources: tuple[SourceStatus, ...]
    entries: tuple[DiscoveryEntry, ...]

    def source(self, source: DiscoverySource) -> SourceStatus | None:
        """The status of one source; None when it is not in use."""
        return next((status for status in self.sources if status.source == source), None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen, with the values, and what to do about it."""

    cause: DiagnosisCause | int
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a peer or an address is not connected. The first finding is the verdict."""

    target: str
    peer_id: str | None
    findings: tuple[Finding, ...]

    @property
    def cause(self) -> DiagnosisCause | int:
        """Of the verdict."""
        return self.findings[0].cause


def _seconds(milliseconds: int) -> float | None:
    return None if milliseconds < 0 else milliseconds / 1000


def _some(enum: type[IntEnum], value: int) -> Any:
    return _known(enum, value) if value else None


def _interface(name: str, sent: int, heard: int, failure: int, detail: str | None, hint: str | None) -> InterfaceStatus:
    return InterfaceStatus(name, sent, heard, _some(SourceFailure, failure), detail or "", hint or "")


def _source(native: tuple[Any, ...]) -> SourceStatus:
    source, state, failure, detail, hint, retry, heard, dialled, succeeded, filtered, failed, last_heard, last_success, interfaces = native
    return SourceStatus(
        _known(DiscoverySource, source),
        _known(SourceState, state),
        _some(SourceFailure, failure),
        detail or "",
        hint or "",
        _seconds(retry),
        heard,
        dialled,
        succeeded,
        {_known(DiscoveryFilter, kind): count for kind, count in filtered},
        {_known(DialCause, kind): count for kind, count in failed},
        _seconds(last_heard),
        _seconds(last_success),
        tuple(_interface(*interface) for interface in interfaces),
    )


def _entry(native: tuple[Any, ...]) -> DiscoveryEntry:
    peer_id, address, source, state, filter, interface, heard, expires, attempts, last_cause, last_detail, next_try = native
    return DiscoveryEntry(
        peer_id,
        address,
        _known(DiscoverySource, source),
        _known(EntryState, state),
        _some(DiscoveryFilter, filter),
        interface,
        heard / 1000,
        _seconds(expires),
        attempts,
        _some(DialCause, last_cause),
        last_detail or "",
        _seconds(next_try),
    )


def table_of(native: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]) -> DiscoveryTable:
    """The table of a tuple of the extension module."""
    return DiscoveryTable(tuple(map(_source, native[0])), tuple(map(_entry, native[1])))


def diagnosis_of(native: tuple[str, str | None, list[tuple[int, str, str]]]) -> Diagnosis:
    """The diagnosis of a tuple of the extension module."""
    target, peer_id, findings = native
    return Diagnosis(target, peer_id, tuple(Finding(_known(DiagnosisCause, cause), evidence, remedy) for cause, evidence, remedy in findings))
