"""The shared library as it is shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import ROOT, run

SIZE_MAX = 10_000_000  # bytes
# What a Debian machine has, and the six Debian packages that the README names.
NEEDED_ALLOWED = (
    r"libc\.so|libm\.so|libstdc\+\+\.so|libgcc_s\.so|ld-linux|libsodium\.so|libcrypto\.so|libcares\.so|"
    r"libcurl\.so|libjansson\.so|libsqlite3\.so|libpthread\.so|libdl\.so"
)


@pytest.fixture(scope="session")
def library() -> Path:
    found = sorted((ROOT / ".build").glob("lib/libmeshnet.so*"))
    assert found, "scripts/build-library.sh leaves libmeshnet.so in .build/lib"
    return found[0].resolve()


def test_is_small(library: Path) -> None:
    assert library.stat().st_size <= SIZE_MAX


def test_needs_only_what_a_machine_has(library: Path) -> None:
    needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", str(library)))
    assert [name for name in needed if not re.match(NEEDED_ALLOWED, name)] == []


def test_is_without_foundation(library: Path) -> None:
    assert b"FoundationEssentials" not in library.read_bytes()
    assert "libFoundation" not in run("ldd", str(library))


def test_is_without_the_runtime_of_tasks(library: Path) -> None:
    assert b"swift_task_" not in library.read_bytes()
    assert b"dispatch_queue" not in library.read_bytes()


def test_exports_its_own_names_only(library: Path) -> None:
    names = {line.split()[-1].split("@")[0] for line in run("nm", "-D", "--defined-only", "--extern-only", str(library)).splitlines()}
    assert names
    assert sorted(name for name in names if not name.startswith("meshnet_")) == []


def test_names_its_version_for_the_loader(library: Path) -> None:
    assert re.search(r"SONAME\s+libmeshnet\.so\.\d+$", run("objdump", "-p", str(library)), re.M)
