"""The few encodings that the harness needs by itself: varints, protobuf fields, base58, multiaddrs as text."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field: a varint for numbers, length-delimited for the rest."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


class Fields:
    """The fields of one protobuf message, in order of arrival."""

    def __init__(self, data: bytes) -> None:
        self.values: dict[int, list[int | bytes]] = {}
        at = 0
        while at < len(data):
            key, at = read_varint(data, at)
            if key & 7 == 0:
                number, at = read_varint(data, at)
                self.values.setdefault(key >> 3, []).append(number)
            elif key & 7 == 2:
                length, at = read_varint(data, at)
                self.values.setdefault(key >> 3, []).append(data[at : at + length])
                at += length
            else:
                raise ValueError(f"wire type {key & 7} in field {key >> 3}")

    def number(self, field_number: int, default: int = 0) -> int:
        value = self.values.get(field_number, [default])[-1]
        assert isinstance(value, int)
        return value

    def all(self, field_number: int) -> list[bytes]:
        return [value for value in self.values.get(field_number, []) if isinstance(value, bytes)]

    def one(self, field_number: int) -> bytes:
        found = self.all(field_number)
        return found[-1] if found else b""


def delimited(message: bytes) -> bytes:
    return varint(len(message)) + message


def read_delimited(read: Callable[[int], bytes]) -> bytes:
    """One length-prefixed message; `read(n)` gives exactly n bytes or raises EOFError."""
    length = shift = 0
    while True:
        byte = read(1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return read(length)


def base58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def unbase58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


_NAMES = {4: "ip4", 41: "ip6", 6: "tcp", 273: "udp", 421: "p2p", 461: "quic-v1", 400: "unix", 54: "dns4", 55: "dns6", 53: "dns", 290: "p2p-circuit"}
_CODES = {name: code for code, name in _NAMES.items()}
_FIXED = {4: 4, 41: 16, 6: 2, 273: 2, 461: 0, 290: 0}


def multiaddr_text(data: bytes) -> str:
    """Text of the addresses that peers on this machine announce; an unknown protocol is an error."""
    text, at = "", 0
    while at < len(data):
        code, at = read_varint(data, at)
        if code not in _NAMES:
            raise ValueError(f"multiaddr protocol {code} in {data.hex()}")
        length = _FIXED.get(code)
        if length is None:
            length, at = read_varint(data, at)
        value, at = data[at : at + length], at + length
        text += "/" + _NAMES[code]
        if code in (4, 41):
            text += "/" + str(ipaddress.ip_address(value))
        elif code in (6, 273):
            text += "/" + str(int.from_bytes(value, "big"))
        elif code == 421:
            text += "/" + base58(value)
        elif code == 400:
            text += value.decode()
        elif length:
            text += "/" + value.decode()
    return text


def multiaddr_bytes(text: str) -> bytes:
    if text.startswith("/unix/"):
        return varint(400) + delimited(text[len("/unix") :].encode())
    parts, out = text.strip("/").split("/"), b""
    while parts:
        name = parts.pop(0)
        code = _CODES[name]
        out += varint(code)
        if _FIXED.get(code) == 0:
            continue
        value = parts.pop(0)
        if code in (4, 41):
            out += ipaddress.ip_address(value).packed
        elif code in (6, 273):
            out += int(value).to_bytes(2, "big")
        else:
            out += delimited(unbase58(value) if code == 421 else value.encode())
    return out


def split_peer(address: str) -> tuple[str, str]:
    """`/ip4/…/tcp/…/p2p/ID` into the part before and the id."""
    transport, _, peer = address.rpartition("/p2p/")
    if not transport:
        raise ValueError(f"no /p2p/ in {address}")
    return transport, peer
