"""The examples run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from support import PATIENCE

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_quickstart() -> None:
    result = subprocess.run([sys.executable, "-W", "error", str(EXAMPLES / "quickstart.py")], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].endswith("hello, mesh")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("0.0.0.0", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def start_node(name: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "node.py"), "--name", name, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_three_nodes_say_hello() -> None:
    ports = free_ports(2)
    first, second = (f"/ip4/127.0.0.1/tcp/{port}" for port in ports)
    common = ["--count", "5", "--seconds", str(PATIENCE)]
    nodes = [
        start_node("one", "--port", str(ports[0]), *common),
        start_node("two", "--port", str(ports[1]), "--bootstrap", first, *common),
        start_node("three", "--bootstrap", f"{first},{second}", *common),
    ]
    try:
        lines: list[list[dict[str, object]]] = [[], [], []]
        for node, told in zip(nodes, lines):
            assert node.stdout is not None
            for line in node.stdout:
                told.append(json.loads(line))
                if told[-1]["event"] == "done":
                    break
        for node, told in zip(nodes, lines):
            _, errors = node.communicate("", timeout=PATIENCE)
            assert node.returncode == 0, errors
            assert [entry["event"] for entry in told].count("round trip") == 10
            assert [entry["event"] for entry in told].count("message") >= 10
            assert {"time", "node", "event"} <= set(told[0]) and told[0]["event"] == "started"
    finally:
        for node in nodes:
            node.kill()
            node.wait()
            for pipe in (node.stdin, node.stdout, node.stderr):
                assert pipe is not None
                pipe.close()


def test_a_node_alone_is_not_done() -> None:
    node = start_node("alone", "--seconds", "30")
    out, errors = node.communicate("", timeout=PATIENCE)
    assert node.returncode == 1, errors
    assert json.loads(out.splitlines()[0])["event"] == "started"
