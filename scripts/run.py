"""`make run`: three nodes on this machine, in Swift, C and Python, find each other and talk.

Each follows a topic, says hello to the others and answers their hellos; what happens is shown as it happens, with the round trip of each hello,
and at the end who heard whom. The exit status is 0 only if every node received every message. With `--peers` they join real nodes elsewhere as
well, talk on a topic of their own, and the exit status is 0 only if one of those answered too.
"""

from __future__ import annotations

import argparse
import json
import queue
import secrets
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".build" / "run"
LIBRARY = ROOT / ".build" / "lib"
PYTHON = ROOT / ".build" / "venv" / "bin" / "python"
HELLOS = 3  # of each node
SECONDS_MAX = 25
COLUMNS = {"swift": 33, "c": 32, "python": 36}  # terminal colours


@dataclass
class Program:
    name: str
    command: list[str]
    process: subprocess.Popen[str] | None = None
    peer: str = ""
    done: bool = False
    hellos: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    round_trips: list[float] = field(default_factory=list)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def compile_c() -> str:
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / "node"
    flags = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Iinclude", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
    subprocess.run(["gcc", "bindings/c/examples/node.c", *flags, "-lmeshnet", "-o", str(program)], cwd=ROOT, check=True)
    return str(program)


def programs(peers: list[str]) -> list[Program]:
    """The first listens where the others look for it; they find each other because all are bootstrap peers of each other."""
    commands = {
        "swift": [str(ROOT / ".build" / "release" / "meshnet-cli"), "talk", "--json"],
        "c": [compile_c()],
        "python": [str(PYTHON), str(ROOT / "python" / "examples" / "node.py")],
    }
    ports = {name: free_port() for name in commands}
    # Those elsewhere may follow a known topic, and would be taken for one of ours to begin with.
    topic = f"meshnet-{secrets.token_hex(4)}" if peers else "meshnet"
    found = []
    for name, command in commands.items():
        others = [f"/ip4/127.0.0.1/tcp/{port}" for other, port in ports.items() if other != name] + peers
        port, bootstrap = ("--listen-port", "--bootstrap-peers") if name == "swift" else ("--port", "--bootstrap")
        options = ["--name", name, port, str(ports[name]), bootstrap, ",".join(others), "--count", str(HELLOS)]
        options += ["--topic", topic]
        found.append(Program(name, [*command, *options, "--peers", str(len(commands) - 1), "--seconds", str(SECONDS_MAX)]))
    return found


class Timeline:
    def __init__(self, nodes: list[Program]) -> None:
        self.nodes = nodes
        self.start = time.monotonic()
        self.coloured = sys.stdout.isatty()
        self.connected: set[str] = set()

    @property
    def elsewhere(self) -> set[str]:
        """Peers that are none of ours. All of ours have told their ids when this is asked."""
        return self.connected - {node.peer for node in self.nodes}

    def name_of(self, peer: str | None) -> str:
        return next((node.name for node in self.nodes if node.peer and node.peer == peer), (peer or "?")[-8:])

    def show(self, node: Program, text: str) -> None:
        name = f"{node.name:6}"
        if self.coloured:
            name = f"\033[{COLUMNS[node.name]}m{name}\033[0m"
        print(f"{time.monotonic() - self.start:7.3f} s  {name}  {text}", flush=True)

    def hear(self, node: Program, event: dict[str, Any]) -> None:
        who = self.name_of(event.get("peer") or event.get("from"))
        match event["event"]:
            case "started":
                node.peer = event["peer"]
                self.show(node, f"is {node.peer}")
            case "listening":
                self.show(node, f"listens on {event['address']}")
            case "connected":
                self.connected.add(event["peer"])
                way = "dialled" if event.get("direction") == "outbound" else "was dialled by"
                self.show(node, f"{way} {who} at {event['address']}")
            case "disconnected":
                self.show(node, f"lost {who}: {event.get('cause')}")
            case "identified":
                self.show(node, f"learned that {who} is {event.get('agent')}")
            case "subscription":
                self.show(node, f"knows that {who} {'follows' if event.get('subscribed') else 'left'} the topic {event.get('topic')!r}")
            case "message":
                node.hellos[event["from"]] += 1
                self.show(node, f"received {event['text']!r} of {who}")
            case "round trip":
                node.round_trips.append(event["milliseconds"])
                self.show(node, f"got its hello {event['number']} answered by {who}, round trip {event['milliseconds']:.2f} ms")
            case "done":
                node.done = True
                self.show(node, "has heard everybody")
            case other:
                self.show(node, f"{other}: {event.get('detail') or event.get('address') or ''}".rstrip(": "))


def start(node: Program, events: queue.SimpleQueue[tuple[Program, dict[str, Any] | None]]) -> None:
    process = subprocess.Popen(node.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    node.process = process

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            events.put((node, json.loads(line)))
        events.put((node, None))

    threading.Thread(target=read, daemon=True).start()


def stop(nodes: list[Program]) -> None:
    """The end of their input ends the programs."""
    for node in nodes:
        if node.process is not None and node.process.stdin is not None:
            node.process.stdin.close()
    for node in nodes:
        if node.process is not None:
            try:
                node.process.wait(5)
            except subprocess.TimeoutExpired:
                node.process.kill()


def summary(nodes: list[Program]) -> bool:
    """Whether every node received every message."""
    good = True
    print()
    for node in nodes:
        others = [other for other in nodes if other is not node]
        heard = ", ".join(f"{node.hellos.get(other.peer, 0)} of {HELLOS} from {other.name}" for other in others)
        trips = "no answer"
        if times := node.round_trips:
            trips = f"round trips {min(times):.2f} to {max(times):.2f} ms, median {statistics.median(times):.2f} ms"
        complete = node.done and all(node.hellos.get(other.peer, 0) == HELLOS for other in others)
        good = good and complete
        print(f"{node.name:6}  received {heard}; {trips}; {'complete' if complete else 'INCOMPLETE'}")
    print("every node received every message" if good else "some messages did not arrive")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="multiaddrs of real nodes to join instead, separated by commas")
    peers = [peer for peer in parser.parse_args().peers.split(",") if peer]
    nodes = programs(peers)
    timeline = Timeline(nodes)
    events: queue.SimpleQueue[tuple[Program, dict[str, Any] | None]] = queue.SimpleQueue()
    try:
        for node in nodes:
            start(node, events)
        deadline = time.monotonic() + SECONDS_MAX
        running = len(nodes)
        while running and not (all(node.done for node in nodes) and (timeline.elsewhere or not peers)):
            try:
                node, event = events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                print(f"not done after {SECONDS_MAX} s")
                break
            if event is None:
                running -= 1
                timeline.show(node, "ended")
            else:
                timeline.hear(node, event)
    except KeyboardInterrupt:
        print()
    finally:
        stop(nodes)
    good = summary(nodes)
    if peers:
        print(f"joined {len(timeline.elsewhere)} elsewhere" if timeline.elsewhere else "none of the nodes elsewhere answered")
        good = good and bool(timeline.elsewhere)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
