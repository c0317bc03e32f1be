"""The extension module is the header, one to one."""

from __future__ import annotations

import gc
import inspect
import re
import threading
import time
import weakref

import pytest

import meshnet
from meshnet import _meshnet
from support import HEADER, PATIENCE

TEXT = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)

#: Functions of the header that C needs and Python does not: memory, sizes, defaults, and what Node's constructor and next_events are.
C_ONLY = {
    "last_error",
    "secret_size",
    "peer_id_text_size",
    "config_default",
    "gossipsub_options_default",
    "limits_default",
    "discovery_options_default",
    "headscale_options_default",
    "tailscale_options_default",
    "message_options_default",
    "send_options_default",
    "channel_list_free",
    "messages_free",
    "discovery_table_free",
    "diagnosis_free",
    "node_new",
    "node_open",
    "next_event",
    "receive",
    "keypair_free",
    "string_list_free",
    "address_problem_list_free",
    "peer_list_free",
    "event_free",
}
#: Members that are functions of the header under another name.
OTHERWISE = {"stream_read_into_start", "set_error_factory"}


def functions_of_the_header() -> set[str]:
    found = set(re.findall(r"\bmeshnet_(\w+)\(", TEXT))
    assert len(found) > 60
    return found


def test_every_function_is_there_and_no_other() -> None:
    def public(kind: object) -> set[str]:
        return {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}

    module = public(_meshnet) - {"Node", "Keypair", "Message", "Inbox", "MessageIterator", "AsyncMessageIterator"}
    keypair = {f"keypair_{name}" for name in public(_meshnet.Keypair)}
    message = {f"message_{name}" for name in public(_meshnet.Message)}
    node_names = public(_meshnet.Node)
    named_node = {"close", "free", "peer_id"}
    node = {f"node_{name}" for name in node_names & named_node} | (node_names - named_node)
    assert (module | keypair | message | node) - OTHERWISE == functions_of_the_header() - C_ONLY


def test_every_constant_has_its_value() -> None:
    enums = {name: int(value) for name, value in re.findall(r"^\s*MESHNET_(\w+) = (-?\d+),?", TEXT, re.M)}
    assert len(enums) > 60
    present = {name: value for name, value in vars(_meshnet).items() if name.isupper()}
    assert {name: present.get(name) for name in enums} == enums
    assert set(present) - set(enums) == {"ABI_VERSION", "FOREVER", "SECRET_SIZE"}


@pytest.mark.parametrize(
    ("enum", "prefix"),
    [
        (meshnet.ErrorCode, "ERROR_"),
        (meshnet.Direction, "DIRECTION_"),
        (meshnet.DisconnectCause, "DISCONNECT_"),
        (meshnet.DialCause, "DIAL_"),
        (meshnet.SigningPolicy, ""),
        (meshnet.DiscoveryFilter, "FILTER_"),
        (meshnet.SourceFailure, "SOURCE_FAILURE_"),
        (meshnet.SourceState, "SOURCE_STATE_"),
        (meshnet.EntryState, "ENTRY_"),
        (meshnet.DiagnosisCause, "CAUSE_"),
        (meshnet.Lane, "LANE_"),
        (meshnet.ChannelState, "CHANNEL_STATE_"),
        (meshnet.StorageFailure, "STORAGE_"),
    ],
)
def test_every_enum_is_complete(enum: type[meshnet.Direction], prefix: str) -> None:
    names = {name for name in vars(_meshnet) if name.startswith(prefix or "STRICT_") and name.isupper()}
    assert {prefix + member.name: member.value for member in enum} == {name: getattr(_meshnet, name) for name in names}


def test_names_and_texts_of_codes() -> None:
    assert _meshnet.version() == meshnet.__version__ and _meshnet.abi_version() == _meshnet.ABI_VERSION
    for code in meshnet.ErrorCode:
        assert _meshnet.error_name(code) == f"MESHNET_ERROR_{code.name}"
        assert _meshnet.strerror(code) and _meshnet.error_hint(code)
    assert _meshnet.error_name(12345) is None and _meshnet.error_hint(12345) == ""
    assert _meshnet.event_type_name(_meshnet.EVENT_CONNECTED) == "connected" and _meshnet.event_type_name(0) is None
    assert all(_meshnet.disconnect_cause_name(cause) for cause in meshnet.DisconnectCause)
    assert all(_meshnet.dial_cause_name(cause) for cause in meshnet.DialCause)


def pair() -> tuple[_meshnet.Node, _meshnet.Node, str, str]:
    made = []
    for _ in range(2):
        keys = _meshnet.keypair_generate()
        made.append((_meshnet.Node(keys, {"listen_addresses": ["/ip4/127.0.0.1/tcp/0"]}), keys.peer_id()))
    (first, first_id), (second, second_id) = made
    return first, second, first_id, second_id


def wait_for_event(node: _meshnet.Node, kind: int) -> tuple[object, ...]:
    while True:
        for event in node.next_events(PATIENCE * 1000, 1):
            if event[0] == kind:
                return event


def test_blocking_calls() -> None:
    first, second, first_id, second_id = pair()
    try:
        assert second.connect(first.listen_addresses()[0], PATIENCE * 1000) == first_id
        wait_for_event(first, _meshnet.EVENT_CONNECTED)
        assert [peer[0] for peer in first.peers()] == [second_id]
        assert second.ping(first_id, PATIENCE * 1000) > 0
        assert first.accept("/echo/1") and not first.accept("/echo/1")
        here, index = second.stream_open(first_id, ["/none/1", "/echo/1"], PATIENCE * 1000)
        assert index == 1
        there = wait_for_event(first, _meshnet.EVENT_STREAM_OPENED)[1]
        assert isinstance(there, int)
        second.stream_write(here, memoryview(b"hello"), PATIENCE * 1000)
        assert first.stream_read(there, 100, PATIENCE * 1000) == b"hello"
        with pytest.raises(meshnet.TimeoutError):
            first.stream_read(there, 100, 0)
        second.stream_close_write(here)
        assert first.stream_read(there, 100, PATIENCE * 1000) == b""
        first.stream_close(there)
        second.stream_reset(here)
        with pytest.raises(meshnet.NoSuchStreamError):
            second.stream_reset(here)
        assert first.stop_accepting("/echo/1") and first.address_problems() == []
    finally:
        first.free()
        second.free()


def test_read_into_the_memory_of_the_caller() -> None:
    first, second, first_id, _ = pair()
    try:
        second.connect(first.listen_addresses()[0], PATIENCE * 1000)
        first.accept("/echo/1")
        here, _ = second.stream_open(first_id, ["/echo/1"], PATIENCE * 1000)
        there = wait_for_event(first, _meshnet.EVENT_STREAM_OPENED)[1]
        assert isinstance(there, int)
        buffer = bytearray(10)
        ticket = first.stream_read_into_start(there, buffer)
        with pytest.raises(BufferError):
            buffer.append(0)
        second.stream_write(here, b"hello", PATIENCE * 1000)
        assert wait_for_event(first, _meshnet.EVENT_COMPLETED) == (_meshnet.EVENT_COMPLETED, ticket, True, 5)
        assert buffer == b"hello\0\0\0\0\0"
        buffer.append(0)
        with pytest.raises(TypeError):
            first.stream_read_into_start(there, memoryview(bytes(4)))
    finally:
        first.free()
        second.free()


def test_a_free_while_reads_are_under_way_gives_their_memory_back() -> None:
    first, second, first_id, _ = pair()
    second.connect(first.listen_addresses()[0], PATIENCE * 1000)
    first.accept("/echo/1")
    here, _ = second.stream_open(first_id, ["/echo/1"], PATIENCE * 1000)
    buffer = bytearray(1000)
    second.stream_read_into_start(here, buffer)
    second.free()
    buffer.append(0)
    first.free()


def test_blocking_calls_release_the_interpreter_lock() -> None:
    node = _meshnet.Node(_meshnet.keypair_generate(), {"listens": False})
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(meshnet.ClosedError):
            while True:
                node.next_events(_meshnet.FOREVER, 10)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    # This line runs only because the wait of the other thread does not hold the lock.
    node.close()
    assert ended.wait(PATIENCE)
    thread.join()
    node.free()


def test_options_reach_the_library_and_mistakes_are_named() -> None:
    keys = _meshnet.keypair_generate()
    for options in ({"no_such": 1}, {"limits": {"no_such": 1}}, {"limits": 3}, {"ping_interval_ms": "1"}, {"bootstrap_peers": "x"}):
        with pytest.raises(TypeError):
            _meshnet.Node(keys, options)
    with pytest.raises(meshnet.InvalidArgument, match="topics"):
        _meshnet.Node(keys, {"limits": {"topics": 2**40}})
    with pytest.raises(TypeError):
        _meshnet.Node(object(), {})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _meshnet.Keypair()
    with pytest.raises(meshnet.InvalidArgument, match="maximum_message_size"):
        _meshnet.Node(keys, {"gossipsub": {"maximum_message_size": 1}})
    node = _meshnet.Node(keys, {"listens": False, "agent_version": "test", "pre_shared_key": bytearray(32), "ping_interval_ms": 0})
    assert node.subscribe("one") and node.listen_addresses() == () and node.peer_id() == keys.peer_id()
    node.free()


def test_every_option_of_the_header_is_an_option_of_the_node() -> None:
    def fields(name: str) -> set[str]:
        body = re.search(rf"struct {name} \{{(.*?)\}}", TEXT, re.S)
        assert body
        found = re.findall(r"(\w+);", body[1])
        return {field.removesuffix("_ms") for field in found if field != "struct_size" and not field.endswith(("_count", "_length"))} | {
            field for field in found if field == "event_queue_count"
        }

    assert set(meshnet.Gossipsub.__dataclass_fields__) == fields("meshnet_gossipsub_options")
    assert set(meshnet.Limits.__dataclass_fields__) == fields("meshnet_limits")
    assert set(meshnet.Discovery.__dataclass_fields__) == fields("meshnet_discovery_options")
    assert set(meshnet.HeadscaleConfig.__dataclass_fields__) == fields("meshnet_headscale_options")
    assert set(meshnet.TailscaleConfig.__dataclass_fields__) == fields("meshnet_tailscale_options")
    reconnect = {name if name.startswith(("permanent_", "dials_", "stale_")) else f"reconnect_{name}" for name in meshnet.Reconnect.__dataclass_fields__}
    wake = {f"wake_{name}" for name in meshnet.Wake.__dataclass_fields__}
    messages = set(meshnet.MessageOptions.__dataclass_fields__)
    assert messages | reconnect | wake | {"state_directory"} == fields("meshnet_message_options")
    keepalive = {f"keepalive_{name}" for name in meshnet.Keepalive.__dataclass_fields__}
    arguments = {"state_dir", "reconnect", "wake", "keepalive"}
    renamed = {"modes": "discovery", "interval": "discovery_interval", "policy": "discovery_policy"}
    of_discovery = {renamed.get(name, name) for name in meshnet.Discovery.__dataclass_fields__}
    assert set(inspect.signature(meshnet.Node).parameters) == fields("meshnet_config") - keepalive | arguments | of_discovery


def test_nodes_are_collected() -> None:
    node = _meshnet.Node(_meshnet.keypair_generate(), {"listens": False})
    gone = weakref.ref(node)
    begun = time.monotonic()
    del node
    gc.collect()
    assert gone() is None and time.monotonic() - begun < 5
