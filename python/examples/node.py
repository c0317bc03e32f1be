"""A node that talks: says hello on a topic, echoes the hellos of others, and tells what happens as JSON lines on standard output.

Once `--peers` others follow the topic it publishes `--count` messages "hello K", and answers "hello K" of peer P by "echo K P", so that the
round trip of each hello is known. It prints {"event":"done"} when it has that many hellos and echoes of each of the others, keeps answering until
its standard input ends, and exits with 0 if it was done, else with 1. The same program in C is bindings/c/examples/node.c.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

import meshnet


class Talk:
    def __init__(self, node: meshnet.Node, options: argparse.Namespace) -> None:
        self.node = node
        self.options = options
        self.start = time.monotonic()
        self.following: set[str] = set()
        self.said_at: list[float] = []
        self.hellos: dict[str, int] = {}
        self.echoes: dict[str, int] = {}
        self.done = False

    def tell(self, event: str, **fields: object) -> None:
        known = {name: value for name, value in fields.items() if value is not None}
        print(json.dumps({"time": round(time.monotonic() - self.start, 6), "node": self.options.name, "event": event, **known}), flush=True)

    async def say_hello_when_all_listen(self) -> None:
        while len(self.following) >= self.options.peers and len(self.said_at) < self.options.count:
            self.said_at.append(time.monotonic())
            await self.node.publish(self.options.topic, b"hello %d" % (len(self.said_at) - 1))

    async def hear(self, message: meshnet.Message) -> None:
        sender, words = message.origin or "", message.data.decode(errors="replace").split()
        match words:
            case ["hello", number]:
                self.hellos[sender] = self.hellos.get(sender, 0) + 1
                self.tell("message", **{"from": sender}, text=" ".join(words))
                await self.node.publish(self.options.topic, f"echo {number} {sender}".encode())
            case ["echo", number, whom] if whom == self.node.peer_id and int(number) < len(self.said_at):
                self.echoes[sender] = self.echoes.get(sender, 0) + 1
                took = (time.monotonic() - self.said_at[int(number)]) * 1e3
                self.tell("round trip", **{"from": sender}, number=int(number), milliseconds=round(took, 3))
        complete = [peer for peer, count in self.hellos.items() if count >= self.options.count <= self.echoes.get(peer, 0)]
        if not self.done and len(complete) >= self.options.peers:
            self.done = True
            self.tell("done")

    async def handle(self, event: meshnet.Event) -> None:
        match event:
            case meshnet.Message():
                await self.hear(event)
            case meshnet.Listening(address=address):
                self.tell("listening", address=address)
            case meshnet.Connected(peer_id=peer, address=address, direction=direction):
                self.tell("connected", peer=peer, address=address, direction=direction.name.lower())
            case meshnet.Disconnected(peer_id=peer, detail=detail):
                self.tell("disconnected", peer=peer, cause=detail)
            case meshnet.Identified(peer_id=peer, agent_version=agent):
                self.tell("identified", peer=peer, agent=agent)
            case meshnet.Subscription(peer_id=peer, topic=self.options.topic, subscribed=subscribed):
                (self.following.add if subscribed else self.following.discard)(peer)
                self.tell("subscription", peer=peer, topic=self.options.topic, subscribed=subscribed)
            case meshnet.DialFailed(address=address, detail=detail):
                self.tell("dial failed", address=address, detail=detail)
        await self.say_hello_when_all_listen()

    async def follow(self) -> None:
        async for event in self.node:
            await self.handle(event)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="python")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bootstrap", default="", help="multiaddrs, separated by commas")
    parser.add_argument("--topic", default="meshnet")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--peers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    bootstrap = [address for address in options.bootstrap.split(",") if address]

    async with meshnet.Node(identity=meshnet.Keypair.generate(), bootstrap_peers=bootstrap, listen_port=options.port) as node:
        talk = Talk(node, options)
        talk.tell("started", peer=node.peer_id)
        await node.subscribe(options.topic)
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.readline() or (ended.done() or ended.set_result(None)))
        following = asyncio.create_task(talk.follow())
        await asyncio.wait([ended, following], timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED)
        loop.remove_reader(sys.stdin.fileno())
        following.cancel()
        await asyncio.wait([following])
    return 0 if talk.done else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
