"""Hosts, switches and routers as network namespaces of this machine; see `Lab`.

Everything of a lab is in namespaces of its own, the switches too: nothing is added to the network of the machine, and what
the kernel holds is gone with the namespaces. Names carry the process that made them, so that a later run finds and removes
what a crashed one left.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

PREFIX = "meshnet-lab-"
MDNS = "udp dport 5353"


class NoLab(Exception):
    """Namespaces cannot be had here; says why."""


def run(*command: str, stdin: str | None = None) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def started(pid: int) -> str | None:
    """When a process started, in ticks since boot: with the pid it names one process for good. None: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def remove_namespace(name: str) -> None:
    """Ends all that runs in it first: a namespace lives as long as a process does."""
    with contextlib.suppress(RuntimeError):
        for pid in run("ip", "netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "del", name)


def remove_leftovers() -> None:
    """Removes namespaces and folders whose maker is no more."""

    def abandoned(name: str) -> bool:
        pid, ticks = name.removeprefix(PREFIX).split("-")[:2]
        return started(int(pid)) != ticks

    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0] if line.split() else ""
        if name.startswith(PREFIX) and abandoned(name):
            remove_namespace(name)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if abandoned(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


class Namespace:
    """One network namespace."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.netns = f"{lab.prefix}{name}"
        run("ip", "netns", "add", self.netns)
        lab.namespaces.append(self)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments: str) -> str:
        return run("ip", "-n", self.netns, *arguments)

    def run(self, *command: str) -> str:
        return run("ip", "netns", "exec", self.netns, *command)

    def sysctl(self, *settings: str) -> None:
        """Such as net/ipv4/ip_forward=1."""
        script = "; ".join(f"echo {value} >/proc/sys/{path}" for path, value in (setting.split("=") for setting in settings))
        self.run("sh", "-c", f"set -e; {script}")

    def nft(self, *commands: str) -> None:
        run("ip", "netns", "exec", self.netns, "nft", "-f", "-", stdin="\n".join(commands) + "\n")


class Switch(Namespace):
    """A bridge: one subnet. It forwards at once, and every multicast packet to every port."""

    def __init__(self, lab: Lab, name: str) -> None:
        super().__init__(lab, name)
        self.ip("link", "add", "bridge0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        self.ip("link", "set", "bridge0", "up")

    def unplug(self, host: Host, interface: str = "eth0") -> None:
        """Pulls the cable: the host sees its carrier go."""
        self.ip("link", "set", host.port(interface), "down")

    def plug(self, host: Host, interface: str = "eth0") -> None:
        self.ip("link", "set", host.port(interface), "up")


class Host(Namespace):
    """A machine. Its processes see its own interfaces, name server, D-Bus and avahi-daemon, and the files of this machine."""

    def __init__(self, lab: Lab, name: str, forwards: bool = False) -> None:
        super().__init__(lab, name)
        self.folder = lab.folder / name
        for place in ("dbus", "avahi-daemon"):
            (self.folder / "run" / place).mkdir(parents=True)
        self.name_server("127.0.0.1")  # nobody, unless the test starts one there
        self._switches: dict[str, Switch] = {}
        # Addresses are there at once: nobody waits for the detection of duplicates.
        self.sysctl("net/ipv6/conf/all/accept_dad=0", "net/ipv6/conf/default/accept_dad=0", "net/ipv6/conf/default/accept_ra=0")
        if forwards:
            self.sysctl("net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1")
        self.nft(
            "table inet lab {",
            "  chain input { type filter hook input priority 0; }",
            "  chain output { type filter hook output priority 0; }",
            "}",
        )

    # Interfaces

    def port(self, interface: str) -> str:
        """The name of the switch's end of the cable: at most 15 bytes."""
        return f"{self.name[:10]}.{interface[-4:]}"

    def attach(self, switch: Switch, *addresses: str, interface: str = "eth0", mtu: int = 1500) -> None:
        """Adds an interface with these addresses, such as 10.0.0.1/24, plugged into the switch."""
        peer = self.port(interface)
        run(
            *("ip", "link", "add", interface, "netns", self.netns, "mtu", str(mtu), "type", "veth"),
            *("peer", "name", peer, "netns", switch.netns, "mtu", str(mtu)),
        )
        switch.ip("link", "set", peer, "master", "bridge0", "up")
        self._switches[interface] = switch
        self.add_addresses(*addresses, interface=interface)
        self.ip("link", "set", interface, "up")

    def detach(self, interface: str = "eth0") -> None:
        """Takes the interface out, for good."""
        self.ip("link", "del", interface)
        del self._switches[interface]

    def up(self, interface: str = "eth0") -> None:
        self.ip("link", "set", interface, "up")

    def down(self, interface: str = "eth0") -> None:
        """As an administrator does. It takes IPv6 addresses with it, as Linux does."""
        self.ip("link", "set", interface, "down")

    def unplug(self, interface: str = "eth0") -> None:
        self._switches[interface].unplug(self, interface)

    def plug(self, interface: str = "eth0") -> None:
        self._switches[interface].plug(self, interface)

    def add_addresses(self, *addresses: str, interface: str = "eth0") -> None:
        for address in addresses:
            options = ("nodad",) if ipaddress.ip_interface(address).version == 6 else ()
            self.ip("address", "add", address, "dev", interface, *options)

    def remove_addresses(self, *addresses: str, interface: str = "eth0") -> None:
        for address in addresses:
            self.ip("address", "del", address, "dev", interface)

    def default_route(self, *gateways: str) -> None:
        for gateway in gateways:
            version = "-6" if ipaddress.ip_address(gateway).version == 6 else "-4"
            self.ip(version, "route", "add", "default", "via", gateway)

    # Faults

    def drop_incoming(self, match: str, percent: int = 100) -> None:
        """Drops so many of the packets that match, such as `udp dport 5353`, before a socket gets them. Lasts until `drop_nothing`."""
        self._drop("input", match, percent)

    def drop_outgoing(self, match: str, percent: int = 100) -> None:
        self._drop("output", match, percent)

    def _drop(self, chain: str, match: str, percent: int) -> None:
        chance = "" if percent >= 100 else f"numgen random mod 100 < {percent}"
        self.nft(f"add rule inet lab {chain} {match} {chance} counter drop")

    def rule(self, chain: str, text: str) -> None:
        """Adds any other rule of nftables to `input` or `output`."""
        self.nft(f"add rule inet lab {chain} {text}")

    def drop_nothing(self) -> None:
        self.nft("flush chain inet lab input", "flush chain inet lab output")

    def dropped(self) -> int:
        """Packets that the rules have dropped."""
        words = run("ip", "netns", "exec", self.netns, "nft", "list", "table", "inet", "lab").split()
        return sum(int(words[index + 1]) for index, word in enumerate(words[:-1]) if word == "packets")

    # Processes

    def name_server(self, *addresses: str) -> None:
        """What /etc/resolv.conf says to processes that start from now on, and to those that read it again."""
        (self.folder / "resolv.conf").write_text("".join(f"nameserver {address}\n" for address in addresses))

    def command(self, *command: str) -> list[str]:
        """The command line that runs a command on this host, in the process that it starts."""
        mounts = [(self.folder / "run" / "dbus", "/run/dbus"), (self.folder / "run" / "avahi-daemon", "/run/avahi-daemon")]
        mounts.append((self.folder / "resolv.conf", "/etc/resolv.conf"))
        script = "".join(f"mount --bind '{ours}' '{theirs}' && " for ours, theirs in mounts)
        return ["ip", "netns", "exec", self.netns, "sh", "-c", script + 'exec "$@"', "sh", *command]

    def execute(self, *command: str, timeout: float = 60, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command on this host to its end; its exit status is for the caller to judge."""
        return subprocess.run(
            self.command(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, env=environment(env)
        )  # fmt: skip

    def addresses(self) -> set[str]:
        return set(self.run("sh", "-c", "ip -o address | awk '{print $4}' | cut -d/ -f1").split())


class Lab:
    """Namespaces with one life: `with Lab() as lab: lan = lab.switch("lan"); a = lab.host("a", lan, "10.0.0.1/24")`.

    Raises `NoLab` where they cannot be had.
    """

    def __init__(self) -> None:
        check()
        self.prefix = f"{PREFIX}{os.getpid()}-{started(os.getpid())}-{secrets.token_hex(2)}-"
        self.namespaces: list[Namespace] = []
        self.folder = Path(tempfile.mkdtemp(prefix=self.prefix))
        self.folder.chmod(0o755)

    def switch(self, name: str) -> Switch:
        return Switch(self, name)

    def host(self, name: str, switch: Switch | None = None, *addresses: str, forwards: bool = False) -> Host:
        """A host, plugged into the switch by eth0 with these addresses; one that forwards is a router."""
        host = Host(self, name, forwards)
        if switch is not None:
            host.attach(switch, *addresses)
        return host

    def hosts(self, count: int, switch: Switch, first: int = 1, ipv6: bool = True) -> list[Host]:
        """Hosts h1, h2 … with 10.77.0.1/24, fd77::1/64 and so on."""
        numbers = range(first, first + count)
        return [self.host(f"h{n}", switch, f"10.77.0.{n}/24", *([f"fd77::{n:x}/64"] if ipv6 else [])) for n in numbers]

    def close(self) -> None:
        for namespace in reversed(self.namespaces):
            remove_namespace(namespace.netns)
        self.namespaces.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def environment(extra: dict[str, str] | None) -> dict[str, str]:
    """That of this process without what would configure a node, and with what the caller gives."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MESHNET_")}
    return kept | (extra or {})


def check() -> None:
    """Raises `NoLab` with the reason where a lab cannot be had; removes what crashed runs left."""
    if os.geteuid() != 0:
        raise NoLab("network namespaces need root")
    for program in ("ip", "nft", "mount"):
        if shutil.which(program) is None:
            raise NoLab(f"{program} is not installed")
    remove_leftovers()
    probe = f"{PREFIX}{os.getpid()}-{started(os.getpid())}-probe"
    for place in ("/run/dbus", "/run/avahi-daemon"):
        Path(place).mkdir(parents=True, exist_ok=True)
    try:
        run("ip", "netns", "add", probe)
    except RuntimeError as error:
        raise NoLab(f"a network namespace cannot be made: {error}") from None
    try:
        needs: Iterable[tuple[str, ...]] = (
            ("ip", "-n", probe, "link", "add", "bridge0", "type", "bridge"),
            ("ip", "-n", probe, "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"),
            ("ip", "netns", "exec", probe, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"),
            ("ip", "netns", "exec", probe, "sh", "-c", "mount --bind /etc/hostname /etc/resolv.conf"),
            ("ip", "netns", "exec", probe, "nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; "
             "add rule inet t c udp dport 1 numgen random mod 100 < 20 drop"),
        )  # fmt: skip
        for command in needs:
            run(*command)
    except RuntimeError as error:
        raise NoLab(f"namespaces are incomplete here: {error}") from None
    finally:
        remove_namespace(probe)
