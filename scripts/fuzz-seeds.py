#!/usr/bin/env python3
"""Writes inputs to start fuzzing from, taken from the conformance vectors: fuzz-seeds.py FOLDER.

Does nothing when the vectors (MESHNET_VECTORS, or ../shared/vectors beside the checkout) are not there.
Each target gets FOLDER/TARGET with one file for each input, named after its hash.
"""

import hashlib
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The environment names the folder when it is not beside the checkout.
VECTORS = pathlib.Path(os.environ.get("MESHNET_VECTORS", ROOT.parent / "shared" / "vectors"))


def load(name: str) -> dict:
    return json.loads((VECTORS / name).read_text())


def varint(value: int) -> bytes:
    output = bytearray()
    while value >= 0x80:
        output.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(output + bytes([value]))


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def seeds() -> dict[str, list[bytes]]:
    ids, addresses, envelopes = load("peer_ids.json"), load("multiaddr.json"), load("envelopes.json")
    texts = [row["text"].encode() for row in addresses["good"] + addresses["reject_text"]]
    binary = [bytes.fromhex(row["bytes"]) for row in addresses["good"] + addresses["reject_bytes"]]
    sealed = [bytes.fromhex(row["envelope"]) for row in envelopes["envelopes"] + envelopes["malformed"]]
    key_files = [row["text"].encode() if "text" in row else bytes.fromhex(row["file"]) for row in load("pnet.json")["key_files"]]
    signatures = [(bytes.fromhex(row["signature"])[:255], bytes.fromhex(row["public_key_protobuf"])) for row in ids["signatures"]]
    keys = [bytes.fromhex(row["public_key_protobuf"]) for row in ids["keys"] + ids["reject_public_key"]]
    identify = [field(8, envelope) + field(2, address) + field(3, b"/p") for envelope, address in zip(sealed, binary)]
    multistream = load("multistream.json")
    yamux, gossip = load("yamux_frames.json"), load("gossipsub_rpc.json")
    packets = [bytes.fromhex(row["packet"]) for kind in ("good", "hostile") for row in load("mdns_packets.json")[kind]]
    exchange = [field(1, field(1, envelope) + b"\x10" + varint(9 * index)) for index, envelope in enumerate(sealed)]
    return {
        "peer-exchange-message": exchange + [b"".join(exchange)[:4096]],
        # Peers 0 and 1 connect and get streams, then peer 0 sends a message; time passes.
        "peer-exchange": [bytes([4, 5, 16, 17, 12, 28]) + len(message).to_bytes(2, "big") + message + b"\xe0\x18\xe0" for message in exchange],
        "mdns-message": packets,
        "mdns-service": [bytes([0x80 | len(value) >> 8, len(value) & 255]) + value for value in packets],
        "varint": [bytes.fromhex(row["hex"]) for row in load("varint.json")["good"]],
        "peer-id-text": [row[key].encode() for row in ids["keys"] for key in ("base58btc", "cidv1_base32", "cidv1_base36")]
        + [row["text"].encode() for row in ids["reject_text"]],
        "multibase": [value.encode() for row in load("multibase.json")["rows"] for key, value in row.items() if key.startswith("base")],
        "public-key": [bytes([len(signature)]) + signature + key for signature, key in signatures] + [b"\0" + key for key in keys],
        "key-files": key_files + [bytes.fromhex(row["private_key_protobuf"]) for row in ids["private_key_forms"]],
        "envelope": sealed + [bytes.fromhex(row["record"]) for row in envelopes["records"]],
        "identify": [b"\x07" + varint(len(message)) + message for message in identify],
        "multiaddr-text": texts + [bytes.fromhex(text) for text in addresses["no_crash_text"]],
        "bootstrap-address": texts,
        "multiaddr-bytes": binary + [bytes.fromhex(row) for row in addresses["no_crash_bytes"]],
        **{f"multistream-{side}": [b"\x07" + value for value in hexes(multistream)] for side in ("listener", "dialer", "lazy-dialer")},
        "yamux-bytes": [side + value for value in hexes(yamux) for side in (b"\x0e", b"\x0f")],
        # The steps of the gossipsub targets: 0x10 says that peer 0 sends an RPC, 0xe0 lets time pass.
        **{
            f"gossipsub-{policy}": [b"\x10" + bytes([len(value)]) + value + b"\xe0\xe0" for value in hexes(gossip) if len(value) < 256]
            for policy in ("signed", "unsigned")
        },
        **{
            f"noise-{role}": [bytes([len(value)]) + value for value in hexes(load("noise_xx.json")) if len(value) < 256]
            for role in ("responder", "initiator")
        },
    }


def hexes(value: object) -> list[bytes]:
    """Every hex string of a file, in whatever field it stands."""
    if isinstance(value, dict):
        return [found for key, item in value.items() if key not in ("source", "note") for found in hexes(item)]
    if isinstance(value, list):
        return [found for item in value for found in hexes(item)]
    if isinstance(value, str) and len(value) >= 4:
        try:
            return [bytes.fromhex(value)]
        except ValueError:
            return []
    return []


def main() -> None:
    if not VECTORS.is_dir():
        return
    for target, inputs in seeds().items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for value in inputs:
            (folder / hashlib.sha1(value).hexdigest()).write_bytes(value)


if __name__ == "__main__":
    main()
