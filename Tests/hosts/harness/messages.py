"""Two hosts that send messages to each other and write down what they got."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .lab import Host
from .program import Program

PORT = 4001


class Messenger(Program):
    """A process with a node that sends and takes messages."""

    script = "message_worker.py"


@dataclass
class Side:
    """One of the two: its host and files stay, its process may be killed and begun again."""

    host: Host
    folder: Path
    address: str
    #: Options of the node, in each of its lives.
    options: dict[str, Any] = field(default_factory=dict)
    durable: bool = True
    identity: str = field(default_factory=lambda: secrets.token_hex(32))
    lives: int = 0
    program: Messenger | None = None
    peer: str = ""

    @property
    def running(self) -> Messenger:
        assert self.program is not None
        return self.program

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self, other: Side | None = None, **more: Any) -> None:
        """Begins a life. `other`: where to look for the first contact."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lives += 1
        self.program = Messenger(self.host)
        self.program.ready()
        options = {"ledgers": str(self.folder), "port": PORT, **self.options, **more}
        if self.durable:
            options["state_dir"] = str(self.state)
        if other is not None:
            options["bootstrap"] = [f"/ip4/{other.address}/tcp/{PORT}"]
        self.peer = self.program.call("open", identity=self.identity, **options)["peer"]

    def kill(self) -> None:
        self.running.kill()
        self.running.close()
        self.program = None

    def close(self) -> None:
        if self.program is not None:
            self.program.close()
            self.program = None

    def call(self, do: str, **arguments: object) -> Any:
        return self.running.call(do, **arguments)

    def accepted(self) -> list[str]:
        path = self.folder / "accepted"
        return path.read_text().split() if path.exists() else []

    def received(self) -> list[list[str]]:
        """Peer, incarnation, lane, number, text, and whether it came for the first time."""
        path = self.folder / "received"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def texts(self) -> list[str]:
        return [words[4] for words in self.received() if words[0] != "DOUBLED"]


def lost(sender: Side, receiver: Side) -> list[str]:
    """What the sender was told is accepted and the receiver has not got."""
    return sorted(set(sender.accepted()) - set(receiver.texts()))


def doubled(receiver: Side) -> list[str]:
    """What the receiver got more than once, redelivered ones that it could tell by their name left out."""
    twice = [text for text, count in Counter(receiver.texts()).items() if count > 1]
    return twice + [" ".join(words) for words in receiver.received() if words[0] == "DOUBLED"]
