"""A mesh of mixed nodes: every node is given every message exactly once, directly or through others."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from conftest import need
from harness.peer import Peer
from waiting import eventually
from harness.worker_peer import OurPeer

MESSAGES = 1_000


def dial_ring_with_chords(nodes: list[Peer]) -> None:
    """Each dials the next and the one after it: nobody knows everybody, so that forwarding is needed."""
    count = len(nodes)
    steps = (1, 2) if count > 4 else (1,)
    for index, node in enumerate(nodes):
        for step in steps:
            node.connect(nodes[(index + step) % count].address)
    for index, node in enumerate(nodes):
        around = {nodes[(index + step) % count].peer_id for s in steps for step in (s, -s)}
        eventually(lambda: around <= node.connected(), f"{node.kind} is connected to its {len(around)} neighbours", 20, node.connected)


def subscribe_all(nodes: list[Peer], topic: str) -> None:
    for node in nodes:
        node.subscribe(topic)
    everybody = {node.peer_id for node in nodes}
    for node in nodes:
        wanted = (node.connected() & everybody) - {node.peer_id}
        eventually(lambda: wanted <= node.topic_peers(topic), f"{node.kind} hears of all subscriptions", 20, lambda: node.topic_peers(topic))


@pytest.mark.parametrize(
    "kinds",
    [("go", "py", "go", "py"), ("ours", "go", "py", "ours", "go", "py")],
    ids=["four-foreign-nodes", "six-mixed-nodes"],
)
def test_every_node_receives_every_message_once(kinds: tuple[str, ...], start: Callable[[str], Peer]) -> None:
    need(*kinds)
    nodes = [start(kind) for kind in kinds]
    topic = f"mesh-{os.urandom(4).hex()}"
    dial_ring_with_chords(nodes)
    subscribe_all(nodes, topic)

    # One round is one message from every node; the next round starts when all have the last one. The queues of go hold 32
    # messages and drop what is above, so a flood would test those and not the mesh.
    published: dict[bytes, Peer] = {}
    for start_of_round in range(0, MESSAGES, len(nodes)):
        for number in range(start_of_round, min(start_of_round + len(nodes), MESSAGES)):
            author = nodes[number % len(nodes)]
            data = b"%d from %s" % (number, author.peer_id.encode())
            published[data] = author
            author.publish(topic, data)
        for node in nodes:
            expected = sum(author is not node for author in published.values())
            eventually(lambda: len(node.received(topic)) >= expected, f"{node.kind} has {expected}", 20, lambda: len(node.received(topic)))

    assert len(published) == MESSAGES
    for node in nodes:
        got = node.received(topic)
        assert sorted(m.data for m in got) == sorted(data for data, author in published.items() if author is not node)
        assert all(m.origin == published[m.data].peer_id for m in got)


def test_retained_values_are_plain_messages_to_others(start: Callable[[str], Peer]) -> None:
    """Go and py see messages and nothing else; one of ours that comes late gets the last value from another one, through them or not."""
    need("ours", "go", "py")
    nodes = [start(kind) for kind in ("ours", "go", "ours", "py")]
    topic = f"kept-{os.urandom(4).hex()}"
    for node in nodes[1:]:
        nodes[0].connect(node.address)
    for node in nodes[1:]:
        eventually(lambda: nodes[0].peer_id in node.connected(), f"{node.kind} is connected", 20, node.connected)
    subscribe_all(nodes, topic)
    author = nodes[0]
    assert isinstance(author, OurPeer)
    values = [b"%d" % number for number in range(20)]
    for number, value in enumerate(values):
        author.publish_retained(topic, value)
        for node in nodes[1:]:
            eventually(lambda: len(node.received(topic)) > number, f"{node.kind} has value {number}", 20, lambda: node.received(topic))
    late = start("ours")
    late.connect(nodes[2].address)
    late.subscribe(topic)
    eventually(lambda: len(late.received(topic)) > 0, "the late one has the last value", 20, lambda: late.received(topic))
    nodes[1].publish(topic, b"from go")
    for node in [author, nodes[2], nodes[3]]:
        eventually(lambda: [m.data for m in node.received(topic)][-1:] == [b"from go"], f"{node.kind} hears go", 20, lambda: node.received(topic))
    for node in nodes[1:]:
        assert [message.data for message in node.received(topic) if message.origin == author.peer_id] == values
        assert author.peer_id in node.connected()
    assert [(message.data, message.origin) for message in late.received(topic)][0] == (values[-1], author.peer_id)
