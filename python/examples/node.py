"""A node that talks: says hello on a topic, echoes the hellos of others, and tells what happens as JSON lines on standard output.

Once `--peers` others follow the topic it publishes `--count` messages "hello K", and answers "hello K" of peer P by "echo K P", so that the
round trip of each hello is known. It prints {"event":"done"} when it has `--count` hellos and echoes of each of the others, keeps answering until
its standard input ends, and exits with 0 if it was done, else with 1. The line "send COUNT PEER…" of its standard input makes it send so many numbered
messages to each of these peers. The same program in C is bindings/c/examples/node.c.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import IntEnum

import meshnet


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="python")
    parser.add_argument("--port", type=int, default=0, help="0: the kernel picks one")
    parser.add_argument("--bootstrap", default="", metavar="ADDR[,ADDR]…")
    parser.add_argument("--topic", default="meshnet")
    parser.add_argument("--count", type=int, default=3, help="messages to say and to hear from each of the others")
    parser.add_argument("--peers", type=int, default=2, help="how many others there are")
    parser.add_argument("--key", help="a key file, made when missing; without one each start is another node")
    parser.add_argument("--state", help="a folder in which messages outlive the process")
    parser.add_argument("--seconds", type=float, default=30, help="at most")
    return parser.parse_args()


class Talker:
    def __init__(self, node: meshnet.Node, options: argparse.Namespace, started: float) -> None:
        self.node = node
        self.options = options
        self.started = started
        self.said_at: list[float] = []
        self.followers: set[str] = set()
        self.hellos: Counter[str] = Counter()
        self.echoes: Counter[str] = Counter()
        self.done = False

    def tell(self, event: str, **fields: object) -> None:
        known = {name: value for name, value in fields.items() if value is not None}
        line = {"time": round(time.monotonic() - self.started, 6), "node": self.options.name, "event": event, **known}
        print(json.dumps(line, ensure_ascii=False), flush=True)

    async def say(self, text: str) -> None:
        # Somebody may leave meanwhile: then nobody misses the message.
        with suppress(meshnet.NoPeersSubscribedToTopicError, meshnet.AllQueuesFullError):
            await self.node.publish(self.options.topic, text.encode())

    async def say_hello_when_all_listen(self) -> None:
        while len(self.followers) >= self.options.peers and len(self.said_at) < self.options.count:
            self.said_at.append(time.monotonic())
            await self.say(f"hello {len(self.said_at) - 1}")

    async def hear(self, origin: str, text: str) -> None:
        match text.split():
            case ["hello", number]:
                self.hellos[origin] += 1
                self.tell("message", **{"from": origin, "text": text})
                await self.say(f"echo {number} {origin}")
            case ["echo", number, self.node.peer_id] if number.isdecimal() and int(number) < len(self.said_at):
                self.echoes[origin] += 1
                milliseconds = round((time.monotonic() - self.said_at[int(number)]) * 1e3, 3)
                self.tell("round trip", **{"from": origin, "number": int(number), "milliseconds": milliseconds})
        complete = [peer for peer in self.hellos if min(self.hellos[peer], self.echoes[peer]) >= self.options.count]
        if not self.done and len(complete) >= self.options.peers:
            self.done = True
            self.tell("done")

    async def handle(self, event: meshnet.Event) -> None:
        match event:
            case meshnet.Message(data=data, origin=str(origin)):
                return await self.hear(origin, data.decode(errors="replace"))
            case meshnet.Listening(address):
                self.tell("listening", address=address)
            case meshnet.Connected(peer, address, direction):
                self.tell("connected", peer=peer, address=address, direction=direction.name.lower())
            case meshnet.Disconnected(peer, address, direction, cause, detail):
                self.tell("disconnected", peer=peer, address=address, direction=direction.name.lower(), cause=word(cause), detail=detail)
            case meshnet.Subscription(peer, topic, subscribed):
                self.tell("subscription", peer=peer, topic=topic, subscribed=subscribed)
                if topic == self.options.topic:
                    (self.followers.add if subscribed else self.followers.discard)(peer)
            case meshnet.Identified(peer_id=peer, agent_version=agent):
                self.tell("identified", peer=peer, agent=agent)
            case meshnet.DialFailed(address=address, peer_id=peer, detail=detail, hint=hint):
                self.tell("dial failed", peer=peer, address=address, detail=detail, hint=hint)
            case meshnet.Discovered(peer_id=peer, addresses=addresses, source=source):
                self.tell("discovered", peer=peer, addresses=addresses, source=word(source))
            case meshnet.DiscoverySourceChanged(source=source, state=state, detail=detail, hint=hint):
                self.tell("discovery source", source=word(source), state=word(state), detail=detail or None, hint=hint or None)
            case meshnet.DuplicateIdentity(address):
                self.tell("duplicate identity", address=address)
            case meshnet.ChannelResumed(peer, resent):
                self.tell("channel", peer=peer, change="resumed", message_count=resent)
            case meshnet.StorageProblem(detail=detail, hint=hint, path=path):
                self.tell("storage", path=path, detail=detail, hint=hint)
            case meshnet.AddressProblem(address, detail):
                self.tell("address problem", address=address, detail=detail)
        await self.say_hello_when_all_listen()

    async def talk(self) -> None:
        async for event in self.node:
            await self.handle(event)

    async def obey(self, line: str) -> None:
        match line.split():
            case ["send", count, *peers]:
                for peer in peers:
                    await self.node.send_many(peer, [b"item %d" % number for number in range(int(count))])
                # With --state they will arrive now, whatever becomes of this process.
                self.tell("queued", count=int(count) * len(peers))

    async def take(self) -> None:
        async for message in self.node.messages():
            match message.data.split():
                case [b"item", number]:
                    self.tell("item", **{"from": message.peer_id, "number": int(number), "again": message.is_redelivered})


def word(value: int) -> str:
    """The name of a constant as other languages write it; the number of one that this package does not know."""
    return value.name.lower().replace("_", " ") if isinstance(value, IntEnum) else str(value)


async def listen_to_standard_input(obey: Callable[[str], Awaitable[None]]) -> None:
    """Until it ends."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        # Not sys.stdin: its lock may not be held by a daemon thread when the interpreter ends.
        rest = b""
        while part := os.read(0, 4096):
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                loop.call_soon_threadsafe(lines.put_nowait, line)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lines.put_nowait, b"")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        await obey(line.decode(errors="replace"))


def keys_in(path: str) -> meshnet.Keypair:
    if not os.path.exists(path):
        meshnet.Keypair.generate().save(path)
    return meshnet.Keypair.load(path)


async def main(options: argparse.Namespace) -> int:
    started = time.monotonic()
    bootstrap = [address for address in options.bootstrap.split(",") if address]
    identity = keys_in(options.key) if options.key else meshnet.Keypair.generate()
    async with meshnet.Node(identity=identity, bootstrap_peers=bootstrap, listen_port=options.port, state_dir=options.state) as node:
        talker = Talker(node, options, started)
        await node.subscribe(options.topic)
        talker.tell("started", peer=node.peer_id)
        works = (talker.talk(), talker.take(), listen_to_standard_input(talker.obey))
        tasks = [asyncio.create_task(work) for work in works]
        finished, unfinished = await asyncio.wait(tasks, timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        for task in finished:
            task.result()
        return 0 if talker.done else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(arguments())))
    except meshnet.MeshnetError as error:
        sys.exit(f"{error.detail}\n{error.hint}")
