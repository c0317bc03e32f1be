"""A peer of another network is recognised by its first bytes, whoever dials, and no timeout is waited for.

The go daemon takes no private network's key, so the private one is ours; go with a key of its own is in the pnet vectors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

import meshnet
from conftest import need
from harness.peer import Peer

SOON = 5.0  # seconds: no handshake's timeout, which is 10 s or more


@pytest.mark.parametrize("kind", ["go", "py"])
def test_a_public_peer_is_recognised_from_a_private_network(kind: str, start: Callable[[str], Peer]) -> None:
    need(kind, "ours")
    peer = start(kind)

    async def dial() -> None:
        async with meshnet.Node(meshnet.Keypair.generate(), [], 0, discovery="none", network="a private one") as node:
            begin = time.monotonic()
            with pytest.raises(meshnet.OtherNetworkError, match="the peer is in none"):
                await node.connect(peer.address, timeout=30)
            assert time.monotonic() - begin < SOON
            # The cause of a diagnosis, with its remedy.
            found = (await node.diagnose(peer.address)).findings[0]
            assert found.cause == meshnet.DiagnosisCause.OTHER_NETWORK and found.remedy

    asyncio.run(dial())


@pytest.mark.parametrize("kind", ["go", "py"])
def test_a_public_peer_that_dials_a_private_network_is_told_of(kind: str, start: Callable[[str], Peer]) -> None:
    need(kind, "ours")
    peer = start(kind)

    async def listen() -> None:
        async with meshnet.Node(
            meshnet.Keypair.generate(), [], 0, discovery="none", network="a private one", listen_addresses=["/ip4/127.0.0.1/tcp/0"]
        ) as node:
            address = f"{node.listen_addresses()[0]}/p2p/{node.peer_id}"
            with pytest.raises(RuntimeError):
                await asyncio.to_thread(peer.connect, address)
            findings = (await node.diagnose("")).findings
            assert any(found.cause == meshnet.DiagnosisCause.OTHER_NETWORK and "127.0.0.1" in found.evidence for found in findings), findings

    asyncio.run(listen())
