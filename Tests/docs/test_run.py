"""What `make run` does once everything is built: three nodes, in Swift, C and Python, talk, and its exit status tells whether all was heard."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_three_nodes_in_three_languages_hear_each_other() -> None:
    done = subprocess.run([sys.executable, "scripts/run.py"], cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "every node received every message" in done.stdout
    # One was killed with -9 and started again in the middle.
    assert "is killed with -9" in done.stdout and "messages to one peer are there, once" in done.stdout
    # Without any address: one found another, and nothing was started again.
    assert " by mdns" in done.stdout and "started again, with addresses" not in done.stdout


def test_where_they_cannot_find_each_other_it_says_why_and_uses_addresses() -> None:
    done = subprocess.run([sys.executable, "scripts/run.py", "--discovery-mode", "none"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "discovery is off" in done.stdout and "started again, with addresses" in done.stdout
    assert "every node received every message" in done.stdout


def test_they_join_a_node_elsewhere() -> None:
    elsewhere = subprocess.Popen(
        [ROOT / ".build" / "release" / "meshnet-cli", "run", "--json", "--topic", "meshnet"], stdout=subprocess.PIPE, text=True
    )
    assert elsewhere.stdout is not None
    try:
        listening = (json.loads(line) for line in elsewhere.stdout)
        address = next(event["address"] for event in listening if event["event"] == "listening" and "127.0.0.1" in event["address"])
        command = [sys.executable, "scripts/run.py", "--peers", address]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    finally:
        elsewhere.kill()
        elsewhere.wait()
        elsewhere.stdout.close()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "joined 1 elsewhere" in done.stdout
