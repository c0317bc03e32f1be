"""Two peers, every combination of dialler and listener: each test runs over one connection, both ways."""

from __future__ import annotations

import hashlib
import os

import pytest

from harness.peer import ECHO, IDENTIFY, PERF, PING, Identity, Peer
from waiting import eventually

Pair = tuple[Peer, Peer]


def both_ways(pair: Pair) -> list[Pair]:
    return [pair, (pair[1], pair[0])]


def learned(one: Peer, other: Peer, *speaking: str) -> Identity:
    """What one learned of the other, once its identify came with the address to dial it by and the protocols `speaking`.

    A protocol that a peer begins to serve while it is being connected may come by a push after the first answer."""
    transport = other.address.split("/p2p/")[0]

    def look() -> Identity | str:
        try:
            return one.identify(other.peer_id)
        except RuntimeError as error:  # not there yet
            return str(error)

    def found() -> Identity | None:
        seen = look()
        # py signs its addresses with its peer id at their end.
        known = isinstance(seen, Identity) and seen.addresses & {transport, other.address}
        return seen if isinstance(seen, Identity) and known and seen.protocols.issuperset(speaking) else None

    return eventually(found, f"{one.kind} learns {transport} of {other.kind}, speaking {speaking}", state=look)


def test_connects_with_noise_and_yamux(pair: Pair) -> None:
    # Nothing else is on offer on the side of go or py, but for the pairs named tls, which offer TLS first.
    for one, other in both_ways(pair):
        assert other.peer_id in one.connected()


def test_identify_tells_agent_protocols_and_addresses(pair: Pair) -> None:
    for one, other in both_ways(pair):
        identity = learned(one, other, IDENTIFY, PING, ECHO)
        assert identity.agent.startswith(other.agent), identity.agent
        assert PERF in identity.protocols or other.kind == "go"
        assert any(protocol.startswith("/meshsub/1.") for protocol in identity.protocols)


def test_the_listener_tells_the_dialler_its_observed_address(pair: Pair) -> None:
    for one, other in both_ways(pair):
        assert learned(one, other).observed.startswith("/ip4/127.0.0.1/tcp/")


def test_ping(pair: Pair) -> None:
    for one, other in both_ways(pair):
        assert all(0 < one.ping(other.peer_id) < 5 for _ in range(3))


def test_gossipsub_messages_arrive_once_signed_by_their_author(pair: Pair) -> None:
    # Every peer here signs, and refuses what is not signed.
    topic = f"pair-{os.urandom(4).hex()}"
    for peer in pair:
        peer.subscribe(topic)
    for one, other in both_ways(pair):
        eventually(lambda: other.peer_id in one.topic_peers(topic), f"{one.kind} hears of the subscription of {other.kind}")
    for one, other in both_ways(pair):
        for size in (0, 1, 1_000, 60_000, 700_000):
            data = os.urandom(size)
            before = len(other.received(topic))
            one.publish(topic, data)
            eventually(lambda: len(other.received(topic)) > before, f"{size} bytes from {one.kind} arrive at {other.kind}")
            assert [(m.origin, m.data) for m in other.received(topic)[before:]] == [(one.peer_id, data)]


# Without go: its daemon cannot end one direction of a stream alone, as a perf client does when it has uploaded.
@pytest.mark.parametrize("pair", [("ours", "ours"), ("ours", "py"), ("py", "ours")], indirect=True, ids="-dials-".join)
def test_perf(pair: Pair) -> None:
    for one, other in both_ways(pair):
        for upload, download in ((0, 0), (1, 1), (3_000_000, 0), (0, 3_000_000), (1_000_000, 1_000_000)):
            one.perf(other.peer_id, upload, download)


def test_stream_echoes_a_mebibyte(pair: Pair) -> None:
    for one, other in both_ways(pair):
        data = os.urandom(1 << 20)
        back = one.echo(other.peer_id, data)
        assert (len(back), hashlib.sha256(back).digest()) == (len(data), hashlib.sha256(data).digest())


def test_many_streams_one_after_another(pair: Pair) -> None:
    for one, other in both_ways(pair):
        for number in range(50):
            assert one.echo(other.peer_id, b"%d" % number) == b"%d" % number
