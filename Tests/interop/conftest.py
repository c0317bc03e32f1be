from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.go_peer import DAEMON, GoPeer
from harness.peer import Peer
from waiting import eventually
from harness.worker_peer import OurPeer, PyPeer

ROOT = Path(__file__).parents[2]
# Nodes of tests must not meet strangers; tests of discovery say which modes they want.
os.environ["MESHNET_DISCOVERY_MODE"] = "none"
KINDS: dict[str, Callable[[], Peer]] = {"ours": OurPeer, "go": GoPeer, "go-tls": lambda: GoPeer(tls=True), "py": PyPeer}

# Dialler and listener. The pairs without us show that the harness itself finds nothing wrong between go and py.
PAIRS = [
    ("ours", "ours"),
    ("ours", "go"), ("go", "ours"), ("ours", "go-tls"), ("go-tls", "ours"), ("ours", "py"), ("py", "ours"),
    ("go", "py"), ("py", "go"),
]  # fmt: skip


def need(*kinds: str) -> None:
    """Skips only for what cannot be had here; what should be here and is not is a failure later."""
    if "ours" in kinds and not (ROOT / "python" / "pyproject.toml").exists():
        pytest.skip("the Python package, by which our node is driven, is not in this checkout")
    if any(kind.startswith("go") for kind in kinds) and not DAEMON.exists() and platform.machine() != "x86_64":
        pytest.skip(f"no go-libp2p daemon is published for {platform.machine()}")


@pytest.fixture
def start() -> Iterator[Callable[[str], Peer]]:
    """Starts peers that end with the test."""
    with ExitStack() as stack:

        def one(kind: str) -> Peer:
            peer = KINDS[kind]()
            stack.callback(peer.close)
            return peer

        yield one


@pytest.fixture(scope="module", params=PAIRS, ids="-dials-".join)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Peer, Peer]]:
    """Two connected peers: the one that dialled, the one that listened."""
    need(*request.param)
    with ExitStack() as stack:
        dialler = KINDS[request.param[0]]()
        stack.callback(dialler.close)
        listener = KINDS[request.param[1]]()
        stack.callback(listener.close)
        dialler.connect(listener.address)
        eventually(lambda: listener.peer_id in dialler.connected(), "the dialler lists the listener", state=dialler.connected)
        eventually(lambda: dialler.peer_id in listener.connected(), "the listener lists the dialler", state=listener.connected)
        yield dialler, listener
