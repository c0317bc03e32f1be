"""`make run`: three nodes on this machine, in Swift, C and Python, find each other and talk.

They start without any address: mDNS and gossip bring them together, under a service tag of this run alone, so that strangers stay away. Where they
have not met after some seconds, it says why and starts them again with addresses. Each follows a topic, says hello to the others and answers their
hellos; what happens is shown as it happens, with the round trip of each hello, and at the end who heard whom. The exit status is 0 only if every node
received every message. Then each sends numbered messages to each of the others. The one in Python, which has a state directory, is killed with -9 in
the middle and started again; at the end all messages are there, once, or the exit status is not 0. With `--peers` they join real nodes elsewhere as
well, talk on a topic of their own, and the exit status is 0 only if one of those answered too.
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
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".build" / "run"
LIBRARY = ROOT / ".build" / "lib"
PYTHON = ROOT / ".build" / "venv" / "bin" / "python"
HELLOS = 3  # of each node
ITEMS = 200  # of each node to each other
SECONDS_MAX = 60
SECONDS_TO_MEET = 8  # far more than multicast on one machine takes
COLUMNS = {"swift": 33, "c": 32, "python": 36}  # terminal colours


@dataclass
class Program:
    name: str
    command: list[str]
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None
    peer: str = ""
    done: bool = False
    met: bool = False  # one of ours
    hellos: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    round_trips: list[float] = field(default_factory=list)
    #: By sender: how often each numbered message arrived, those said to be given again left out.
    items: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    given_again: int = 0
    queued: bool = False
    killed: bool = False

    @property
    def durable(self) -> bool:
        return "--state" in self.command

    def tell(self, line: str) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


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


def programs(peers: list[str], topic: str, with_addresses: bool, folder: Path) -> list[Program]:
    """With addresses, all are bootstrap peers of each other; without, only those elsewhere are given."""
    commands = {
        "swift": [str(ROOT / ".build" / "release" / "meshnet-cli"), "talk", "--json"],
        "c": [str(BUILT / "node")],
        "python": [str(PYTHON), str(ROOT / "python" / "examples" / "node.py"), "--key", str(folder / "key"), "--state", str(folder / "state")],
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
            case "item":
                items = node.items[event["from"]]
                # Of one that it was killed with in its hands it may have told nothing.
                if event["again"] and event["number"] in items:
                    node.given_again += 1
                else:
                    items[event["number"]] += 1
                if (event["number"] + 1) % 50 == 0:
                    self.show(node, f"has message {event['number'] + 1} of {ITEMS} of {who}")
            case "queued":
                node.queued = True
                self.show(node, f"has put {event['count']} messages into its queues")
            case "channel":
                again = f", messages sent again: {event['message_count']}" if "message_count" in event else ""
                self.show(node, f"channel with {who} {event['change']}{again}")
            case "done":
                node.done = True
                self.show(node, "has heard everybody")
            case other:
                self.show(node, f"{other}: {event.get('detail') or event.get('address') or ''}".rstrip(": "))


Events = queue.SimpleQueue[tuple[Program, "subprocess.Popen[str]", "dict[str, Any] | None"]]


def start(node: Program, environment: dict[str, str], events: Events, *options: str) -> None:
    process = subprocess.Popen([*node.command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment)
    node.process = process

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            # What kill -9 cut off is no line.
            if line.endswith("\n"):
                events.put((node, process, json.loads(line)))
        events.put((node, process, None))

    node.reader = threading.Thread(target=read, daemon=True)
    node.reader.start()


def kill_and_start_again(node: Program, environment: dict[str, str], events: Events, timeline: Timeline) -> None:
    """As a power cut would end it, in the middle of everything."""
    assert node.process is not None
    node.killed = True
    node.process.kill()
    node.process.wait()
    timeline.show(node, "is killed with -9, and started again")
    # It has said its hellos.
    start(node, environment, events, "--count", "0")


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
        if node.reader is not None:
            node.reader.join(5)


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
    return items_summary(nodes) and good


def items_arrived(nodes: list[Program]) -> bool:
    return all(len(node.items[other.peer]) == ITEMS for node in nodes for other in nodes if other is not node)


def items_summary(nodes: list[Program]) -> bool:
    """Whether every numbered message is there, once."""
    good = any(node.killed for node in nodes)
    for node in nodes:
        for other in nodes:
            if other is not node:
                counts = node.items[other.peer]
                missing, twice = ITEMS - len(counts), sum(count > 1 for count in counts.values())
                in_order = list(counts) == sorted(counts)
                good = good and not missing and not twice and in_order
                if missing or twice or not in_order:
                    print(f"{node.name:6}  {missing} missing and {twice} twice of {ITEMS} of {other.name}{'' if in_order else ', not in order'}")
    killed = next((node for node in nodes if node.killed), None)
    if killed is not None:
        print(f"{killed.name} was killed in the middle; messages given to it again, since it had not been done with them: {killed.given_again}")
    print(f"all {len(nodes) * (len(nodes) - 1) * ITEMS} messages to one peer are there, once" if good else "some messages to one peer are not there, or twice")
    return good


def diagnosis(environment: dict[str, str]) -> str:
    """What the doctor says of the sources that the nodes use."""
    command = [str(ROOT / ".build" / "release" / "meshnet-cli"), "doctor", "--seconds", "3"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout


class Play:
    """Runs the nodes until everything is heard."""

    def __init__(self, nodes: list[Program], environment: dict[str, str], peers: list[str], seconds_to_meet: float | None) -> None:
        self.nodes = nodes
        self.environment = environment
        self.peers = peers
        self.timeline = Timeline(nodes)
        self.events: Events = queue.SimpleQueue()
        self.deadline = time.monotonic() + SECONDS_MAX
        self.to_meet = self.deadline if seconds_to_meet is None else time.monotonic() + seconds_to_meet
        self.sending = False

    def run(self) -> bool:
        """False when they do not meet in time."""
        try:
            for node in self.nodes:
                start(node, self.environment, self.events)
            while not self.complete:
                limit = self.deadline if self.timeline.ours_have_met else min(self.deadline, self.to_meet)
                try:
                    self.take(timeout=max(0.0, limit - time.monotonic()))
                except queue.Empty:
                    if limit < self.deadline:
                        print(f"\nthe nodes did not find each other within {SECONDS_TO_MEET} s. The doctor says:\n{diagnosis(self.environment)}")
                        return False
                    print(f"not done after {SECONDS_MAX} s")
                    break
                self.go_on()
        except KeyboardInterrupt:
            print()
        finally:
            stop(self.nodes)
        # What they still had to say: a message that arrived twice, for example.
        while not self.events.empty():
            node, _, event = self.events.get()
            if event is not None:
                self.timeline.hear(node, event)
        return True

    @property
    def complete(self) -> bool:
        if not any(node.process is not None for node in self.nodes):
            return True
        return self.sending and items_arrived(self.nodes) and bool(self.timeline.elsewhere or not self.peers)

    def take(self, timeout: float) -> None:
        node, process, event = self.events.get(timeout=timeout)
        if event is not None:
            self.timeline.hear(node, event)
        elif node.process is process:
            node.process = None
            self.timeline.show(node, "ended")

    def go_on(self) -> None:
        """After the hellos the numbered messages, and in their middle the kill."""
        if not self.sending and all(node.done for node in self.nodes):
            self.sending = True
            for node in self.nodes:
                node.tell(" ".join(["send", str(ITEMS), *(other.peer for other in self.nodes if other is not node)]))
        for node in self.nodes:
            others = [other for other in self.nodes if other is not node]
            if node.durable and not node.killed and node.queued and all(len(node.items[other.peer]) >= ITEMS // 4 for other in others):
                kill_and_start_again(node, self.environment, self.events, self.timeline)


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
    with tempfile.TemporaryDirectory(prefix="meshnet-run-") as folder:
        play = Play(programs(peers, topic, False, Path(folder)), environment, peers, SECONDS_TO_MEET)
        if not play.run():
            print("started again, with addresses:\n")
            play = Play(programs(peers, topic, True, Path(folder)), environment, peers, None)
            play.run()
    good = summary(play.nodes)
    if peers:
        elsewhere = play.timeline.elsewhere
        print(f"joined {len(elsewhere)} elsewhere" if elsewhere else "none of the nodes elsewhere answered")
        good = good and bool(elsewhere)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
