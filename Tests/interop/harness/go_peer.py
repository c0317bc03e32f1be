"""go-libp2p, through its daemon's control protocol (varint-delimited protobuf over a unix socket).

The daemon closes a stream in both directions, or resets it, as soon as one direction ends. A protocol that answers after the end of
the question, as /perf/1.0.0 does, can therefore not be driven through it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from waiting import eventually

from .peer import ECHO, IDENTIFY, PING, Identity, Peer, Received
from .wire import Fields, base58, delimited, field, multiaddr_bytes, multiaddr_text, read_delimited, split_peer, unbase58

IDENTIFY_REQUEST, CONNECT, STREAM_OPEN, STREAM_HANDLER, DHT, LIST_PEERS, PUBSUB = 0, 1, 2, 3, 4, 5, 8
PUBSUB_LIST_PEERS, PUBSUB_PUBLISH, PUBSUB_SUBSCRIBE = 1, 2, 3
BLOCK = 65_536
TIMEOUT = 30.0

DAEMON = Path(__file__).parents[3] / ".build" / "peers" / "p2pd"


class Control:
    """A connection to the daemon, or to a stream that it hands over."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.settimeout(TIMEOUT)

    def read(self, count: int) -> bytes:
        out = bytearray()
        while len(out) < count:
            piece = self.socket.recv(count - len(out))
            if not piece:
                raise EOFError(f"the other side ended after {len(out)} of {count} bytes")
            out += piece
        return bytes(out)

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class GoPeer(Peer):
    kind = "go"
    agent = ""  # the daemon's own, read by the others from identify

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__()
        self._folder = tempfile.mkdtemp(prefix="go-peer-")
        self._control_path = os.path.join(self._folder, "control")
        self._closed = False
        self._log = open(os.path.join(self._folder, "log"), "wb")
        # -dht is on so that the daemon answers what addresses it knows of a peer; -b is off, so it dials nobody by itself.
        self._process = subprocess.Popen(
            [
                str(DAEMON), "-listen", "/unix" + self._control_path, "-hostAddrs", "/ip4/127.0.0.1/tcp/0",
                f"-tls={str(tls).lower()}", "-quic=false", "-natPortMap=false", "-relay=false", "-relayDiscovery=false",
                "-dht", "-pubsub", "-pubsubRouter", "gossipsub", "-bootstrapPeers", "",
            ],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            eventually(self._answers, "the go-libp2p daemon answers", 20, self._log_text)
            self._serve(ECHO, self._serve_echo)
        except BaseException:
            self.close()
            raise

    def _log_text(self) -> str:
        return Path(self._folder, "log").read_text(errors="replace")

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the go-libp2p daemon ended: {self._log_text()}")
        try:
            answer = self._request(field(1, IDENTIFY_REQUEST))
        except OSError:
            return False
        mine = Fields(answer.one(4))
        self.peer_id = base58(mine.one(1))
        addresses = [multiaddr_text(raw) for raw in mine.all(2)]
        tcp = [address for address in addresses if address.startswith("/ip4/127.0.0.1/tcp/")]
        if not tcp:
            return False
        self.address = f"{tcp[0].split('/p2p/')[0]}/p2p/{self.peer_id}"
        return True

    def _dial_control(self) -> Control:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.connect(self._control_path)
        except OSError:
            connected.close()
            raise
        return Control(connected)

    def _ask(self, control: Control, message: bytes) -> Fields:
        control.socket.sendall(delimited(message))
        answer = Fields(read_delimited(control.read))
        if answer.number(1) != 0:
            raise RuntimeError("go-libp2p: " + Fields(answer.one(2)).one(1).decode())
        return answer

    def _request(self, message: bytes) -> Fields:
        with self._dial_control() as control:
            return self._ask(control, message)

    def open_stream(self, peer: str, protocol: str) -> Control:
        """A raw stream: what is written to it goes to the peer."""
        control = self._dial_control()
        try:
            self._ask(control, field(1, STREAM_OPEN) + field(3, field(1, unbase58(peer)) + field(2, protocol) + field(3, int(TIMEOUT))))
        except BaseException:
            control.socket.close()
            raise
        return control

    def _serve(self, protocol: str, handler: Callable[[Control], None]) -> None:
        """The daemon connects to a unix socket of ours for every inbound stream."""
        path = os.path.join(self._folder, protocol.strip("/").replace("/", "-"))
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(64)

        def one(accepted: socket.socket) -> None:
            with Control(accepted) as control:
                try:
                    read_delimited(control.read)  # StreamInfo: peer, address, protocol
                    handler(control)
                except (OSError, EOFError):
                    pass

        def accept() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(accepted,), daemon=True).start()

        self._listeners: list[socket.socket] = [*getattr(self, "_listeners", []), listener]
        threading.Thread(target=accept, daemon=True).start()
        self._request(field(1, STREAM_HANDLER) + field(4, field(1, multiaddr_bytes("/unix" + path)) + field(2, protocol) + field(3, 0)))

    @staticmethod
    def _serve_echo(stream: Control) -> None:
        while piece := stream.socket.recv(BLOCK):
            stream.socket.sendall(piece)

    def connect(self, address: str) -> None:
        transport, peer = split_peer(address)
        self._request(field(1, CONNECT) + field(2, field(1, unbase58(peer)) + field(2, multiaddr_bytes(transport)) + field(3, int(TIMEOUT))))

    def connected(self) -> set[str]:
        return {base58(Fields(raw).one(1)) for raw in self._request(field(1, LIST_PEERS)).all(6)}

    def known_addresses(self, peer: str) -> set[str]:
        """The addresses in the peer store, which identify filled; the routing table answers for connected peers."""
        answer = self._request(field(1, DHT) + field(5, field(1, 0) + field(2, unbase58(peer)) + field(7, int(TIMEOUT))))
        return {multiaddr_text(raw) for raw in Fields(Fields(answer.one(5)).one(2)).all(2)}

    def identify(self, peer: str) -> Identity:
        with self.open_stream(peer, IDENTIFY) as stream:
            message = Fields(read_delimited(stream.read))
        # The bytes are what the peer tells go; the addresses are those that go's own identify accepted and kept.
        return Identity(
            agent=message.one(6).decode(),
            protocols=frozenset(p.decode() for p in message.all(3)),
            addresses=frozenset(multiaddr_text(a) for a in message.all(2)) & frozenset(self.known_addresses(peer)),
            observed=multiaddr_text(message.one(4)),
        )

    def ping(self, peer: str) -> float:
        with self.open_stream(peer, PING) as stream:
            sent, start = os.urandom(32), time.perf_counter()
            stream.socket.sendall(sent)
            if stream.read(32) != sent:
                raise RuntimeError("the ping came back changed")
            return time.perf_counter() - start

    def subscribe(self, topic: str) -> None:
        control = self._dial_control()
        self._ask(control, field(1, PUBSUB) + field(8, field(1, PUBSUB_SUBSCRIBE) + field(2, topic)))
        control.socket.settimeout(None)

        def pump() -> None:
            with control:
                while True:
                    try:
                        message = Fields(read_delimited(control.read))
                    except (OSError, EOFError):
                        return
                    self._deliver(Received(base58(message.one(1)), topic, message.one(2)))

        threading.Thread(target=pump, daemon=True).start()

    def publish(self, topic: str, data: bytes) -> None:
        self._request(field(1, PUBSUB) + field(8, field(1, PUBSUB_PUBLISH) + field(2, topic) + field(3, data)))

    def topic_peers(self, topic: str) -> set[str]:
        answer = self._request(field(1, PUBSUB) + field(8, field(1, PUBSUB_LIST_PEERS) + field(2, topic)))
        return {base58(raw) for raw in Fields(answer.one(7)).all(2)}

    def perf(self, peer: str, upload: int, download: int) -> None:
        raise NotImplementedError("not through the daemon, see above")

    def echo(self, peer: str, data: bytes) -> bytes:
        with self.open_stream(peer, ECHO) as stream:
            sender = threading.Thread(target=stream.socket.sendall, args=(data,), daemon=True)
            sender.start()
            back = stream.read(len(data))
            sender.join(TIMEOUT)
            return back

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for listener in getattr(self, "_listeners", []):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)
