"""One side of a measurement of messages from Python: `python_peer.py KIND ROLE ...`, where KIND is meshnet, zeromq or zenoh.

sink                   prints the words that the other side needs, counts messages, answers, until it is killed
flood SIZE COUNT WORDS prints the nanoseconds from the first send to the answer behind the last message
trips COUNT WORDS      prints the nanoseconds of each of COUNT round trips of 64 bytes; asyncio_trips does it in an asyncio loop
return WORDS           says "ready", and for each line of standard input sends a request and prints the nanoseconds of the monotonic clock at its reply

Each speaks as its own documentation shows it, over TCP on loopback, encrypted: Noise, CURVE, TLS. Nothing may be lost: a full queue waits.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

END = b"end"
#: Messages, and bytes, of one call that sends many.
BATCH, BATCH_BYTES = 512, 4 << 20
#: Messages that may wait: the default of our own queue, for all.
QUEUE = 10_000


def say(*words: object) -> None:
    print(*words, flush=True)


def timed(send: Callable[[], None]) -> int:
    start = time.perf_counter_ns()
    send()
    return time.perf_counter_ns() - start


# --- meshnet


def node(ip: str = "127.0.0.1", kind: str = "SyncNode") -> Any:
    import meshnet

    identity = meshnet.Keypair.generate()
    return getattr(meshnet, kind)(identity=identity, bootstrap_peers=[], listen_port=0, listen_addresses=[f"/ip4/{ip}/tcp/0"])


def meshnet_sink(ip: str = "127.0.0.1") -> None:
    with node(ip) as here:
        say(here.peer_id, f"{here.listen_addresses()[0]}/p2p/{here.peer_id}")
        for message in here.messages():
            if message.is_request:
                message.reply(message.data)


def meshnet_other(peer: str, address: str) -> Any:
    here = node()
    here.start()
    here.connect(address, timeout=60)
    here.request(peer, b"", timeout=60)
    return here


def meshnet_flood(size: int, count: int, peer: str, address: str) -> int:
    here, block = meshnet_other(peer, address), bytes(size)
    batch = min(BATCH, max(1, BATCH_BYTES // size))

    def send() -> None:
        left = count
        while left:
            left -= here.send_many(peer, [block] * min(left, batch))
        here.request(peer, END, timeout=60)

    return timed(send)


def meshnet_trips(count: int, peer: str, address: str) -> Iterator[int]:
    here, block = meshnet_other(peer, address), bytes(64)
    for _ in range(count):
        yield timed(lambda: here.request(peer, block))


def meshnet_asyncio_trips(count: int, peer: str, address: str) -> list[int]:
    async def trips() -> list[int]:
        async with node(kind="Node") as here:
            await here.connect(address, timeout=60)
            await here.request(peer, b"", timeout=60)
            samples, block = [], bytes(64)
            for _ in range(count):
                start = time.perf_counter_ns()
                await here.request(peer, block)
                samples.append(time.perf_counter_ns() - start)
            return samples

    return asyncio.run(trips())


def meshnet_return(ip: str, peer: str, address: str) -> None:
    with node(ip) as here:
        here.connect(address, timeout=60)
        here.request(peer, b"", timeout=60)
        say("ready")
        for _ in sys.stdin:
            here.request(peer, b"", timeout=120)
            say(time.clock_gettime_ns(time.CLOCK_MONOTONIC))


# --- ZeroMQ: two DEALER sockets with CURVE


def zeromq_socket() -> Any:
    import zmq

    socket: Any = zmq.Context.instance().socket(zmq.DEALER)
    socket.set_hwm(QUEUE)
    socket.linger = 0
    return socket


def zeromq_sink() -> None:
    import zmq

    socket: Any = zeromq_socket()
    public, secret = zmq.curve_keypair()
    socket.curve_server, socket.curve_secretkey = True, secret
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    say(port, public.decode())
    while True:
        message = socket.recv()
        if message == END or len(message) == 64:
            socket.send(message)


def zeromq_other(port: str, key: str) -> Any:
    import zmq

    socket: Any = zeromq_socket()
    socket.curve_serverkey = key.encode()
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send(END)
    socket.recv()
    return socket


def zeromq_flood(size: int, count: int, port: str, key: str) -> int:
    socket, block = zeromq_other(port, key), bytes(size)

    def send() -> None:
        for _ in range(count):
            socket.send(block)
        socket.send(END)
        socket.recv()

    return timed(send)


def zeromq_trips(count: int, port: str, key: str) -> Iterator[int]:
    socket, block = zeromq_other(port, key), bytes(64)

    def trip() -> None:
        socket.send(block)
        socket.recv()

    for _ in range(count):
        yield timed(trip)


# --- zenoh: two peers over TLS, without shared memory and multicast


def zenoh_session(certificates: str, **extra: object) -> Any:
    import zenoh

    settings: dict[str, object] = {
        "mode": "peer",
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        "transport/shared_memory/enabled": False,
        "transport/link/tls/root_ca_certificate": f"{certificates}/ca.pem",
        "transport/link/tls/verify_name_on_connect": False,
        **extra,
    }
    config = zenoh.Config()
    for name, value in settings.items():
        config.insert_json5(name, json.dumps(value))
    return zenoh.open(config)


def zenoh_publisher(session: Any, key: str) -> Any:
    import zenoh

    return session.declare_publisher(key, congestion_control=zenoh.CongestionControl.BLOCK, reliability=zenoh.Reliability.RELIABLE)


def zenoh_sink(certificates: str, port: str) -> None:
    session = zenoh_session(
        certificates,
        **{
            "listen/endpoints": [f"tls/127.0.0.1:{port}"],
            "transport/link/tls/listen_private_key": f"{certificates}/leaf-key.pem",
            "transport/link/tls/listen_certificate": f"{certificates}/leaf.pem",
        },
    )
    answers = zenoh_publisher(session, "bench/back")

    def heard(sample: Any) -> None:
        data = sample.payload.to_bytes()
        if data == END or len(data) == 64:
            answers.put(data)

    subscriber = session.declare_subscriber("bench/there", heard)
    say(certificates, port)
    threading.Event().wait()
    subscriber.undeclare()


def zenoh_other(certificates: str, port: str) -> tuple[Any, Any, Any]:
    import zenoh

    session = zenoh_session(certificates, **{"connect/endpoints": [f"tls/127.0.0.1:{port}"], "listen/endpoints": []})
    answers = session.declare_subscriber("bench/back", zenoh.handlers.FifoChannel(16))
    publisher = zenoh_publisher(session, "bench/there")
    while answers.try_recv() is None:
        publisher.put(END)
        time.sleep(0.05)
    time.sleep(0.2)
    while answers.try_recv() is not None:
        pass
    return session, publisher, answers


def zenoh_flood(size: int, count: int, certificates: str, port: str) -> int:
    session, publisher, answers = zenoh_other(certificates, port)
    block = bytes(size)

    def send() -> None:
        for _ in range(count):
            publisher.put(block)
        publisher.put(END)
        answers.recv()

    took = timed(send)
    session.close()
    return took


def zenoh_trips(count: int, certificates: str, port: str) -> Iterator[int]:
    session, publisher, answers = zenoh_other(certificates, port)
    block = bytes(64)

    def trip() -> None:
        publisher.put(block)
        answers.recv()

    for _ in range(count):
        yield timed(trip)
    session.close()


def main() -> None:
    kind, role, *words = sys.argv[1:]
    run = globals()[f"{kind}_{role}"]
    if role in ("sink", "return"):
        run(*words)
    elif role == "flood":
        say(run(int(words[0]), int(words[1]), *words[2:]))
    else:
        for sample in run(int(words[0]), *words[1:]):
            say(sample)


if __name__ == "__main__":
    main()
