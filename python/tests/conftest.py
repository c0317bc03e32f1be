"""Runs tests that are coroutines, each in a loop of its own and not for ever."""

from __future__ import annotations

import asyncio
import inspect
import os

import pytest

from support import PATIENCE

# Nodes of tests must not meet strangers; tests of discovery say which modes they want.
os.environ["MESHNET_DISCOVERY_MODE"] = "none"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def bounded() -> None:
        await asyncio.wait_for(pyfuncitem.obj(**arguments), PATIENCE)

    asyncio.run(bounded())
    return True
