"""A peer in a Python process of its own that speaks JSON lines: a request `{"id", "do", …}` is answered by
`{"id", "ok"}` or `{"id", "error"}`; `{"event": …}` comes by itself, first of all `ready`. Bytes travel as hex."""

from __future__ import annotations

import itertools
import json
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from .peer import Identity, Peer, Received

TIMEOUT = 60.0


class WorkerPeer(Peer):
    script: str

    def __init__(self, *arguments: str) -> None:
        super().__init__()
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._ready: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._log = tempfile.TemporaryFile()
        self._writing = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(Path(__file__).with_name(self.script)), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, bufsize=1,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            ready = self._ready.get(timeout=TIMEOUT)
            if "error" in ready:
                raise RuntimeError(f"the {self.kind} peer did not start: {ready['error']}\n{self.log()}")
        except queue.Empty:
            log = self.log()
            self.close()
            raise RuntimeError(f"the {self.kind} peer did not start within {TIMEOUT:g} s:\n{log}") from None
        except BaseException:
            self.close()
            raise
        self.peer_id = ready["peer"]
        self.address = ready["address"]
        self.agent = ready["agent"]

    def log(self) -> str:
        if self._log.closed:
            return "(its log is closed)"
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-10_000:]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            match answer.get("event"):
                case "ready":
                    self._ready.put(answer)
                case "message":
                    self._deliver(Received(answer["origin"], answer["topic"], bytes.fromhex(answer["data"])))
                case _:
                    self._answers.pop(answer["id"]).put(answer)
        ended: dict[str, Any] = {"error": "its process ended"}
        self._ready.put(ended)
        for waiting in list(self._answers.values()):
            waiting.put(ended)

    def _call(self, do: str, **arguments: object) -> Any:
        number = next(self._numbers)
        answer: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._answers[number] = answer
        assert self._process.stdin is not None
        with self._writing:
            self._process.stdin.write(json.dumps({"id": number, "do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        try:
            got = answer.get(timeout=TIMEOUT)
        except queue.Empty:
            raise RuntimeError(f"{self.kind}: no answer to {do} within {TIMEOUT:g} s\n{self.log()}") from None
        if "error" in got:
            raise RuntimeError(f"{self.kind}: {do}: {got['error']}")
        return got["ok"]

    def connect(self, address: str) -> None:
        self._call("connect", address=address)

    def connected(self) -> set[str]:
        return set(self._call("connected"))

    def identify(self, peer: str) -> Identity:
        got = self._call("identify", peer=peer)
        return Identity(got["agent"], frozenset(got["protocols"]), frozenset(got["addresses"]), got["observed"])

    def ping(self, peer: str) -> float:
        return float(self._call("ping", peer=peer))

    def subscribe(self, topic: str) -> None:
        self._call("subscribe", topic=topic)

    def publish(self, topic: str, data: bytes) -> None:
        self._call("publish", topic=topic, data=data.hex())

    def topic_peers(self, topic: str) -> set[str]:
        return set(self._call("topic_peers", topic=topic))

    def perf(self, peer: str, upload: int, download: int) -> None:
        self._call("perf", peer=peer, upload=upload, download=download)

    def echo(self, peer: str, data: bytes) -> bytes:
        return bytes.fromhex(self._call("echo", peer=peer, data=data.hex()))

    def close(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except OSError:
                pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


class PyPeer(WorkerPeer):
    """py-libp2p."""

    kind = "py"
    script = "py_worker.py"


class OurPeer(WorkerPeer):
    """meshnet, through its Python package."""

    kind = "ours"
    script = "our_worker.py"

    def publish_retained(self, topic: str, data: bytes) -> None:
        self._call("publish_retained", topic=topic, data=data.hex())
