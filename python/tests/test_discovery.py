"""Discovery from Python: options, table, diagnosis, protection, and the variables."""

from __future__ import annotations

from typing import Any

import pytest

import meshnet
from support import PATIENCE, address_of, connected_pair, local, next_of, run_script, sync_connected_pair, sync_next_of

KEY = "hskey-api-never-shown"


@pytest.mark.parametrize("modes", ["none", "mdns", ("mdns", "gossip"), [], meshnet.Discovery(modes=["gossip"], interval=5)])
async def test_modes_in_every_form(modes: Any) -> None:
    async with meshnet.Node(**local(discovery=modes, listens=False, listen_addresses=None, allowed_interfaces=["none*"])) as node:
        assert isinstance(await node.discovery(), meshnet.DiscoveryTable)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"discovery": "multicast"}, "multicast"),
        ({"discovery": ("mdns", "none")}, "'none'"),
        ({"discovery": "dns"}, "MESHNET_DISCOVERY_SERVICE"),
        ({"discovery": "headscale"}, "MESHNET_HEADSCALE_API_URL"),
        ({"mdns_backend": "bonjour"}, "bonjour"),
        ({"discovery_policy": "ignore"}, "ignore"),
        ({"discovery_interval": 0.5}, "interval"),
        ({"app_id": "x" * 65}, "app id"),
        ({"allowed_networks": "10.0.0.0/8"}, "allowed_networks"),
        ({"connections_high_water": 10, "connections_low_water": 20}, "high_water"),
    ],
)
def test_what_cannot_work_is_refused_with_its_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(meshnet.InvalidArgument) as caught:
        meshnet.SyncNode(**local(**options)).start()
    assert words in str(caught.value)


def test_a_peer_id_that_is_none_is_named() -> None:
    for option in ("allowed_peers", "protected_peers"):
        with pytest.raises(meshnet.InvalidPeerID, match="nobody"):
            meshnet.SyncNode(**local(**{option: ["nobody"]})).start()


def test_a_headscale_config_shows_its_key_nowhere() -> None:
    config = meshnet.HeadscaleConfig("https://headscale.example", KEY, 5, 4001)
    assert (config.api_base_url, config.api_key, config.poll_interval_secs, config.port) == ("https://headscale.example", KEY, 5, 4001)
    config.port, config.poll_interval_secs = 4002, 0
    assert KEY not in repr(config) and KEY not in repr(meshnet.Discovery(headscale=config))
    assert "secret" not in repr(meshnet.TailscaleConfig(api_key="secret", client_secret="secret")).replace("client_secret", "")
    with pytest.raises(meshnet.InvalidArgument) as caught:
        meshnet.SyncNode(**local(headscale=config)).start()
    assert "poll interval" in str(caught.value) and KEY not in str(caught.value)


async def test_the_table_tells_who_was_found_by_what() -> None:
    async with meshnet.Node(**local()) as first:
        dead = "/ip4/127.0.0.1/tcp/1"
        async with meshnet.Node(**local(bootstrap_peers=[address_of(first), dead])) as second:
            events = second.events()
            await next_of(events, meshnet.Connected)
            await next_of(events, meshnet.DialFailed)
            table = await second.discovery()
            bootstrap = table.source(meshnet.DiscoverySource.BOOTSTRAP)
            assert bootstrap is not None and bootstrap.state is meshnet.SourceState.RUNNING
            assert bootstrap.succeeded == 1 and bootstrap.failed[meshnet.DialCause.REFUSED] >= 1 and bootstrap.last_success is not None
            states = {entry.address.split("/p2p/")[0]: entry for entry in table.entries}
            assert states[address_of(first)].state is meshnet.EntryState.CONNECTED
            assert states[address_of(first)].peer_id == first.peer_id
            assert states[dead].last_cause is meshnet.DialCause.REFUSED and states[dead].last_detail


def test_the_blocking_node_has_the_same() -> None:
    with sync_connected_pair() as (first, second):
        assert isinstance(second.discovery(), meshnet.DiscoveryTable)
        assert second.protect(first.peer_id) and not second.protect(first.peer_id)
        assert second.unprotect(first.peer_id) and not second.unprotect(first.peer_id)
        second.configure_discovery("none")
        with pytest.raises(meshnet.InvalidArgument):
            second.configure_discovery(meshnet.Discovery(denied_networks=["nonsense"]))
        with pytest.raises(meshnet.InvalidPeerID):
            second.protect("nobody")


async def test_protection_and_reconfiguration() -> None:
    async with connected_pair() as (first, second):
        assert await second.protect(first.peer_id)
        assert not await second.protect(first.peer_id)
        assert await second.unprotect(first.peer_id)
        await second.configure_discovery(meshnet.Discovery(modes="gossip", denied_networks=["10.0.0.0/8"]))
        assert [peer.peer_id for peer in await second.peers()] == [first.peer_id]


def test_networks_of_another_name_are_not_met() -> None:
    with (
        meshnet.SyncNode(**local(network="one")) as first,
        meshnet.SyncNode(**local(network="one")) as same,
        meshnet.SyncNode(**local(network="two")) as other,
    ):
        assert same.connect(address_of(first), timeout=PATIENCE) == first.peer_id
        with pytest.raises(meshnet.DialError):
            other.connect(address_of(first), timeout=PATIENCE)


def test_offered_peers_are_not_dialled() -> None:
    tag = f"_t{meshnet.Keypair.generate().peer_id[-8:].lower()}._udp"
    # None of the two dials, so that what is found is not connected before.
    options = {"discovery": "mdns", "mdns_backend": "embedded", "discovery_policy": "offer", "service_tag": tag, "listen_addresses": None}
    with meshnet.SyncNode(**local(**options)) as first, meshnet.SyncNode(**local(**options)) as second:
        events = second.events()
        while not isinstance(event := events.next(timeout=PATIENCE), meshnet.Discovered):
            assert not isinstance(event, meshnet.DialFailed)
        assert (event.peer_id, event.source) == (first.peer_id, meshnet.DiscoverySource.MDNS) and event.addresses


VARIABLES = """
import asyncio, os, sys
import meshnet as exo_rs

async def main() -> None:
    one, two = (exo_rs.NetworkingHandle(exo_rs.Keypair.generate(), [], 0) for _ in range(2))
    event = await asyncio.wait_for(one.recv(), 20)
    assert isinstance(event, exo_rs.FromSwarm.Connection) and event.connected
    one.close(), two.close()
    print("met")

os.environ.update(zip(sys.argv[1::2], sys.argv[2::2]))
asyncio.run(main())
"""


def test_the_drop_in_honours_the_variables() -> None:
    tag = f"_t{meshnet.Keypair.generate().peer_id[-8:].lower()}._udp"
    met = run_script(VARIABLES, "MESHNET_DISCOVERY_MODE", "mdns", "MESHNET_SERVICE_TAG", tag)
    assert met.stdout == "met\n", met.stderr
    wrong = run_script(VARIABLES, "MESHNET_DISCOVERY_MODE", "multicast")
    assert "MESHNET_DISCOVERY_MODE" in wrong.stderr and "multicast" in wrong.stderr
