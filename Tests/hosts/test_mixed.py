"""All that speak mDNS see each other: our own responder, Avahi, py-libp2p, python-zeroconf; and our answers are laid out for all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.foreign import Avahi, PyPeer, Zeroconf
from harness.lab import Host, Lab
from harness.node import Node, mesh
from harness.packets import ask
from waiting import eventually

Start = Callable[[Host], Node]


def test_every_kind_of_responder_sees_every_other(lab: Lab, node: Start) -> None:
    embedded_a, embedded_b, avahi_a, avahi_b, zeroconf_host, py_host = lab.hosts(6, lab.switch("lan"))
    py_host.default_route("10.77.0.254")  # py-libp2p asks for the address of that route
    with closing(Avahi(avahi_a)), closing(Avahi(avahi_b)):
        ours = [node(host).open("mdns", {"MESHNET_MDNS": "embedded"}) for host in (embedded_a, embedded_b)]
        ours += [node(avahi_a).open("mdns", {"MESHNET_MDNS": "avahi"}), node(avahi_b).open("mdns", {"MESHNET_MDNS": "auto"})]
        with closing(Zeroconf(zeroconf_host, "10.77.0.5")) as zeroconf, closing(PyPeer(py_host, "10.77.0.6")) as py:
            # A node that is announced by python-zeroconf, and does no discovery itself.
            silent = node(zeroconf_host).open("none")
            zeroconf.announce("10.77.0.5", 4001, {"dnsaddr": silent.address("/ip4/10.77.0.5/")})
            mesh(ours, 30)
            everybody = {peer.peer_id for peer in [*ours, silent]} | {py.peer_id}
            for one in ours:
                eventually(lambda: everybody - {one.peer_id} <= one.connected(), f"{one.name} has met all", 30, one.connected)
            eventually(lambda: everybody - {silent.peer_id} <= zeroconf.peers(), "python-zeroconf has found all", 30, zeroconf.peers)
            eventually(lambda: everybody - {py.peer_id} <= py.found(), "py-libp2p has found all", 30, py.found)


def test_avahi_browse_shows_our_nodes_once(lab: Lab, node: Start) -> None:
    here, there = lab.hosts(2, lab.switch("lan"))
    with closing(Avahi(here)) as avahi, closing(Avahi(there)):
        a = node(here).open("mdns", {"MESHNET_MDNS": "avahi"})
        b = node(there).open("mdns", {"MESHNET_MDNS": "avahi"})
        mesh([a, b], 20)
        for one in (a, b):
            eventually(lambda: f"/p2p/{one.peer_id}" in avahi.browse(), f"avahi-browse shows {one.name}", 20, avahi.browse)
            # The other may have found and dialled us before we found it.
            eventually(lambda: one.discovery()["entries"], f"{one.name} has found the other", 20, one.discovery)
            assert {entry["source"] for entry in one.discovery()["entries"]} == {"avahi"}, one.discovery()
        # One is also connected once only, though heard by several interfaces and families.
        assert [peer["peer_id"] for peer in a.call("peers")] == [b.peer_id]


VECTORS = Path(os.environ.get("MESHNET_VECTORS", Path(__file__).parents[3] / "shared" / "vectors")) / "mdns_packets.json"


def test_answers_have_the_layout_that_all_accept(lab: Lab, node: Start) -> None:
    """PTR in the answer section; SRV, TXT, A and AAAA in the additional one; every known form of the question is answered."""
    if not VECTORS.exists():
        pytest.skip("mdns_packets.json is not here: MESHNET_VECTORS names its folder")
    cases = json.loads(VECTORS.read_text())["good"]
    # What every node answers; the answer to the question for services is optional and of another form.
    queries = [case for case in cases if case["kind"] == "query" and case["expect"].startswith("answer") and "only" not in case["expect"][:12]]
    queries = [case for case in queries if case["name"] != "meta-query"]
    assert len(queries) >= 6
    asker, host = lab.hosts(2, lab.switch("lan"))
    one = node(host).open("mdns")
    for case in queries:
        heard = ask(asker, "10.77.0.1", [bytes.fromhex(case["packet"])], 4)
        responses = [packet for packet in heard if packet.source == "10.77.0.2" and packet.is_response]
        about_us = [packet for packet in responses if any(record.type == "TXT" for record in packet.additional)]
        assert about_us, f"{case['name']}: {heard}"
        packet = about_us[0]
        assert [record.type for record in packet.answers] == ["PTR"]
        assert {"SRV", "TXT", "A"} <= {record.type for record in packet.additional}
        assert packet.questions == [] and packet.authorities == []
        texts = b"".join(record.data for record in packet.additional if record.type == "TXT")
        assert b"dnsaddr=/ip4/10.77.0.2/tcp/" in texts and one.peer_id.encode() in texts
        # Each interface is told its own addresses only.
        assert b"127.0.0.1" not in texts and b"::1/" not in texts.replace(b"fd77::", b"")
