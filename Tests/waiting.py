"""Waiting for a condition with a deadline, so that no test sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NotInTime(AssertionError):
    pass


def eventually(condition: Callable[[], T], what: str, seconds: float = 10.0, state: Callable[[], object] | None = None) -> T:
    """The first true value of `condition`; after `seconds` fails with `what` and the last state seen."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            seen = state() if state is not None else value
            raise NotInTime(f"not within {seconds:g} s: {what}; last seen: {seen!r}")
        time.sleep(0.01)


def holds(condition: Callable[[], bool], what: str, seconds: float, state: Callable[[], object] | None = None) -> None:
    """Fails when the condition is false at any time in these seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            raise NotInTime(f"no longer: {what}; seen: {state() if state is not None else None!r}")
        time.sleep(0.02)
