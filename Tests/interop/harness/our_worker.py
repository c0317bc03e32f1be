"""A meshnet node, through the Python package, driven by JSON lines on its standard input; see worker_peer.py."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import meshnet

ECHO = "/meshnet/test/echo/1.0.0"
BLOCK = 65_536
TIMEOUT = 30.0


def say(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class Worker:
    def __init__(self, node: meshnet.Node) -> None:
        self.node = node
        self.identities: dict[str, meshnet.Identified] = {}
        self.tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def watch(self) -> None:
        async for event in self.node:
            match event:
                case meshnet.Message(topic=topic, data=data, origin=origin):
                    say(event="message", origin=origin, topic=topic, data=data.hex())
                case meshnet.Identified(peer_id=peer):
                    self.identities[peer] = event

    async def serve_echo(self) -> None:
        async for stream in self.node.accept(ECHO):
            self.spawn(self.echo_back(stream))

    async def echo_back(self, stream: meshnet.Stream) -> None:
        async with stream:
            async for piece in stream:
                await stream.write(piece)

    async def connect(self, address: str) -> None:
        await self.node.connect(address, timeout=TIMEOUT)

    async def connected(self) -> list[str]:
        return [peer.peer_id for peer in await self.node.peers()]

    async def identify(self, peer: str) -> dict[str, object]:
        if peer not in self.identities:
            raise LookupError("not identified yet")
        known = self.identities[peer]
        return {
            "agent": known.agent_version,
            "protocols": list(known.protocols),
            "addresses": list(known.listen_addresses),
            "observed": known.observed_address or "",
        }

    async def ping(self, peer: str) -> float:
        return await self.node.ping(peer, timeout=TIMEOUT)

    async def subscribe(self, topic: str) -> None:
        await self.node.subscribe(topic)

    async def publish(self, topic: str, data: str) -> None:
        await self.node.publish(topic, bytes.fromhex(data))

    async def publish_retained(self, topic: str, data: str) -> None:
        await self.node.publish_retained(topic, bytes.fromhex(data))

    async def topic_peers(self, topic: str) -> list[str]:
        return [peer.peer_id for peer in await self.node.topic_peers(topic)]

    async def perf(self, peer: str, upload: int, download: int) -> None:
        await self.node.perf(peer, upload=upload, download=download, timeout=TIMEOUT)

    async def echo(self, peer: str, data: str) -> str:
        sent = bytes.fromhex(data)
        async with await self.node.open_stream(peer, ECHO, timeout=TIMEOUT) as stream:
            _, back = await asyncio.gather(stream.write(sent, timeout=TIMEOUT), stream.readexactly(len(sent), timeout=TIMEOUT))
        return back.hex()

    async def answer(self, request: dict[str, Any]) -> None:
        number = request.pop("id")
        try:
            say(id=number, ok=await getattr(self, request.pop("do"))(**request))
        except Exception as error:
            say(id=number, error=f"{type(error).__name__}: {error}")


async def main() -> None:
    identity = meshnet.Keypair.generate()
    async with meshnet.Node(identity=identity, bootstrap_peers=[], listen_port=0, listen_addresses=["/ip4/127.0.0.1/tcp/0"]) as node:
        worker = Worker(node)
        worker.spawn(worker.watch())
        worker.spawn(worker.serve_echo())
        say(event="ready", peer=node.peer_id, address=f"{node.listen_addresses()[0]}/p2p/{node.peer_id}", agent="meshnet/")
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            worker.spawn(worker.answer(json.loads(line)))
        os._exit(0)  # the driver is done with this process


asyncio.run(main())
