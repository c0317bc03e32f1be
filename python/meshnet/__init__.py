"""A libp2p node for Python.

`Node` is for asyncio, `SyncNode` for threads, `NetworkingHandle` for programs written for exo's networking module.
The node runs on a thread of its own, outside the interpreter lock: it answers peers also while Python is busy.
"""

from __future__ import annotations

from ._meshnet import version as _version
from .errors import *
from .errors import __all__ as _errors
from .events import *
from .events import __all__ as _events
from .exo import FromSwarm, NetworkingHandle
from .keys import Keypair
from .node import Events, Node, PerfResult, Stream, Streams
from .options import Gossipsub, Limits, SigningPolicy
from .sync import SyncEvents, SyncNode, SyncStream, SyncStreams

__version__: str = _version()

__all__ = [
    "Events",
    "FromSwarm",
    "Gossipsub",
    "Keypair",
    "Limits",
    "NetworkingHandle",
    "Node",
    "PerfResult",
    "SigningPolicy",
    "Stream",
    "Streams",
    "SyncEvents",
    "SyncNode",
    "SyncStream",
    "SyncStreams",
    *_errors,
    *_events,
]
