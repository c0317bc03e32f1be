"""Multicast DNS as it is on the wire: packets sent and heard on a host, and a reader of their layout (RFC 1035, section 4)."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import sys
from dataclasses import dataclass

from .lab import Host

TYPES = {1: "A", 12: "PTR", 16: "TXT", 28: "AAAA", 33: "SRV"}

#: Who has `_p2p._udp.local`?
QUERY = struct.pack("!6H", 0, 0, 1, 0, 0, 0) + b"\4_p2p\4_udp\5local\0" + struct.pack("!HH", 12, 1)

_ASK = """
import base64, json, select, socket, struct, sys, time
address, seconds, packets = sys.argv[1], float(sys.argv[2]), json.loads(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("", 5353))
own = socket.inet_aton(address)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + own)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
for packet in packets: s.sendto(base64.b64decode(packet), ("224.0.0.251", 5353))
end = time.monotonic() + seconds
while (left := end - time.monotonic()) > 0:
    if select.select([s], [], [], left)[0]:
        data, (source, _) = s.recvfrom(9000)
        print(json.dumps([source, base64.b64encode(data).decode()]), flush=True)
        if source != address and data[2] & 0x80: break
"""


@dataclass(frozen=True)
class Record:
    name: str
    type: str
    ttl: int
    data: bytes


@dataclass(frozen=True)
class Packet:
    source: str
    flags: int
    questions: list[str]
    answers: list[Record]
    authorities: list[Record]
    additional: list[Record]

    @property
    def is_response(self) -> bool:
        return bool(self.flags & 0x8000)


def _name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    end = None
    for _ in range(128):
        length = data[at]
        if length & 0xC0 == 0xC0:
            end = at + 2 if end is None else end
            at = struct.unpack_from("!H", data, at)[0] & 0x3FFF
        elif length == 0:
            return ".".join(labels), at + 1 if end is None else end
        else:
            labels.append(data[at + 1 : at + 1 + length].decode("utf-8", "replace"))
            at += 1 + length
    raise ValueError("a name without end")


def read(source: str, data: bytes) -> Packet:
    _, flags, *counts = struct.unpack_from("!6H", data)
    at, questions = 12, []
    for _ in range(counts[0]):
        name, at = _name(data, at)
        questions.append(name)
        at += 4
    sections: list[list[Record]] = []
    for count in counts[1:]:
        records = []
        for _ in range(count):
            name, at = _name(data, at)
            kind, _, ttl, length = struct.unpack_from("!HHIH", data, at)
            records.append(Record(name, TYPES.get(kind, str(kind)), ttl, data[at + 10 : at + 10 + length]))
            at += 10 + length
        sections.append(records)
    return Packet(source, flags, questions, *sections)


def ask(host: Host, address: str, packets: list[bytes], seconds: float) -> list[Packet]:
    """Sends these from the host's address to the group; what is heard up to the first answer, or in so many seconds."""
    words = json.dumps([base64.b64encode(packet).decode() for packet in packets])
    done = subprocess.run(
        host.command(sys.executable, "-c", _ASK, address, str(seconds), words), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    heard = [json.loads(line) for line in done.stdout.splitlines()]
    return [read(source, base64.b64decode(data)) for source, data in heard]
