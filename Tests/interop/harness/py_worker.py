"""A py-libp2p node driven by JSON lines on its standard input; see worker_peer.py."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.identify import parse_identify_response
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.host.ping import PingService
from libp2p.perf.perf_service import PerfService
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, PROTOCOL_ID_V12, GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils.version import get_agent_version
from multiaddr import Multiaddr

ECHO = TProtocol("/meshnet/test/echo/1.0.0")
BLOCK = 65_536


def say(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def read_to_end(stream: Any) -> bytes:
    out = bytearray()
    while True:
        try:
            piece = await stream.read(BLOCK)
        except StreamEOF:
            piece = b""
        if not piece:
            return bytes(out)
        out += piece


async def serve_echo(stream: Any) -> None:
    while True:
        try:
            piece = await stream.read(BLOCK)
        except StreamEOF:
            piece = b""
        if not piece:
            break
        await stream.write(piece)
    await stream.close()


class Worker:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        keys = create_new_key_pair()
        self.host = new_host(
            key_pair=keys,
            sec_opt={NOISE: NoiseTransport(keys, noise_privkey=create_new_x25519_key_pair().private_key)},
            muxer_preference="YAMUX",
        )
        self.router = GossipSub(
            protocols=[PROTOCOL_ID_V12, PROTOCOL_ID_V11, PROTOCOL_ID],
            degree=6, degree_low=4, degree_high=12, heartbeat_initial_delay=0.1, heartbeat_interval=1,
            # Its own invention drops honest messages above 10 per second and topic.
            spam_protection_enabled=False, max_messages_per_topic_per_second=math.inf,
        )  # fmt: skip
        self.pubsub = Pubsub(self.host, self.router, strict_signing=True)
        self.pings = PingService(self.host)

    async def start(self) -> None:
        self.host.set_stream_handler(ECHO, serve_echo)
        await PerfService(self.host).start()
        addresses = [address for address in self.host.get_addrs() if "/ip4/127.0.0.1/tcp/" in str(address)]
        say(event="ready", peer=str(self.host.get_id()), address=str(addresses[0]), agent=get_agent_version())

    async def connect(self, address: str) -> None:
        await self.host.connect(info_from_p2p_addr(Multiaddr(address)))

    async def connected(self) -> list[str]:
        return [str(peer) for peer in self.host.get_connected_peers()]

    async def identify(self, peer: str) -> dict[str, object]:
        stream = await self.host.new_stream(ID.from_base58(peer), [IDENTIFY])
        message = parse_identify_response(await read_to_end(stream))
        await stream.close()
        return {
            "agent": message.agent_version,
            "protocols": list(message.protocols),
            "addresses": [str(Multiaddr(raw)) for raw in message.listen_addrs],
            "observed": str(Multiaddr(message.observed_addr)) if message.observed_addr else "",
        }

    async def ping(self, peer: str) -> float:
        start = time.perf_counter()
        await self.pings.ping(ID.from_base58(peer))
        return time.perf_counter() - start

    async def subscribe(self, topic: str) -> None:
        subscription = await self.pubsub.subscribe(topic)

        async def pump() -> None:
            async for message in subscription:  # type: ignore[attr-defined]
                say(event="message", origin=str(ID(message.from_id)), topic=topic, data=message.data.hex())

        self.nursery.start_soon(pump)

    async def publish(self, topic: str, data: str) -> None:
        await self.pubsub.publish(topic, bytes.fromhex(data))

    async def topic_peers(self, topic: str) -> list[str]:
        return [str(peer) for peer in self.pubsub.peer_topics.get(topic, ())]

    async def perf(self, peer: str, upload: int, download: int) -> None:
        identity = ID.from_base58(peer)
        address = self.host.get_peerstore().addrs(identity)[0]
        if "/p2p/" not in str(address):
            address = Multiaddr(f"{address}/p2p/{peer}")
        final: Any = None
        async for result in PerfService(self.host).measure_performance(address, upload, download):
            final = result
        if (final["upload_bytes"], final["download_bytes"]) != (upload, download):
            raise RuntimeError(f"perf moved {final}")

    async def echo(self, peer: str, data: str) -> str:
        sent = bytes.fromhex(data)
        stream = await self.host.new_stream(ID.from_base58(peer), [ECHO])

        async def send() -> None:
            for start in range(0, len(sent), BLOCK):
                await stream.write(sent[start : start + BLOCK])

        back = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while len(back) < len(sent):
                back += await stream.read(len(sent) - len(back))
        await stream.close()
        return back.hex()

    async def answer(self, request: dict[str, Any]) -> None:
        number = request.pop("id")
        try:
            say(id=number, ok=await getattr(self, request.pop("do"))(**request))
        except Exception as error:
            say(id=number, error=f"{type(error).__name__}: {error}")


async def main() -> None:
    async with trio.open_nursery() as nursery:
        worker = Worker(nursery)
        async with worker.host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
            async with background_trio_service(worker.pubsub), background_trio_service(worker.router):
                await worker.pubsub.wait_until_ready()
                await worker.start()
                async for line in trio.wrap_file(sys.stdin):
                    nursery.start_soon(worker.answer, json.loads(line))
                # Nothing of this process is worth an orderly end once its driver is done with it.
                os._exit(0)


trio.run(main)
