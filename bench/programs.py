"""The programs that measurements run: how they are built and started, and what they say."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".build" / "bench"
LIBRARY = ROOT / ".build" / "lib"
PYTHON_PEER = Path(__file__).resolve().parent / "python_peer.py"
#: For the bench alone, in the private environment beside those of the tests.
PACKAGES = ("pyzmq==27.3.0", "eclipse-zenoh==1.10.2")


#: The commands that ran, each once, in order; for the report.
RAN: dict[str, None] = {}


class Unmeasured(Exception):
    """Why something cannot be measured here."""


def ran(command: Sequence[str]) -> None:
    RAN[shlex.join(word.replace(f"{ROOT}/", "") for word in command)] = None


def output(*command: str, environment: Mapping[str, str] = os.environ) -> str:
    ran(command)
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise Unmeasured(f"{' '.join(Path(word).name if '/' in word else word for word in command[:4])} ended with {done.returncode}: {words[0]}")
    return done.stdout


def build() -> None:
    """The programs of the limits and those of the C library."""
    BUILT.mkdir(parents=True, exist_ok=True)
    output("make", "--silent", "-C", "bench")
    flags = ["-O2", "-std=c11", "-Wall", "-Wextra", "-pthread", "-Iinclude", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
    for name in ("node", "messages", "gossip"):
        output("gcc", *flags, f"bench/{name}.c", "-lmeshnet", "-o", str(BUILT / name))


def build_counts() -> None:
    """The program that drives the engine in memory."""
    output("scripts/build-command.sh", "meshnet-counts")


def build_zeromq() -> None:
    if subprocess.run(["pkg-config", "--exists", "libzmq"]).returncode != 0:
        output("apt-get", "install", "-y", "-qq", "--no-install-recommends", "libzmq3-dev")
    output("gcc", "-O2", "-std=c11", "-Wall", "-Wextra", "bench/zmq.c", "-lzmq", "-o", str(BUILT / "zmq"))


def install_rivals() -> None:
    output(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES)


def answer(*command: str) -> dict[str, float]:
    """What a program says that prints one line of JSON."""
    said = json.loads(output(*command))
    assert isinstance(said, dict)
    return said


def pipeline(mode: str, *arguments: str) -> dict[str, float]:
    return answer(str(BUILT / "pipeline"), mode, *arguments)


def limits(cores: int, seconds: float) -> dict[str, float]:
    return answer(str(BUILT / "limits"), "--cores", str(cores), "--seconds", str(seconds))


def beside_limits(cores: int, seconds: float, measure: Callable[[], float]) -> tuple[float, dict[str, float]]:
    """What is measured, and the mean of the limits before and after it: here and there a processor changes its speed from one second to the next."""
    before = limits(cores, seconds / 2)
    measured = measure()
    after = limits(cores, seconds / 2)
    return measured, {name: (before[name] + after[name]) / 2 for name in before}


def counts(*arguments: str) -> dict[str, float]:
    return answer(str(ROOT / ".build" / "release" / "meshnet-counts"), *arguments)


def node(*arguments: str, environment: Mapping[str, str] = os.environ) -> list[int]:
    return [int(word) for word in output(str(BUILT / "node"), *arguments, environment=environment).split()]


def messages(*words: str) -> tuple[str, ...]:
    return (str(BUILT / "messages"), *words)


def zeromq(*words: str) -> tuple[str, ...]:
    return (str(BUILT / "zmq"), *words)


def python(kind: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, str(PYTHON_PEER), kind, *words)


@contextmanager
def started(*command: str, environment: Mapping[str, str] = os.environ) -> Iterator[subprocess.Popen[str]]:
    """A program with its input and output at hand, ended with the block."""
    ran(command)
    process = subprocess.Popen([*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = process.stdout.readline()
    if not said:
        raise Unmeasured(f"{process.args!r} ended")
    return said.strip()


@contextmanager
def serving(environment: Mapping[str, str] = os.environ) -> Iterator[tuple[int, str]]:
    """A listening node in a process of its own: its process id and address."""
    with started(str(BUILT / "node"), "serve", environment=environment) as process:
        yield process.pid, line(process).split()[1]


@contextmanager
def sink(*command: str) -> Iterator[tuple[str, ...]]:
    """The side that receives; the words that the other side needs."""
    with started(*command) as process:
        yield tuple(line(process).split())


@contextmanager
def certificate() -> Iterator[str]:
    """A folder with an authority and a certificate for this machine, which is thrown away."""
    with tempfile.TemporaryDirectory() as folder:

        def make(name: str, *options: str) -> None:
            files = ("-keyout", f"{folder}/{name}-key.pem", "-out", f"{folder}/{name}.pem")
            output("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *options, *files)

        make("ca", "-subj", "/CN=bench")
        make(
            *("leaf", "-subj", "/CN=localhost", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca-key.pem"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"),
        )
        yield folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
