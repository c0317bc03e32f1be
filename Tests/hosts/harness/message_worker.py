"""A meshnet node that sends numbered messages and writes down what it got, driven by JSON lines on its standard input; see messages.py.

Its ledgers are files that outlive it. `accepted`: a line for each message that the library took, once it says so. `received`: a line for each message
that arrived, written before the library is told that the application is done with it; a message that is given out again after a crash is looked up there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import meshnet

from commands import NodeWorker
from lines import say

#: Sends under way at once.
WINDOW = 64


class Ledger:
    """Lines of words, each written by one system call: the death of the process loses none that was written."""

    def __init__(self, path: Path) -> None:
        self.lines = path.read_text().splitlines() if path.exists() else []
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class Worker(NodeWorker):
    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self.delivered = 0
        self.failures: list[str] = []
        self.sizes: list[int] = []

    async def open(
        self, identity: str, ledgers: str | None = None, bootstrap: list[str] | None = None, port: int = 4001, discovery: str = "none",
        takes: bool = True, messages: dict[str, Any] | None = None, **options: Any,
    ) -> dict[str, object]:  # fmt: skip
        """Opens a node; `takes`: its messages are taken at once, and written down if there is a folder for ledgers."""
        for name in [name for name in os.environ if name.startswith("MESHNET_")]:
            del os.environ[name]
        os.environ["MESHNET_DISCOVERY_MODE"] = discovery
        keys = meshnet.Keypair.from_bytes(bytes.fromhex(identity))
        if messages is not None:
            options["messages"] = meshnet.MessageOptions(**messages)
        for name in ("Reconnect", "Keepalive"):
            if name.lower() in options:
                options[name.lower()] = getattr(meshnet, name)(**options[name.lower()])
        self.node = meshnet.Node(identity=keys, bootstrap_peers=bootstrap or [], listen_port=port, **options)
        await self.node.start()
        self.spawn(self.watch(self.node))
        self.folder = Path(ledgers) if ledgers else None
        if takes:
            self.spawn(self.take(self.node))
        return {"peer": self.node.peer_id, "listens": self.node.listen_addresses(), "t": time.monotonic()}

    async def watch(self, node: meshnet.Node) -> None:
        async for event in node:
            name = type(event).__name__
            if name in ("StreamOpened", "Identified", "Subscription"):
                continue
            fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
            plain = {name: value if isinstance(value, (int, float, str, type(None))) else str(value) for name, value in fields.items()}
            say(event=name, t=time.monotonic(), **plain)

    async def take(self, node: meshnet.Node) -> None:
        """Writes each message down, then is done with it."""
        ledger = Ledger(self.folder / "received") if self.folder else None
        known = {tuple(line.split()[:4]) for line in ledger.lines} if ledger else set()
        async for message in node.messages():
            self.received += 1
            self.sizes.append(message.size)
            if message.is_request:
                message.reply(message.data)
                continue
            if ledger is None:
                continue
            name = (message.peer_id, message.incarnation, str(int(message.lane)), str(message.sequence))
            if name in known:
                if not message.is_redelivered:
                    self.failures.append(f"{name} came twice")
                    ledger.write("DOUBLED", *name)
                continue
            known.add(name)
            ledger.write(*name, message.data[:64].decode(errors="replace").split("|")[0], "again" if message.is_redelivered else "first")

    async def flow(self, peer: str, prefix: str, first: int, count: int, size: int = 64, lanes: int = 3, pause: float = 0) -> int:
        """Sends messages `<prefix>-<number>`, from `first` on, with pauses between them, and writes down which were accepted; how many."""
        ledger = Ledger(self.folder / "accepted") if self.folder else None
        window = asyncio.Semaphore(WINDOW)

        async def one(number: int) -> None:
            try:
                text = f"{prefix}-{number}|".encode()
                ticket = await self.running.send(peer, text.ljust(size, b"."), lane=meshnet.Lane(number % lanes))
                if ledger is not None:
                    ledger.write(f"{prefix}-{number}")
                self.spawn(self.end(ticket))
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            finally:
                window.release()

        for number in range(first, first + count):
            await window.acquire()
            self.spawn(one(number))
            if pause:
                await asyncio.sleep(pause)
        for _ in range(WINDOW):
            await window.acquire()
        return count

    async def end(self, ticket: Any) -> None:
        try:
            await ticket
            self.delivered += 1
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")

    async def send(self, peer: str, text: str = "", size: int = 0, lane: int = 1, deadline: float | None = None, waits: bool = True) -> float:
        """Sends one message; when it is delivered (or accepted only), in seconds."""
        start = time.monotonic()
        ticket = await self.running.send(peer, text.encode().ljust(size, b"."), lane=meshnet.Lane(lane), deadline=deadline)
        if waits:
            await ticket
        else:
            self.spawn(self.end(ticket))
        return time.monotonic() - start

    async def send_file(self, peer: str, path: str, lane: int = 2) -> float:
        start = time.monotonic()
        ticket = await self.running.send_file(peer, path, lane=meshnet.Lane(lane))
        await ticket
        return time.monotonic() - start

    async def request(self, peer: str, text: str, timeout: float = 30) -> str:
        return (await self.running.request(peer, text.encode(), timeout=timeout)).data.decode()

    async def reconnect(self, peer: str, addresses: list[str]) -> None:
        await self.running.reconnect(peer, addresses)

    async def close_peer(self, peer: str, reason: str) -> None:
        await self.running.close_peer(peer, reason)

    async def state(self) -> dict[str, Any]:
        return {"received": self.received, "delivered": self.delivered, "failures": self.failures[:10], "sizes": self.sizes[-10:]}

    async def queued(self, peer: str) -> int:
        channel = await self.running.channel(peer)
        return sum(channel.queued_messages) if channel else 0

    async def peers(self) -> list[str]:
        return [peer.peer_id for peer in await self.running.peers()]

    async def listens(self) -> list[str]:
        return self.running.listen_addresses()


asyncio.run(Worker().serve())
