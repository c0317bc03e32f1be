"""Two subnets and a router: what crosses it, and what does not."""

from __future__ import annotations

from collections.abc import Callable

from harness.lab import Host, Lab
from harness.node import Node, mesh
from waiting import holds

Start = Callable[[Host], Node]


def two_subnets(lab: Lab, count: int) -> tuple[list[Host], list[Host]]:
    left, right = lab.switch("left"), lab.switch("right")
    router = lab.host("router", left, "10.1.0.254/24", "fd01::fe/64", forwards=True)
    router.attach(right, "10.2.0.254/24", "fd02::fe/64", interface="eth1")
    sides = []
    for net, switch in ((1, left), (2, right)):
        hosts = [lab.host(f"n{net}h{n}", switch, f"10.{net}.0.{n}/24", f"fd0{net}::{n}/64") for n in range(1, count + 1)]
        for host in hosts:
            host.default_route(f"10.{net}.0.254", f"fd0{net}::fe")
        sides.append(hosts)
    return sides[0], sides[1]


def test_mdns_alone_does_not_cross_a_router(lab: Lab, node: Start) -> None:
    left, right = two_subnets(lab, 2)
    here, there = ([node(host).open("mdns") for host in side] for side in (left, right))
    mesh(here)
    mesh(there)
    foreign = {one.peer_id for one in there}
    holds(lambda: not foreign & here[0].connected(), "nobody of the other subnet is met", 3, here[0].connected)


def test_one_address_and_gossip_make_one_mesh_of_two_subnets(lab: Lab, node: Start) -> None:
    left, right = two_subnets(lab, 3)
    there = [node(host).open("mdns,gossip") for host in right]
    here = [node(host).open("mdns,gossip", bootstrap_peers=[there[0].address()] if host is left[0] else []) for host in left]
    mesh([*here, *there], 30)


def test_gossip_alone_makes_a_mesh_of_a_line(lab: Lab, node: Start) -> None:
    """Each knows one neighbour, across the router in the middle."""
    left, right = two_subnets(lab, 3)
    nodes: list[Node] = []
    for host in [*left, *right]:
        nodes.append(node(host).open("gossip", bootstrap_peers=[nodes[-1].address()] if nodes else []))
    mesh(nodes, 30)
