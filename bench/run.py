"""`make bench`: the table of the race. What two nodes on this machine reach, beside what the machine can do and beside others.

All that is compared runs in turn, round by round, in one run, so that a busy neighbour slows all of it. Medians over the rounds, with the
lowest and highest; a ratio is that of each round.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import costs
import hosts
import programs
import streams
import talk
from rows import GROUPS
from streams import Settings
from table import Row, summary, table

MEASUREMENTS: Mapping[str, Callable[[Mapping[str, Row], Settings], None]] = {
    "streams": streams.streams,
    "bulk": streams.bulk,
    "link": streams.link,
    "messages-native": talk.messages_native,
    "messages-python": talk.messages_python,
    "round-trip": talk.round_trip,
    "round-trip-python": talk.round_trip_python,
    "gossip": talk.gossip,
    "handshakes": streams.handshakes,
    "counts": costs.counts,
    "memory": costs.memory,
    "idle": costs.idle,
    "library": costs.library,
    "control": talk.control,
    "control-link": hosts.control_link,
    "return": hosts.returning,
    "discovery": hosts.discovery,
}
QUICK = Settings(rounds=3, divisor=8, runs=3)


def first_line(*command: str) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    except OSError:
        return "absent"
    return said[0].strip() if said else "absent"


def package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def machine() -> dict[str, Any]:
    cpu = next((text.split(":")[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name")), "")
    return {
        "cpu": cpu or platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": first_line("git", "-C", str(programs.ROOT), "rev-parse", "--short", "HEAD"),
        "versions": {
            "Python": platform.python_version(),
            "OpenSSL": first_line("openssl", "version"),
            "libsodium": first_line("pkg-config", "--modversion", "libsodium"),
            "libzmq": first_line("pkg-config", "--modversion", "libzmq"),
            **{name: package(name) for name in ("meshnet", "pyzmq", "eclipse-zenoh")},
        },
        "command": shlex.join(["make", "bench", f"BENCH={shlex.join(sys.argv[1:])}"]),
    }


def described(here: Mapping[str, Any]) -> str:
    return f"{here['cpu']}, {here['cores']} cores, Linux {here['kernel']}, load {here['load']:.2f} at the start; commit {here['commit']}"


def fill(group: str, rows: Sequence[Row], settings: Settings) -> None:
    try:
        MEASUREMENTS[group]({row.key: row for row in rows}, settings)
    except (programs.Unmeasured, subprocess.CalledProcessError, OSError) as reason:
        for row in rows:
            if not row.samples:
                row.reason = str(reason)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", help="measurements or rows by name, all when none is named: " + " ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help=f"{QUICK.rounds} rounds of an eighth of the work")
    parser.add_argument("--rounds", type=int, help=f"{Settings.rounds}, of which medians are taken")
    parser.add_argument("--runs", type=int, help=f"of discovery, {Settings.runs}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample, and what they were measured with and on")
    parser.add_argument("--renew", action="store_true", help="keep the counts of now as the baseline of `make test`, in bench/baseline.json")
    return parser.parse_args()


def main() -> None:
    # What is measured is between the nodes at hand; the measurement of discovery says itself which modes it wants.
    os.environ["MESHNET_DISCOVERY_MODE"] = "none"
    options = arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    programs.build()
    if options.renew:
        import counting

        return counting.renew()
    base = QUICK if options.quick else Settings()
    settings = Settings(options.rounds or base.rounds, base.divisor, options.runs or base.runs)
    groups = {name: make() for name, make in GROUPS.items()}
    known = {*groups, *(row.key for rows in groups.values() for row in rows)}
    if unknown := set(options.only) - known:
        sys.exit(f"bench: nothing is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")

    here, found, commands = machine(), [], {}
    print(described(here), flush=True)
    for name, rows in groups.items():
        wanted = [row for row in rows if not options.only or {name, row.key} & set(options.only)]
        if not wanted:
            continue
        start = time.monotonic()
        programs.RAN.clear()
        fill(name, rows, settings)
        print(f"  {name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        found += wanted
        commands[name] = list(programs.RAN)
    # Only now are the packages of the rivals there.
    here["versions"] = machine()["versions"]
    print(", ".join(f"{name} {version}" for name, version in here["versions"].items()))
    print(table(found))
    print(summary(found))
    if options.json:
        report = {"machine": here, "settings": vars(settings), "commands": commands, "rows": [row.data() for row in found]}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
