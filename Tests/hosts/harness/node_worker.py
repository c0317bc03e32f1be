"""meshnet nodes, one at a time, through the Python package, driven by JSON lines on its standard input; see node.py."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import os
import time
from typing import Any

import meshnet

from commands import NodeWorker
from lines import say

TIMEOUT = 30.0


def plain(value: Any) -> Any:
    """A value of the package as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return value


class Worker(NodeWorker):
    def __init__(self) -> None:
        super().__init__()
        self.identity = meshnet.Keypair.generate()

    async def watch(self, node: meshnet.Node) -> None:
        async for event in node:
            name = type(event).__name__
            if name in ("StreamOpened", "Identified"):
                continue
            say(**(plain(event) | {"event": name, "t": time.monotonic()}))

    async def open(self, env: dict[str, str], identity: str | None = None, **options: Any) -> dict[str, object]:
        """Opens a node with these options and variables, and with a new identity, the last one ("same"), or the one given as hex."""
        for name in [name for name in os.environ if name.startswith("MESHNET_")]:
            del os.environ[name]
        os.environ.update(env)
        for name, (kind, fields) in options.pop("objects", {}).items():
            options[name] = getattr(meshnet, kind)(**fields)
        if identity != "same":
            self.identity = meshnet.Keypair.generate() if identity is None else meshnet.Keypair.from_bytes(bytes.fromhex(identity))
        self.node = meshnet.Node(**{"identity": self.identity, "bootstrap_peers": [], "listen_port": 0, **options})
        opened = time.monotonic()
        await self.node.start()
        self.spawn(self.watch(self.node))
        return {"peer": self.node.peer_id, "listens": self.node.listen_addresses(), "t": opened}

    async def secret_identity(self) -> str:
        return self.identity.to_bytes().hex()

    async def listens(self) -> list[str]:
        return self.running.listen_addresses()

    async def peers(self) -> list[dict[str, Any]]:
        return [plain(peer) for peer in await self.running.peers()]

    async def connect(self, address: str, timeout: float = TIMEOUT) -> str:
        return await self.running.connect(address, timeout=timeout)

    async def disconnect(self, peer: str) -> None:
        await self.running.disconnect(peer)

    async def ping(self, peer: str, timeout: float = TIMEOUT) -> float:
        return await self.running.ping(peer, timeout=timeout)

    async def add_bootstrap_peer(self, address: str) -> None:
        await self.running.add_bootstrap_peer(address)

    async def call(self, method: str, *, arguments: list[Any] | None = None, options: dict[str, Any] | None = None) -> Any:
        """Any other method of the node."""
        return plain(await getattr(self.running, method)(*(arguments or []), **(options or {})))


asyncio.run(Worker().serve())
