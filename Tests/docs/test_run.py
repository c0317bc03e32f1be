"""What `make run` does once everything is built: three nodes, in Swift, C and Python, talk, and its exit status tells whether all was heard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_three_nodes_in_three_languages_hear_each_other() -> None:
    done = subprocess.run([sys.executable, "scripts/run.py"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "every node received every message" in done.stdout
