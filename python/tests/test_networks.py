"""Private networks by name and secret, from the side of the caller."""

from __future__ import annotations

import pytest

import meshnet

SWARM_KEY = "/key/swarm/psk/1.0.0/\n/base16/\n" + "ab" * 32 + "\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secret": "\n"}, "1 to 1024"),
        ({"network": ""}, "1 to 256"),
        ({"network": "n" * 257}, "257 bytes"),
        ({"secret": SWARM_KEY, "network": "kitchen"}, "leave the name out"),
        ({"secret": "one", "pre_shared_key": SWARM_KEY.encode()}, "give one of them"),
        ({"secret": "/key/swarm/psk/1.0.0/\n" + "ab" * 32}, "swarm.key"),
    ],
)
def test_a_network_that_cannot_be_made_says_why_and_shows_no_secret(options: dict[str, object], words: str) -> None:
    with pytest.raises(meshnet.InvalidKey, match=words) as failure:
        meshnet.SyncNode(identity=meshnet.Keypair.generate(), bootstrap_peers=[], listen_port=0, discovery="none", **options).start()
    assert "abab" not in f"{failure.value} {failure.value!r} {failure.value.detail}"
