"""A py-libp2p node with its own mDNS, that dials whom it finds, driven by JSON lines on its standard input; see foreign.py."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.discovery.events.peerDiscovery import peerDiscovery
from libp2p.peer.peerinfo import PeerInfo
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr

from lines import say


async def dial(host: Any, found: PeerInfo) -> None:
    for _ in range(5):
        if found.peer_id in host.get_connected_peers():
            return
        try:
            await host.connect(found)
            return
        except Exception as error:
            print(f"dial of {found.peer_id}: {error!r}", file=sys.stderr)
            await trio.sleep(1)


async def serve(host: Any) -> None:
    async for line in trio.wrap_file(sys.stdin):
        request = json.loads(line)
        say(id=request["id"], ok=[str(peer) for peer in host.get_connected_peers()])
    os._exit(0)


async def main(address: str) -> None:
    keys = create_new_key_pair()
    send, receive = trio.open_memory_channel[PeerInfo](1_000)
    token = trio.lowlevel.current_trio_token()

    def found(peer: PeerInfo) -> None:  # on a thread of zeroconf
        say(event="found", t=time.monotonic(), peer=str(peer.peer_id), addresses=[str(address) for address in peer.addrs])
        token.run_sync_soon(send.send_nowait, peer)

    peerDiscovery.register_peer_discovered_handler(found)
    host = new_host(
        key_pair=keys,
        sec_opt={NOISE: NoiseTransport(keys, noise_privkey=create_new_x25519_key_pair().private_key)},
        muxer_preference="YAMUX",
        enable_mDNS=True,
    )
    async with host.run(listen_addrs=[Multiaddr(address)]), trio.open_nursery() as nursery:
        say(event="ready", peer=str(host.get_id()))
        nursery.start_soon(serve, host)
        async for peer in receive:
            nursery.start_soon(dial, host, peer)


trio.run(main, sys.argv[1])
