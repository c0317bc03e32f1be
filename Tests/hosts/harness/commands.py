"""What the workers have in common: commands as JSON lines on their standard input, answers and events as lines on their standard output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

import meshnet

from lines import say


class NodeWorker:
    """Each command is a method: its arguments are the fields of the line beside `do` and `id`."""

    def __init__(self) -> None:
        self.node: meshnet.Node | None = None
        self.tasks: set[asyncio.Task[Any]] = set()

    @property
    def running(self) -> meshnet.Node:
        if self.node is None:
            raise RuntimeError("no node is open")
        return self.node

    def spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        node, self.node = self.node, None
        if node is not None:
            await node.close()

    async def answer(self, request: dict[str, Any]) -> None:
        number = request.pop("id")
        try:
            say(id=number, ok=await getattr(self, request.pop("do"))(**request))
        except Exception as error:
            say(id=number, error=f"{type(error).__name__}: {error}")

    async def serve(self) -> None:
        """Until the driver goes; then the process ends."""
        say(event="ready")
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            self.spawn(self.answer(json.loads(line)))
        with contextlib.suppress(Exception):
            await self.close()
        os._exit(0)
