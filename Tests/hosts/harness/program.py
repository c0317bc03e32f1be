"""A Python program on a host that speaks JSON lines: a request `{"id", "do", …}` is answered by `{"id", "ok"}` or
`{"id", "error"}`; `{"event": …}` comes by itself, first of all `ready`."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent import futures
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from .lab import Host, environment

TIMEOUT = 60.0  # seconds, for any answer


class Program:
    script: str

    def __init__(self, host: Host, *arguments: str) -> None:
        self.host = host
        self._numbers = itertools.count(1)
        self._answers: dict[int, Future[Any]] = {}
        self._ready: Future[Any] = Future()
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            host.command(sys.executable, "-X", "faulthandler", str(Path(__file__).with_name(self.script)), *arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, bufsize=1, env=environment(None),
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def name(self) -> str:
        return f"{type(self).__name__} on {self.host.name}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> dict[str, Any]:
        """Waits until it has started; its first words."""
        words: dict[str, Any] = self._result(self._ready, "start")
        return words

    def log(self) -> str:
        if self._log.closed:
            return "(its log is closed)"
        return os.pread(self._log.fileno(), 20_000, max(0, os.fstat(self._log.fileno()).st_size - 20_000)).decode(errors="replace")

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What it told by itself, in order; `t` is when, on the clock of `time.monotonic`."""
        with self._lock:
            return [event for event in self._events if kind is None or event["event"] == kind]

    def start(self, do: str, **arguments: object) -> Future[Any]:
        """Sends a request; its answer comes later, or RuntimeError in the words of the program."""
        answer: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._answers[number] = answer
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps({"id": number, "do": do, **arguments}) + "\n")
                self._process.stdin.flush()
            except OSError as error:
                answer.set_exception(RuntimeError(f"{self.name} has ended: {error.strerror}"))
        return answer

    def call(self, do: str, **arguments: object) -> Any:
        return self._result(self.start(do, **arguments), do)

    def _result(self, answer: Future[Any], what: str) -> Any:
        try:
            return answer.result(TIMEOUT)
        except futures.TimeoutError:
            raise RuntimeError(f"{self.name}: {what}: no answer within {TIMEOUT:g} s\n{self.log()}") from None
        except RuntimeError as error:
            raise RuntimeError(f"{self.name}: {what}: {error}\n{self.log()}") from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # a library that prints
            if answer.get("event") == "ready":
                self._ready.set_result(answer)
            elif "event" in answer:
                with self._lock:
                    self._events.append(answer)
            else:
                waiting = self._answers.pop(answer["id"])
                if "error" in answer:
                    waiting.set_exception(RuntimeError(answer["error"]))
                else:
                    waiting.set_result(answer["ok"])
        for waiting in [self._ready, *self._answers.values()]:
            if not waiting.done():
                waiting.set_exception(RuntimeError("its process ended"))

    def suspend(self) -> None:
        """As a laptop whose lid is closed: the process stands still, its sockets stay."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Without a goodbye, as a crash."""
        self._process.kill()
        self._process.wait()

    def cpu_seconds(self) -> float:
        """Processor time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no VmRSS of {self.name}")

    def close(self) -> None:
        """Ends the process: in order while it can, and in any case."""
        if self._log.closed:
            return
        if self._process.poll() is None:
            self.resume()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
