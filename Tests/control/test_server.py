"""The test server itself, field by field: what it writes is what each version writes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control_server import EXPIRED_KEY, KEY, TOKEN, VERSIONS, ControlServer, Node, device_json, node_json, ordinal, status_json

FIXTURES = Path(__file__).parent / "fixtures"
# The version whose body a fixture holds.
FIXTURE_OF = {"0.22": "0.22", "0.23": "0.23", "0.24": "0.26", "0.26": "0.26", "0.27": "0.26", "0.28": "0.28", "0.29": "0.28", "0.30": "0.30"}


def kind(value: Any) -> str:
    return type(value).__name__ if value is not None else "null"


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[ControlServer]:
    with ControlServer(request.param, nodes=[Node(3, "mini-a", ["100.64.0.3", "fd7a:115c:a1e0::3"], ["tag:exo"])]) as server:
        yield server


def ask(server: ControlServer, method: str, path: str, body: Any = None, key: str | None = KEY) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, (answer.getheader("Content-Type") or "").split(";")[0], text


def collection(server: ControlServer) -> str:
    return "machine" if server.minor == 22 else "node"


@pytest.mark.parametrize("version", VERSIONS)
def test_nodes_have_the_fields_of_their_version(version: str) -> None:
    listed = json.loads((FIXTURES / f"headscale-{FIXTURE_OF[version]}.json").read_text())
    wanted = next(iter(listed.values()))[0]
    made = node_json(version, Node(3, "mini-a", ["100.64.0.3"], ["tag:exo"]))
    missing_routes = {"approvedRoutes", "availableRoutes", "subnetRoutes"} if version == "0.24" else set()
    assert set(made) == set(wanted) - missing_routes
    for name in set(made) - {"preAuthKey", "lastSeen", "expiry", "approvedRoutes"}:
        assert kind(made[name]) == kind(wanted[name]), name
    assert set(made["user"]) == set(wanted["user"])


def test_devices_and_peers_have_the_fields_of_the_fixtures() -> None:
    device = json.loads((FIXTURES / "tailscale-devices.json").read_text())["devices"][0]
    assert set(device_json(Node(1, "a", [], ["tag:exo"]))) == set(device)
    status = json.loads((FIXTURES / "tailscaled-status.json").read_text())
    made = status_json([Node(1, "a", ["100.64.0.1"]), Node(2, "b", ["100.64.0.2"], ["tag:exo"])])
    assert set(made) <= set(status)
    assert set(next(iter(made["Peer"].values()))) <= set(next(iter(status["Peer"].values())))


def test_the_list_is_where_its_version_has_it(server: ControlServer) -> None:
    status, media, text = ask(server, "GET", f"/api/v1/{collection(server)}")
    assert (status, media) == (200, "application/json")
    assert list(json.loads(text)) == [f"{collection(server)}s"]
    other = "node" if collection(server) == "machine" else "machine"
    status, media, text = ask(server, "GET", f"/api/v1/{other}")
    assert status == 404
    if server.minor >= 30:
        assert text == "404 page not found\n"
    else:
        assert json.loads(text) == {"code": 5, "message": "Not Found", "details": []}
        # The key is asked for first.
        assert ask(server, "GET", f"/api/v1/{other}", key="bad")[0] in (401, 500)


def test_keys_are_refused_as_its_version_does(server: ControlServer) -> None:
    for key, old in [("bad", 500), (EXPIRED_KEY, 401), (None, 401)]:
        status, media, text = ask(server, "GET", f"/api/v1/{collection(server)}", key=key)
        assert status == (old if server.minor <= 26 else 401)
        if server.minor >= 30:
            assert media == "application/problem+json" and json.loads(text)["title"] == "Unauthorized"
        else:
            assert (media, text) == ("text/plain", "Unauthorized")


def test_the_version_is_told_from_027_on(server: ControlServer) -> None:
    assert ask(server, "GET", "/version", key=None)[0] == (200 if server.minor >= 27 else 404)
    assert ask(server, "GET", "/health", key=None)[0] == 200


def test_tags_are_set_and_refused_as_its_version_does(server: ControlServer) -> None:
    path = f"/api/v1/{collection(server)}/3/tags"
    server.tag_owners = {"tag:a", "tag:B"}
    status, _, text = ask(server, "POST", path, {"tags": ["tag:a"]})
    assert status == 200 and list(json.loads(text)) == [collection(server)]
    assert server.nodes[3].tags == ["tag:a"]
    returned = json.loads(text)[collection(server)]
    assert returned["online"] is not (23 <= server.minor <= 26)
    status, _, text = ask(server, "POST", path, {"tags": ["tag:B"]})
    assert status == (500 if 23 <= server.minor <= 29 else 400)
    assert "tag should be lowercase" in text
    assert ("code" in json.loads(text)) is (server.minor < 30)
    status, _, text = ask(server, "POST", path, {"tags": ["tag:unknown"]})
    assert status == (400 if server.minor >= 28 else 200)
    assert ask(server, "POST", path, {"tags": []})[0] == (400 if server.minor >= 28 else 200)
    assert ask(server, "POST", path.replace("3", "9"), {"tags": ["tag:a"]})[0] == 404
    if server.minor >= 30:
        assert ask(server, "POST", path, {"tags": ["tag:a"], "more": 1})[0] == 422


def test_the_second_version_of_the_api_comes_with_030(server: ControlServer) -> None:
    status, _, text = ask(server, "GET", "/api/v2/tailnet/-/devices", key=TOKEN)
    assert (status == 200) is (server.minor >= 30)
    if status == 200:
        assert json.loads(text)["devices"][0]["nodeId"] == "n3CNTRL"
        assert ask(server, "GET", "/api/v2/tailnet/other/devices")[0] == 404


def test_versions_are_in_order() -> None:
    assert [ordinal(version) for version in VERSIONS] == sorted(ordinal(version) for version in VERSIONS)
