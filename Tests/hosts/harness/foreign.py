"""Others that speak mDNS on a host: py-libp2p, python-zeroconf, and Avahi; and a name server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from waiting import eventually

from .lab import Host, environment
from .program import Program


CONTROL_SERVER = Path(__file__).parents[2] / "control" / "control_server.py"


class PyPeer(Program):
    """py-libp2p with its own mDNS. It dials whom it finds, once."""

    script = "py_worker.py"

    def __init__(self, host: Host, address: str) -> None:
        super().__init__(host, f"/ip4/{address}/tcp/4001")
        self.peer_id = str(self.ready()["peer"])

    def connected(self) -> set[str]:
        return set(self.call("connected"))

    def found(self) -> set[str]:
        """The peers that its mDNS has told it of."""
        return {event["peer"] for event in self.events("found")}


class Zeroconf(Program):
    """python-zeroconf: what any program sees that is no libp2p node."""

    script = "zeroconf_worker.py"

    def __init__(self, host: Host, address: str, service: str = "_p2p._udp.local.") -> None:
        super().__init__(host, address, service)
        self.ready()

    def announce(self, address: str, port: int, texts: dict[str, str]) -> str:
        return str(self.call("announce", address=address, port=port, texts=texts))

    def peers(self) -> set[str]:
        """The peer ids in what was found so far."""
        texts = [value for event in self.events("found") for value in event["texts"].values() if value]
        return {text.rsplit("/p2p/", 1)[1] for text in texts if "/p2p/" in text}


class Daemon:
    """A server on a host, whose output goes to a log."""

    def __init__(self, host: Host, name: str, *command: str) -> None:
        self.host = host
        self.name = name
        self.log = host.folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                host.command(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment(None)
            )  # fmt: skip

    def running(self) -> bool:
        return self._process.poll() is None

    def words(self) -> str:
        return self.log.read_text(errors="replace")[-5_000:]

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""

AVAHI = """[server]
host-name={name}
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
ratelimit-interval-usec=1000000
ratelimit-burst=1000
[publish]
publish-hinfo=no
publish-workstation=no
"""


class Avahi:
    """A system bus and an avahi-daemon of this host's own."""

    def __init__(self, host: Host) -> None:
        self.host = host
        bus, self._configuration = host.folder / "bus.conf", host.folder / "avahi.conf"
        bus.write_text(BUS)
        self._configuration.write_text(AVAHI.format(name=host.name))
        self._bus = Daemon(host, "dbus", "dbus-daemon", f"--config-file={bus}", "--nofork", "--nopidfile")
        socket = host.folder / "run" / "dbus" / "system_bus_socket"
        eventually(socket.exists, "the bus listens", state=self._bus.words)
        self._daemon: Daemon | None = None
        self.start()

    def start(self) -> None:
        self._daemon = Daemon(
            self.host, "avahi", "avahi-daemon", f"--file={self._configuration}", "--no-drop-root", "--no-chroot", "--no-rlimits"
        )  # fmt: skip
        eventually(self.answers, "avahi-daemon answers", state=self._daemon.words)

    def answers(self) -> bool:
        return self.host.execute("avahi-browse", "--terminate", "--ignore-local", "_p2p._udp").returncode == 0

    def browse(self, service: str = "_p2p._udp") -> str:
        """What `avahi-browse` knows now, one line for each service, fields parted by semicolons."""
        return self.host.execute("avahi-browse", "--terminate", "--resolve", "--parsable", service).stdout

    def stop(self) -> None:
        """The daemon; the bus stays."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def close(self) -> None:
        self.stop()
        self._bus.stop()


class NameServer:
    """dnsmasq on port 53 of a host, with records that the test names."""

    def __init__(self, host: Host, address: str) -> None:
        self.host = host
        self.address = address
        self._daemon: Daemon | None = None
        self._records: list[str] = []

    def serve(self, *records: str) -> None:
        """Serves these from now on, such as `host-record=name,10.0.0.1`, `srv-host=…` and `txt-record=…`: options of dnsmasq."""
        self._records = list(records)
        self.stop()
        self.start()

    def start(self) -> None:
        configuration: Path = self.host.folder / "dnsmasq.conf"
        fixed = ["no-resolv", "no-hosts", "no-daemon", "bind-interfaces", "local=/test/", "local-ttl=1", "log-queries"]
        fixed.append(f"listen-address={self.address}")
        configuration.write_text("\n".join([*fixed, *self._records]) + "\n")
        self._daemon = daemon = Daemon(self.host, "dnsmasq", "dnsmasq", f"--conf-file={configuration}", "--user=root", "--log-facility=-")
        eventually(lambda: "started" in daemon.words(), "dnsmasq has started", state=daemon.words)

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon.log.unlink(missing_ok=True)
            self._daemon = None


class Headscale:
    """A Headscale server for tests on port 8080 of a host, which lists what the test names."""

    def __init__(self, host: Host, address: str) -> None:
        self.host = host
        self.address = address
        self.url = f"http://{address}:8080"
        self.key = ""
        self._daemon: Daemon | None = None

    def start(self, *addresses: str, misbehaviour: str = "", options: Sequence[str] = ()) -> None:
        """Lists a node at each of these addresses, with libp2p on port 4001; or does what it should not, such as `huge`. `options` are further ones."""
        nodes = [word for address in addresses for word in ("--node", f"{address},4001")]
        program = [sys.executable, "-u", str(CONTROL_SERVER), "--host", self.address, "--misbehaviour", misbehaviour, *nodes, *options]
        self._daemon = daemon = Daemon(self.host, "headscale", *program)
        eventually(lambda: "with the key" in daemon.words(), "the server has started", state=daemon.words)
        self.key = daemon.words().split("with the key ")[1].split(";")[0]

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon.log.unlink(missing_ok=True)
            self._daemon = None
