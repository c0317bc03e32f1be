"""The command line, from outside: what it prints, what it refuses, and that nodes started by it meet."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = Path(__file__).resolve().parents[2] / ".build" / "release" / "meshnet-cli"
LIMIT = 30  # seconds for anything


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], input=stdin, capture_output=True, text=True, timeout=LIMIT, env={**os.environ, **environment}
    )


class Node:
    """A `meshnet` that goes on running, its lines read as JSON."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [COMMAND, *arguments, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def wait_for(self, event: str, **fields: object) -> dict[str, object]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found: dict[str, object] = json.loads(line)
            if found["event"] == event and all(found.get(name) == value for name, value in fields.items()):
                return found
        raise AssertionError(f"the node ended without {event}")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(LIMIT)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return status


@pytest.fixture
def server() -> Iterator[tuple[Node, str]]:
    port = free_port()
    node = Node("run", "--listen-port", str(port), "--topic", "news")
    node.wait_for("listening", address=f"/ip4/127.0.0.1/tcp/{port}")
    yield node, f"/ip4/127.0.0.1/tcp/{port}"
    assert node.end() == 0


def test_help_names_every_command_and_each_has_its_own() -> None:
    overview = run("--help")
    assert overview.returncode == 0
    for command in ["id", "run", "discover", "doctor", "ping", "send", "listen", "pub", "sub", "chat", "perf", "talk"]:
        assert f"meshnet {command}" in overview.stdout
        text = run(command, "--help")
        assert text.returncode == 0 and text.stdout.startswith(f"meshnet {command}")


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    key = tmp_path / "node.key"
    first = json.loads(run("id", "--key", str(key), "--json").stdout)
    again = json.loads(run("id", "--json", MESHNET_KEY_FILE=str(key)).stdout)
    assert first["peer"] == again["peer"] and first["peer"].startswith("12D3KooW")
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_new_identity_keeps_the_old_key_aside(tmp_path: Path) -> None:
    key = tmp_path / "node.key"
    old = json.loads(run("id", "--key", str(key), "--json").stdout)
    new = json.loads(run("id", "--key", str(key), "--new", "--json").stdout)
    assert new["peer"] != old["peer"] and new["old_key"] == f"{key}.old-1"
    assert json.loads(run("id", "--key", str(key), "--json").stdout)["peer"] == new["peer"]
    assert json.loads(run("id", "--key", f"{key}.old-1", "--json").stdout)["peer"] == old["peer"]
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {"node.key": 0o600, "node.key.old-1": 0o600}


def test_the_identity_of_a_user_stays_and_is_used_by_one_node_at_a_time(tmp_path: Path) -> None:
    home = {"MESHNET_EPHEMERAL": "", "XDG_STATE_HOME": str(tmp_path / "state")}
    first = json.loads(run("id", "--json", **home).stdout)
    assert first["key"] == f"{tmp_path}/state/meshnet/key" and (tmp_path / "state/meshnet").stat().st_mode & 0o777 == 0o700
    environment = {**os.environ, **home}
    node = Node("run", environment=environment)
    assert node.wait_for("started")["peer"] == first["peer"]
    other = run("run", "--seconds", "0", "--json", **home)
    assert json.loads(other.stdout.splitlines()[0])["peer"] != first["peer"] and "another meshnet" in other.stderr
    assert node.end() == 0
    again = run("run", "--seconds", "0", "--json", **home)
    assert json.loads(again.stdout.splitlines()[0])["peer"] == first["peer"] and again.stderr == ""
    ephemeral = run("run", "--seconds", "0", "--json", "--ephemeral", **home)
    assert json.loads(ephemeral.stdout.splitlines()[0])["peer"] != first["peer"]
    in_home = json.loads(run("id", "--json", MESHNET_EPHEMERAL="", XDG_STATE_HOME="relative", HOME=str(tmp_path)).stdout)
    assert in_home["key"] == f"{tmp_path}/.local/state/meshnet/key"


@pytest.fixture
def listener() -> Iterator[tuple[Node, str]]:
    node = Node("listen", "--reply", "pong", "--listen-port", "0")
    address = str(node.wait_for("listening")["address"])
    while "/ip4/127.0.0.1/" not in address:
        address = str(node.wait_for("listening")["address"])
    yield node, address
    assert node.end() == 0


def test_send_waits_until_the_message_is_there(listener: tuple[Node, str]) -> None:
    node, address = listener
    sent = run("send", address, "hello", "world", "--lane", "control", "--json")
    assert [json.loads(line)["event"] for line in sent.stdout.splitlines()] == ["accepted", "delivered"]
    message = node.wait_for("message")
    assert message["data"] == "hello world" and message["lane"] == "control" and message["sequence"] == 1
    assert run("send", address, "-", stdin="from a pipe").returncode == 0
    assert node.wait_for("message")["data"] == "from a pipe"


def test_a_request_prints_its_reply(listener: tuple[Node, str]) -> None:
    node, address = listener
    reply = json.loads(run("send", address, "ping", "--request", "--json").stdout.splitlines()[-1])
    assert reply["event"] == "reply" and reply["data"] == "pong"
    assert node.wait_for("request")["data"] == "ping"


def test_a_large_file_arrives_with_progress(tmp_path: Path) -> None:
    content = os.urandom(8 << 20)
    (tmp_path / "large").write_bytes(content)
    node = Node("listen", "--save", str(tmp_path / "in"), "--count", "1", "--listen-port", "0")
    address = str(node.wait_for("listening")["address"])
    sent = run("send", address, "--file", str(tmp_path / "large"), "--json")
    assert sent.returncode == 0, sent.stderr
    progress = [json.loads(line) for line in sent.stdout.splitlines() if json.loads(line)["event"] == "progress"]
    assert progress and progress[-1]["percent"] == 100 and progress[-1]["bytes"] == len(content)
    saved = node.wait_for("message")
    assert saved["bytes"] == len(content) and Path(str(saved["file"])).read_bytes() == content
    assert node.wait() == 0


def test_a_message_outlives_both_nodes(tmp_path: Path) -> None:
    """Sent while the other is away and the sender ends; both come back with their state."""
    away = json.loads(run("id", "--key", str(tmp_path / "there/key"), "--json").stdout)["peer"]
    sender = ["--state-dir", str(tmp_path / "here"), "--json"]
    gone = run("send", str(away), "waits", "--deadline", "1", *sender, MESHNET_EPHEMERAL="")
    assert gone.returncode == 1 and "deadline" in gone.stderr
    port = free_port()
    node = Node("listen", "--state-dir", str(tmp_path / "there"), "--listen-port", str(port), environment={**os.environ, "MESHNET_EPHEMERAL": ""})
    assert node.wait_for("started")["peer"] == away
    address = f"/ip4/127.0.0.1/tcp/{port}/p2p/{away}"
    first = run("send", address, "first", *sender, MESHNET_EPHEMERAL="")
    assert first.returncode == 0, first.stderr
    assert node.wait_for("message")["data"] == "first"
    again = run("send", address, "second", *sender, MESHNET_EPHEMERAL="")
    assert again.returncode == 0, again.stderr
    second = node.wait_for("message")
    # Another process, the same channel: the numbers go on.
    assert second["data"] == "second" and int(str(second["sequence"])) > 1
    assert node.end() == 0


def test_ping_measures_round_trips(server: tuple[Node, str]) -> None:
    _, address = server
    result = run("ping", address, "--count", "3", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0
    assert [line["event"] for line in lines] == ["connected", "ping", "ping", "ping", "summary"]
    assert lines[-1]["minimum"] <= lines[-1]["mean"] <= lines[-1]["maximum"]


def test_perf_moves_bytes(server: tuple[Node, str]) -> None:
    _, address = server
    line = json.loads(run("perf", address, "--upload", "3000000", "--download", "2000000", "--json").stdout)
    assert line["upload"] == 3_000_000 and line["download"] == 2_000_000 and line["upload_MBps"] > 0


def test_a_retained_message_waits_for_who_comes_late(server: tuple[Node, str]) -> None:
    holder, address = server
    assert run("pub", "news", "kept", "--retain", "-b", address).returncode == 0
    holder.wait_for("message", data="kept")
    late = Node("sub", "news", "--count", "1", "-b", address)
    assert late.wait_for("message")["retained"] is True
    assert late.wait() == 0


def test_pub_reaches_who_follows(server: tuple[Node, str]) -> None:
    node, address = server
    assert run("pub", "news", "hello", "world", "-b", address).returncode == 0
    assert node.wait_for("message")["data"] == "hello world"
    assert run("pub", "news", stdin="one\ntwo\n", MESHNET_BOOTSTRAP_PEERS=address).returncode == 0
    assert [node.wait_for("message")["data"] for _ in range(2)] == ["one", "two"]


def test_sub_ends_after_its_count() -> None:
    port = free_port()
    subscriber = Node("sub", "news", "--count", "1", "--libp2p-port", str(port))
    subscriber.wait_for("listening", address=f"/ip4/127.0.0.1/tcp/{port}")
    assert run("pub", "news", "x", "-b", f"/ip4/127.0.0.1/tcp/{port}").returncode == 0
    assert subscriber.wait_for("message")["data"] == "x"
    assert subscriber.wait() == 0


def test_chat_shows_what_others_type() -> None:
    port = free_port()
    one = Node("chat", "--listen-port", str(port))
    one.wait_for("listening")
    other = Node("chat", "--bootstrap-peers", f"/ip4/127.0.0.1/tcp/{port}")
    other.wait_for("connected")
    one.wait_for("connected")
    assert other.process.stdin is not None
    # Chat says on standard error that nobody listens yet; it is typed until it is heard.
    heard = threading.Event()

    def type_until_heard() -> None:
        while not heard.wait(0.2) and other.process.stdin is not None:
            other.process.stdin.write("hello there\n")
            other.process.stdin.flush()

    typing = threading.Thread(target=type_until_heard)
    typing.start()
    try:
        assert one.wait_for("message")["data"] == "hello there"
    finally:
        heard.set()
        typing.join()
    other.process.stdin.close()
    assert other.wait() == 0
    assert one.end() == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "meshnet COMMAND --help"),
        (["fly"], 2, "fly: no such command"),
        (["ping"], 2, "an address is missing"),
        (["ping", "nonsense"], 1, "nonsense"),
        (["ping", "/ip4/127.0.0.1/tcp/1"], 1, "refused"),
        (["ping", "--count", "many", "/ip4/127.0.0.1/tcp/1"], 2, "many"),
        (["run", "--listen-port", "70000"], 2, "70000"),
        (["run", "--colour"], 2, "--help"),
        (["run", "--discovery-mode", "multicast"], 2, "--discovery-mode"),
        (["run", "--discovery-mode", "headscale"], 1, "MESHNET_HEADSCALE_API_URL"),
        (["run", "--headscale-api-key", "hskey-api-x"], 2, "--headscale-api-key-file"),
        (["run", "--discovery-interval", "0"], 2, "--discovery-interval"),
        (["run", "--secret-file", "/nonexistent/secret"], 2, "/nonexistent/secret"),
        (["doctor", "one", "two"], 2, "one peer or address"),
        (["run", "--key", "/nonexistent/node.key"], 1, "/nonexistent/node.key"),
        (["run", "--psk", "/nonexistent/swarm.key"], 1, "/nonexistent/swarm.key"),
        (["send"], 2, "a peer or an address is missing"),
        (["send", "/ip4/127.0.0.1/tcp/1"], 2, "a text"),
        (["send", "/ip4/127.0.0.1/tcp/1", "x"], 1, "refused"),
        (["send", "nobody", "x"], 2, "nobody"),
        (["send", "/ip4/127.0.0.1/tcp/1", "x", "--lane", "slow"], 2, "slow"),
        (["send", "/ip4/127.0.0.1/tcp/1", "x", "--deadline", "never"], 2, "never"),
        (["listen", "--state-dir", "/proc/nothing"], 1, "/proc/nothing"),
        (["listen", "--save", "/proc/nothing/here"], 1, "/proc/nothing/here"),
        (["run", "--queue-messages", "0"], 2, "--queue-messages"),
        (["pub", "nobody-follows", "x", "--seconds", "1"], 1, "--bootstrap-peers"),
    ],
)
def test_bad_input_names_the_value_or_the_remedy(arguments: list[str], status: int, words: str) -> None:
    result = run(*arguments)
    assert result.returncode == status
    assert words in result.stderr


def test_a_variable_is_named_where_it_is_wrong() -> None:
    result = run("run", MESHNET_DISCOVERY_MODE="multicast")
    assert result.returncode == 2 and "MESHNET_DISCOVERY_MODE" in result.stderr and "mdns" in result.stderr


def test_no_key_is_shown(tmp_path: Path) -> None:
    key = "hskey-api-never-shown"
    result = run("run", "--headscale-port", "many", MESHNET_HEADSCALE_API_URL="https://headscale.example", MESHNET_HEADSCALE_API_KEY=key)
    assert result.returncode == 2 and "--headscale-port" in result.stderr and key not in result.stderr
    named = tmp_path / "key"
    named.write_text(key)
    environment = {"MESHNET_HEADSCALE_API_URL": "http://127.0.0.1:1", "MESHNET_LOG": "info"}
    result = run("discover", "--discovery-mode", "headscale", "--headscale-api-key-file", str(named), "--seconds", "2", **environment)
    assert result.returncode == 0 and "headscale" in result.stdout
    assert key not in result.stdout + result.stderr


def test_discover_shows_two_nodes_that_find_each_other() -> None:
    tag = f"_t{os.getpid()}-{free_port()}._udp"
    options = ["--discovery-mode", "mdns", "--mdns", "embedded", "--service-tag", tag]
    one, other = Node("discover", *options), Node("discover", *options)
    peer = one.wait_for("started")["peer"]
    assert other.wait_for("discovery source", source="mdns")["state"] == "running"
    assert other.wait_for("entry", peer=peer, state="connected")["source"] == "mdns"
    assert one.end() == 0 and other.end() == 0


def test_the_doctor_names_cause_evidence_and_remedy(server: tuple[Node, str]) -> None:
    _, address = server
    well = run("doctor", address, "--json")
    verdict = json.loads(well.stdout.splitlines()[-1])
    assert well.returncode == 0 and verdict["cause"] in ("connected", "reachable")
    refused = run("doctor", "/ip4/127.0.0.1/tcp/1", "--json")
    verdict = next(line for line in map(json.loads, refused.stdout.splitlines()) if line["event"] == "verdict")
    assert refused.returncode == 1 and verdict["cause"] == "refused" and verdict["evidence"] and verdict["remedy"]


def test_the_doctor_looks_around(server: tuple[Node, str]) -> None:
    _, address = server
    alone = run("doctor", "--seconds", "1")
    assert alone.returncode == 1 and "--discovery-mode" in alone.stdout
    well = run("doctor", "--bootstrap-peers", address)
    assert well.returncode == 0 and "connected" in well.stdout
    dead = run("doctor", "--bootstrap-peers", "/ip4/127.0.0.1/tcp/1", "--seconds", "1")
    assert dead.returncode == 1 and "refused" in dead.stdout


def test_a_port_in_use_is_named(server: tuple[Node, str]) -> None:
    _, address = server
    result = run("run", "--listen-port", address.rsplit("/", 1)[1])
    assert result.returncode == 1 and "in use" in result.stderr


def test_unusable_bootstrap_entries_are_told_and_do_not_stop_the_node() -> None:
    node = Node("run", "--bootstrap-peers", "nonsense,/ip4/exo-2/tcp/30000", "--seconds", "20")
    assert "nonsense" in str(node.wait_for("address problem", text="nonsense")["reason"])
    assert "dns4" in str(node.wait_for("address problem", text="/ip4/exo-2/tcp/30000")["reason"])
    assert node.end() == 0


def test_another_private_network_is_a_handshake_failure(tmp_path: Path) -> None:
    for name, digit in [("one", "1"), ("two", "2")]:
        (tmp_path / name).write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{digit * 64}\n")
    port = free_port()
    node = Node("run", "--listen-port", str(port), "--psk", str(tmp_path / "one"))
    node.wait_for("listening", address=f"/ip4/127.0.0.1/tcp/{port}")
    assert run("ping", f"/ip4/127.0.0.1/tcp/{port}", "-c", "1", "--psk", str(tmp_path / "one")).returncode == 0
    refused = run("ping", f"/ip4/127.0.0.1/tcp/{port}", "--psk", str(tmp_path / "two"))
    assert refused.returncode == 1 and "private network" in refused.stderr
    assert node.end() == 0


def test_a_forced_private_network_needs_its_key(tmp_path: Path) -> None:
    refused = run("run", "--seconds", "1", LIBP2P_FORCE_PNET="1")
    assert refused.returncode == 1 and "--psk" in refused.stderr
    key = tmp_path / "swarm.key"
    key.write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{'7' * 64}\n")
    assert run("run", "--seconds", "1", "--psk", str(key), LIBP2P_FORCE_PNET="1").returncode == 0
