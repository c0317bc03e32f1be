"""What a worker says to its driver: a JSON object on a line."""

from __future__ import annotations

import json
import sys


def say(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
