"""Nodes heal by themselves when interfaces, hosts and daemons come, go and change, and keep the connections that live."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from conftest import LONG
from harness.foreign import Avahi
from harness.lab import Host, Lab
from harness.node import Node, mesh
from waiting import eventually, holds

Start = Callable[[Host], Node]

#: Seconds for which a host is suspended.
SUSPENDED = 30.0 if LONG else 10.0
#: mDNS asks at 0, 0.25, 0.5, 1, 2 … s after a change: who is there is found in the first seconds.
SOON = 10.0


def disconnections(*nodes: Node) -> list[object]:
    return [event for node in nodes for event in node.lost()]


def test_an_interface_that_is_added_is_used_at_once(lab: Lab, node: Start) -> None:
    left, right = lab.switch("left"), lab.switch("right")
    a, b = lab.host("a", left, "10.1.0.1/24"), lab.host("b", right, "10.2.0.2/24")
    here, there = node(a).open("mdns"), node(b).open("mdns")
    holds(lambda: not here.connected(), "they are apart", 2, here.connected)
    a.attach(right, "10.2.0.1/24", interface="eth1")
    mesh([here, there], SOON)


def test_an_interface_that_is_removed_takes_nothing_else_with_it(lab: Lab, node: Start) -> None:
    left, right = lab.switch("left"), lab.switch("right")
    a = lab.host("a", left, "10.1.0.1/24")
    a.attach(right, "10.2.0.1/24", interface="eth1")
    b, c = lab.host("b", left, "10.1.0.2/24"), lab.host("c", right, "10.2.0.3/24")
    here, by_left, by_right = (node(host).open("mdns", ping_interval=1, ping_timeout=2) for host in (a, b, c))
    eventually(lambda: here.connected() == {by_left.peer_id, by_right.peer_id}, "the one between both has met both", SOON, here.connected)
    a.detach("eth0")
    late = node(lab.host("d", right, "10.2.0.4/24")).open("mdns")
    eventually(lambda: {by_right.peer_id, late.peer_id} <= here.connected(), "the other interface goes on", SOON, here.connected)
    assert here.reaches(by_right, late) and not here.reaches(by_left)
    assert not by_right.lost()
    # And it is back as if it had never been gone.
    a.attach(left, "10.1.0.1/24", interface="eth0")
    eventually(lambda: here.reaches(by_left), "the first neighbour is met again", 2 * SOON, here.connected)
    assert not by_right.lost()


def test_hosts_whose_network_is_renumbered_meet_again(lab: Lab, node: Start) -> None:
    a, b = lab.hosts(2, lab.switch("lan"), ipv6=False)
    here, there = (node(host).open("mdns", ping_interval=1, ping_timeout=2) for host in (a, b))
    mesh([here, there], SOON)
    for number, host in ((1, a), (2, b)):
        host.remove_addresses(f"10.77.0.{number}/24")
        host.add_addresses(f"192.168.9.{number}/24")
    third = node(lab.host("c", a._switches["eth0"], "192.168.9.3/24")).open("mdns")
    nodes = [here, there, third]

    def renumbered() -> bool:
        addresses = [peer["address"] for one in nodes for peer in one.call("peers")]
        return len(addresses) == 6 and not any("/10.77." in address for address in addresses)

    eventually(renumbered, "all are connected by their new addresses", 3 * SOON, lambda: [one.call("peers") for one in nodes])
    assert here.reaches(there, third) and there.reaches(third)


def test_a_link_that_was_down_is_used_again(lab: Lab, node: Start) -> None:
    a, b = lab.hosts(2, lab.switch("lan"))
    a.down()
    here, there = node(a).open("mdns"), node(b).open("mdns")
    holds(lambda: not here.connected(), "they are apart", 1, here.connected)
    a.up()
    mesh([here, there], SOON)


def test_a_cable_that_was_out_for_a_while(lab: Lab, node: Start) -> None:
    a, b = lab.hosts(2, lab.switch("lan"))
    here, there = (node(host).open("mdns", ping_interval=1, ping_timeout=1) for host in (a, b))
    mesh([here, there], SOON)
    a.unplug()
    eventually(lambda: not here.connected() and not there.connected(), "both notice", 20)
    a.plug()
    mesh([here, there], 40)
    assert here.reaches(there)


def test_a_suspended_host_is_back_when_it_wakes(lab: Lab, node: Start) -> None:
    """The clock goes on while the process stands still, as under a closed lid."""
    hosts = lab.hosts(3, lab.switch("lan"))
    nodes = [node(host).open("mdns") for host in hosts]
    mesh(nodes, SOON)
    sleeper, awake = nodes[0], nodes[1:]
    sleeper.suspend()
    late = node(lab.host("late", hosts[0]._switches["eth0"], "10.77.0.99/24", "fd77::99/64")).open("mdns")
    holds(lambda: awake[1].peer_id in awake[0].connected(), "the others stay connected", SUSPENDED)
    sleeper.resume()
    mesh([*nodes, late], 2 * SOON)
    eventually(lambda: sleeper.reaches(*awake, late), "it answers all and all answer it", 2 * SOON)
    assert not [event for event in disconnections(*awake) if event["peer_id"] != sleeper.peer_id]  # type: ignore[index]


def test_a_restarted_node_with_another_port_is_met_at_once(lab: Lab, node: Start) -> None:
    a, b = (node(host) for host in lab.hosts(2, lab.switch("lan")))
    a.open("mdns")
    b.open("mdns")
    mesh([a, b], SOON)
    b.kill()
    again = node(b.host)
    again.open("mdns", identity=None)
    mesh([a, again], SOON)


def test_a_crashed_node_with_its_identity_is_met_again_at_its_new_port(lab: Lab, node: Start) -> None:
    a, b = (node(host) for host in lab.hosts(2, lab.switch("lan")))
    a.open("mdns", ping_interval=1, ping_timeout=1)
    b.open("mdns")
    mesh([a, b], SOON)
    identity, before = b.call("secret_identity"), b.address()
    b.kill()
    again = node(b.host).open("mdns", identity=identity)
    assert again.address() != before
    mesh([a, again], SOON)


def test_nodes_meet_again_after_avahi_was_restarted(lab: Lab, node: Start) -> None:
    a, b, c = lab.hosts(3, lab.switch("lan"))
    env = {"MESHNET_MDNS": "avahi"}
    with closing(Avahi(a)) as avahi, closing(Avahi(b)), closing(Avahi(c)):
        here, there = node(a).open("mdns", env), node(b).open("mdns", env)
        mesh([here, there], 2 * SOON)
        avahi.stop()
        holds(lambda: there.peer_id in here.connected(), "the connection lives without the daemon", 2, here.connected)
        avahi.start()
        late = node(c).open("mdns", env)
        mesh([here, there, late], 3 * SOON)
        eventually(lambda: f"/p2p/{here.peer_id}" in avahi.browse(), "the new daemon shows our node", 2 * SOON, avahi.browse)
        assert disconnections(here, there) == []
