"""Who a node is."""

from __future__ import annotations

import os
from typing import final

from . import _meshnet

__all__ = ["Keypair"]


@final
class Keypair:
    """An Ed25519 key pair. Equal when the secrets are; never shows its secret in a repr."""

    __slots__ = ("_native", "_peer_id")

    _native: _meshnet.Keypair
    _peer_id: str

    def __init__(self) -> None:
        raise TypeError("make a key pair by Keypair.generate(), Keypair.from_bytes(secret) or Keypair.load(path)")

    @classmethod
    def _wrap(cls, native: _meshnet.Keypair) -> Keypair:
        self = object.__new__(cls)
        self._native = native
        self._peer_id = native.peer_id()
        return self

    @staticmethod
    def generate() -> Keypair:
        """A new key pair from the kernel's random source."""
        return Keypair._wrap(_meshnet.keypair_generate())

    @staticmethod
    def from_bytes(bytes: bytes | bytearray | memoryview, /) -> Keypair:
        """The key pair of a 32-byte secret. Raises `InvalidKey` for another length."""
        return Keypair._wrap(_meshnet.keypair_from_secret(bytes))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Keypair:
        """Reads a key file: libp2p's private key protobuf. Raises `KeyFileError`, with errno ENOENT when there is no such file."""
        return Keypair._wrap(_meshnet.keypair_load(os.fspath(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a key file that only its owner can read. Never replaces a file: `KeyFileError` with errno EEXIST."""
        self._native.save(os.fspath(path))

    def to_bytes(self) -> bytes:
        """The 32-byte secret. Whoever has it is this node."""
        return self._native.secret()

    def to_node_id(self) -> str:
        """The peer id in its base58 form ("12D3KooW…")."""
        return self._peer_id

    @property
    def peer_id(self) -> str:
        """As `to_node_id`."""
        return self._peer_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keypair) and self._peer_id == other._peer_id

    def __hash__(self) -> int:
        return hash(self._peer_id)

    def __repr__(self) -> str:
        return f"<Keypair {self._peer_id}>"
