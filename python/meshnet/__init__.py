"""A libp2p node for Python.

`Node` is for asyncio, `SyncNode` for threads, `NetworkingHandle` for programs written for exo's networking module.
The node runs on a thread of its own, outside the interpreter lock: it answers peers also while Python is busy.

Importing the package loads the library and the errors. The rest is loaded when one of its names is first used, so that a program without asyncio
does not wait for asyncio.
"""

from __future__ import annotations

from . import _meshnet, errors
from .errors import *

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .discovery import *
    from .events import *
    from .exo import FromSwarm, NetworkingHandle
    from .keys import Keypair
    from .messages import Channel, ChannelState, Lane
    from .node import Events, Messages, Node, PerfResult, ReceivedMessage, Reply, Stream, Streams, Ticket
    from .options import Gossipsub, Keepalive, Limits, MessageOptions, Reconnect, SigningPolicy, Wake
    from .sync import SyncEvents, SyncMessages, SyncNode, SyncReceivedMessage, SyncReply, SyncStream, SyncStreams, SyncTicket

__version__: str = _meshnet.version()

__all__ = [
    "AddressProblem",
    "AddressUnsupportedError",
    "AllQueuesFullError",
    "BusyError",
    "CallCancelledError",
    "Channel",
    "ChannelClosed",
    "ChannelGaveUp",
    "ChannelLimited",
    "ChannelPeerRestarted",
    "ChannelResumed",
    "ChannelState",
    "ClosedError",
    "Connected",
    "Diagnosis",
    "DiagnosisCause",
    "DialCause",
    "DialError",
    "DialFailed",
    "Direction",
    "DisconnectCause",
    "Disconnected",
    "Discovered",
    "Discovery",
    "DiscoveryEntry",
    "DiscoveryFilter",
    "DiscoverySource",
    "DiscoverySourceChanged",
    "DiscoveryTable",
    "DisplacedError",
    "DuplicateIdentity",
    "DuplicateMessageError",
    "EntryState",
    "ErrorCode",
    "Event",
    "Events",
    "ExpiredError",
    "Finding",
    "FromSwarm",
    "GaveUpError",
    "Gossipsub",
    "HandshakeFailedError",
    "HeadscaleConfig",
    "Identified",
    "InterfaceStatus",
    "InvalidAddress",
    "InvalidArgument",
    "InvalidKey",
    "InvalidPeerID",
    "InvalidProtocol",
    "InvalidTopic",
    "Keepalive",
    "KeyFileError",
    "Keypair",
    "Lane",
    "LimitReachedError",
    "Limits",
    "ListenError",
    "Listening",
    "Members",
    "MeshnetError",
    "Message",
    "MessageOptions",
    "MessageTooLargeError",
    "Messages",
    "MessagesDropped",
    "NameUnresolvedError",
    "NetworkingHandle",
    "NoAddressesError",
    "NoPeersSubscribedToTopicError",
    "NoSuchStreamError",
    "Node",
    "NotConnectedError",
    "NotSubscribedError",
    "OtherNetworkError",
    "OutOfMemoryError",
    "Peer",
    "PeerClosedError",
    "PeerRestartedError",
    "PerfResult",
    "PortInUseError",
    "ProtocolNotSupportedError",
    "QueueFullError",
    "ReceivedMessage",
    "Reconnect",
    "RefusedError",
    "Reply",
    "SelfDialError",
    "SigningPolicy",
    "SourceFailure",
    "SourceState",
    "SourceStatus",
    "StorageError",
    "StorageFailure",
    "StorageProblem",
    "Stream",
    "StreamClosedError",
    "StreamOpened",
    "StreamResetError",
    "Streams",
    "Subscription",
    "SyncEvents",
    "SyncMessages",
    "SyncNode",
    "SyncReceivedMessage",
    "SyncReply",
    "SyncStream",
    "SyncStreams",
    "SyncTicket",
    "SystemCallError",
    "TailscaleConfig",
    "Ticket",
    "TimeoutError",
    "UnreachableError",
    "Wake",
    "Woke",
    "WrongPeerError",
]

#: The module that a name comes from; those that are not here come from `events`.
_HOMES = {
    "discovery": {
        *("Diagnosis", "DiagnosisCause", "Discovery", "DiscoveryEntry", "DiscoveryTable", "EntryState", "Finding"),
        *("HeadscaleConfig", "InterfaceStatus", "SourceStatus", "TailscaleConfig"),
    },
    "exo": {"FromSwarm", "NetworkingHandle"},
    "keys": {"Keypair"},
    "messages": {"Channel", "ChannelState", "Lane"},
    "node": {"Events", "Messages", "Node", "PerfResult", "ReceivedMessage", "Reply", "Stream", "Streams", "Ticket"},
    "options": {"Gossipsub", "Keepalive", "Limits", "MessageOptions", "Reconnect", "SigningPolicy", "Wake"},
    "sync": {"SyncEvents", "SyncMessages", "SyncNode", "SyncReceivedMessage", "SyncReply", "SyncStream", "SyncStreams", "SyncTicket"},
}


def __getattr__(name: str) -> object:
    """Loads what has not been used so far."""
    from importlib import import_module

    if name in _HOMES or name == "events":
        return import_module(f".{name}", __name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "events")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES, "events"})
