"""A libp2p node for Python.

`Node` is for asyncio, `SyncNode` for threads, `NetworkingHandle` for programs written for exo's networking module.
The node runs on a thread of its own, outside the interpreter lock: it answers peers also while Python is busy.
"""

from __future__ import annotations

from ._meshnet import version as _version
from .discovery import *
from .errors import *
from .events import *
from .exo import FromSwarm, NetworkingHandle
from .keys import Keypair
from .node import Events, Node, PerfResult, Stream, Streams
from .options import Gossipsub, Limits, SigningPolicy
from .sync import SyncEvents, SyncNode, SyncStream, SyncStreams

__version__: str = _version()

__all__ = [
    "AddressProblem",
    "AddressUnsupportedError",
    "AllQueuesFullError",
    "BusyError",
    "CallCancelledError",
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
    "DuplicateIdentity",
    "DuplicateMessageError",
    "EntryState",
    "ErrorCode",
    "Event",
    "Events",
    "Finding",
    "FromSwarm",
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
    "KeyFileError",
    "Keypair",
    "LimitReachedError",
    "Limits",
    "ListenError",
    "Listening",
    "MeshnetError",
    "Message",
    "MessageTooLargeError",
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
    "PerfResult",
    "PortInUseError",
    "ProtocolNotSupportedError",
    "RefusedError",
    "SelfDialError",
    "SigningPolicy",
    "SourceFailure",
    "SourceState",
    "SourceStatus",
    "Stream",
    "StreamClosedError",
    "StreamOpened",
    "StreamResetError",
    "Streams",
    "Subscription",
    "SyncEvents",
    "SyncNode",
    "SyncStream",
    "SyncStreams",
    "SystemCallError",
    "TailscaleConfig",
    "TimeoutError",
    "UnreachableError",
    "WrongPeerError",
]
