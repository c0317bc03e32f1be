"""`make run`: three nodes on this machine, in Swift, C and Python, find each other and talk.

They start without any address: mDNS and gossip bring them together, under a service tag of this run alone, so that strangers stay away. Where they
have not met after some seconds, it says why and starts them again with addresses. Each follows a topic, says hello to the others and answers their
hellos; what happens is shown as it happens, with the round trip of each hello, and at the end who heard whom. The exit status is 0 only if every node
received every message. With `--peers` they join real nodes elsewhere as well, talk on a topic of their own, and the exit status is 0 only if one of
those answered too.
"""

from __future__ import annotations

import argparse
import json
import os
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
SECONDS_TO_MEET = 8  # far more than multicast on one machine takes
COLUMNS = {"swift": 33, "c": 32, "python": 36}  # terminal colours


@dataclass
class Program:
    name: str
    command: list[str]
    process: subprocess.Popen[str] | None = None
    peer: str = ""
    done: bool = False
    met: bool = False  # one of ours
    hellos: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    round_trips: list[float] = field(default_factory=list)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def compile_c() -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / "node"
    flags = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Iinclude", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
    subprocess.run(["gcc", "bindings/c/examples/node.c", *flags, "-lmeshnet", "-o", str(program)], cwd=ROOT, check=True)


def programs(peers: list[str], topic: str, with_addresses: bool) -> list[Program]:
    """With addresses, all are bootstrap peers of each other; without, only those elsewhere are given."""
    commands = {
        "swift": [str(ROOT / ".build" / "release" / "meshnet-cli"), "talk", "--json"],
        "c": [str(BUILT / "node")],
        "python": [str(PYTHON), str(ROOT / "python" / "examples" / "node.py")],
    }
    ports = {name: free_port() if with_addresses else 0 for name in commands}
    found = []
    for name, command in commands.items():
        others = [f"/ip4/127.0.0.1/tcp/{port}" for other, port in ports.items() if with_addresses and other != name] + peers
        port, bootstrap = ("--listen-port", "--bootstrap-peers") if name == "swift" else ("--port", "--bootstrap")
        options = ["--name", name, port, str(ports[name]), "--count", str(HELLOS), "--topic", topic]
        if others:
            options += [bootstrap, ",".join(others)]
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

    @property
    def ours_have_met(self) -> bool:
        """Whether each of ours is connected with one of ours."""
        return all(node.met for node in self.nodes)

    def hear(self, node: Program, event: dict[str, Any]) -> None:
        who = self.name_of(event.get("peer") or event.get("from"))
        match event["event"]:
            case "started":
                node.peer = event["peer"]
                self.show(node, f"is {node.peer}")
            case "listening":
                self.show(node, f"listens on {event['address']}")
            case "discovery source":
                detail = f": {event['detail']}" if event.get("detail") else ""
                self.show(node, f"source {event['source']} is {event['state']}{detail}")
            case "discovered":
                self.show(node, f"found {who} by {event['source']}")
            case "connected":
                self.connected.add(event["peer"])
                node.met = node.met or event["peer"] in {other.peer for other in self.nodes}
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


def start(node: Program, environment: dict[str, str], events: queue.SimpleQueue[tuple[Program, dict[str, Any] | None]]) -> None:
    process = subprocess.Popen(node.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment)
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


def diagnosis(environment: dict[str, str]) -> str:
    """What the doctor says of the sources that the nodes use."""
    command = [str(ROOT / ".build" / "release" / "meshnet-cli"), "doctor", "--seconds", "3"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout


def play(nodes: list[Program], environment: dict[str, str], peers: list[str], seconds_to_meet: float | None) -> Timeline | None:
    """Runs the nodes until all are done; None when they do not meet in time."""
    timeline = Timeline(nodes)
    events: queue.SimpleQueue[tuple[Program, dict[str, Any] | None]] = queue.SimpleQueue()
    try:
        for node in nodes:
            start(node, environment, events)
        deadline = time.monotonic() + SECONDS_MAX
        to_meet = time.monotonic() + seconds_to_meet if seconds_to_meet is not None else deadline
        running = len(nodes)
        while running and not (all(node.done for node in nodes) and (timeline.elsewhere or not peers)):
            limit = deadline if timeline.ours_have_met else min(deadline, to_meet)
            try:
                node, event = events.get(timeout=max(0.0, limit - time.monotonic()))
            except queue.Empty:
                if limit < deadline:
                    print(f"\nthe nodes did not find each other within {SECONDS_TO_MEET} s. The doctor says:\n{diagnosis(environment)}")
                    return None
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
    return timeline


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="multiaddrs of real nodes to join as well, separated by commas")
    parser.add_argument("--discovery-mode", default="mdns,gossip", help="how the three find each other")
    arguments = parser.parse_args()
    peers = [peer for peer in arguments.peers.split(",") if peer]
    compile_c()
    # Nodes elsewhere may follow a known topic, and would be taken for one of ours to begin with.
    topic = f"meshnet-{secrets.token_hex(4)}" if peers else "meshnet"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MESHNET_")}
    environment = {**kept, "MESHNET_DISCOVERY_MODE": arguments.discovery_mode, "MESHNET_SERVICE_TAG": f"_run-{secrets.token_hex(4)}._udp"}
    nodes = programs(peers, topic, with_addresses=False)
    timeline = play(nodes, environment, peers, SECONDS_TO_MEET)
    if timeline is None:
        print("started again, with addresses:\n")
        nodes = programs(peers, topic, with_addresses=True)
        timeline = play(nodes, environment, peers, None)
    assert timeline is not None, "with addresses there is no time to meet in"
    good = summary(nodes)
    if peers:
        print(f"joined {len(timeline.elsewhere)} elsewhere" if timeline.elsewhere else "none of the nodes elsewhere answered")
        good = good and bool(timeline.elsewhere)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
