"""Sends packets of one kind to the multicast group from one address, as fast as it can, for so many seconds; prints how many.

    flood.py KIND ADDRESS SECONDS
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time

PEERS = 10_000
PEERS_IN_A_PACKET = 8
RESPONSE = 0x8400
ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(data: bytes) -> bytes:
    number, text = int.from_bytes(data, "big"), b""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit : digit + 1] + text
    return text


def name(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


SERVICE = name(b"_p2p", b"_udp", b"local")


def header(flags: int, questions: int = 0, answers: int = 0, additional: int = 0) -> bytes:
    return struct.pack("!6H", 0, flags, questions, answers, 0, additional)


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, 120, len(data)) + data


def peers() -> bytes:
    """Well-formed announcements of peers that do not exist, at addresses of the subnet where nobody is."""
    answers, additional = b"", b""
    for _ in range(PEERS_IN_A_PACKET):
        full = name(os.urandom(16).hex().encode())[:-1] + SERVICE
        peer = base58(bytes([0, 36, 8, 1, 18, 32]) + os.urandom(32))
        text = b"dnsaddr=/ip4/10.77.0.%d/tcp/%d/p2p/%s" % (200 + os.urandom(1)[0] % 40, 1024 + os.urandom(1)[0], peer)
        answers += record(SERVICE, 12, full)
        additional += record(full, 16, bytes([len(text)]) + text)
    return header(RESPONSE, answers=PEERS_IN_A_PACKET, additional=PEERS_IN_A_PACKET) + answers + additional


def loops() -> bytes:
    """Names that point at themselves and at each other."""
    records = b"".join(struct.pack("!BBHHIHBB", 0xC0, 12 + 14 * n, 12, 1, 120, 2, 0xC0, 12) for n in range(15))
    return header(RESPONSE, answers=60) + records + os.urandom(800)


def noise() -> bytes:
    return os.urandom(1_200)


def queries() -> bytes:
    return header(0, questions=1) + SERVICE + struct.pack("!HH", 12, 1)


def main(kind: str, address: str, seconds: float) -> None:
    group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    group.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    group.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    make = {"peers": peers, "loops": loops, "noise": noise, "queries": queries}[kind]
    packets = [make() for _ in range(PEERS // PEERS_IN_A_PACKET)]
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            group.sendto(packets[sent % len(packets)], ("224.0.0.251", 5353))
            sent += 1
        except OSError:
            time.sleep(0.001)
        if sent % 200 == 0:
            time.sleep(0.02)  # so that it floods the nodes, and not the two cores that they share with it
    print(sent)


main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
