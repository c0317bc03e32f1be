"""exo's networking module, name for name: `import meshnet as exo_rs` runs its routing code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from . import events
from ._core import CONSUMER_EVENTS, open_native
from ._loop import Events, LoopDriver
from .keys import Keypair
from .node import Stream

__all__ = ["FromSwarm", "NetworkingHandle"]


class FromSwarm:
    """What `NetworkingHandle.recv` gives: `FromSwarm.Connection` or `FromSwarm.Message`. Read-only, equal when the fields are."""

    __slots__ = ("_fields",)
    __match_args__: tuple[str, ...] = ()
    _fields: tuple[Any, ...]

    def _set(self, *fields: object) -> None:
        object.__setattr__(self, "_fields", fields)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__qualname__}.{name} is read-only")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__qualname__}.{name} is read-only")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FromSwarm) and type(other) is type(self) and other._fields == self._fields

    def __hash__(self) -> int:
        return hash((type(self), self._fields))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._fields

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(self.__match_args__, self._fields))
        return f"{type(self).__qualname__}({fields})"


def _member_of_from_swarm(member: type[FromSwarm]) -> type[FromSwarm]:
    """Gives the class its place: a member of the class that it derives from."""
    name = member.__name__.removeprefix("_")
    member.__name__, member.__qualname__ = name, f"FromSwarm.{name}"
    setattr(FromSwarm, name, member)
    return member


@_member_of_from_swarm
class _Connection(FromSwarm):
    """A peer is connected now, or no longer is."""

    __slots__ = ()
    __match_args__ = ("peer_id", "connected")

    def __init__(self, peer_id: str, connected: bool) -> None:
        self._set(peer_id, connected)

    @property
    def peer_id(self) -> str:
        return self._fields[0]

    @property
    def connected(self) -> bool:
        return self._fields[1]


@_member_of_from_swarm
class _Message(FromSwarm):
    """A message of a topic that we follow."""

    __slots__ = ()
    __match_args__ = ("origin", "topic", "data")

    def __init__(self, origin: str, topic: str, data: bytes) -> None:
        self._set(origin, topic, data)

    @property
    def origin(self) -> str:
        return self._fields[0]

    @property
    def topic(self) -> str:
        return self._fields[1]

    @property
    def data(self) -> bytes:
        return self._fields[2]


class NetworkingHandle:
    """A running node with exo's interface. It is closed by `close`, or when it is no longer referenced."""

    def __init__(self, identity: Keypair, bootstrap_peers: Sequence[str], listen_port: int) -> None:
        """Starts the node at once. An address that cannot be used does not stop it.

        identity: who the node is. bootstrap_peers: multiaddrs, may be empty. listen_port: 0: the kernel picks one.
        Everything else is chosen by the MESHNET_… variables of the environment, such as MESHNET_DISCOVERY_MODE.
        """
        self._driver = LoopDriver(open_native(identity, bootstrap_peers, listen_port, {}), Stream)
        self._events = Events(self._driver, CONSUMER_EVENTS)
        self._driver.core.adopt(self._events)
        self._receiving = False

    async def recv(self) -> FromSwarm:
        """The next connection, disconnection or message.

        Raises RuntimeError when another recv waits already, ConnectionError once the handle is closed.
        """
        if self._receiving:
            raise RuntimeError("recv is waiting already: one recv at a time")
        self._receiving = True
        try:
            while True:
                match await self._events.next():
                    case events.Connected(peer_id=peer_id):
                        return _Connection(peer_id, True)
                    case events.Disconnected(peer_id=peer_id):
                        return _Connection(peer_id, False)
                    case events.Message(topic=topic, data=data, origin=str(origin)):
                        return _Message(origin, topic, data)
        finally:
            self._receiving = False

    async def gossipsub_subscribe(self, topic: str) -> bool:
        """Follows a topic; False when it was followed already."""
        return bool(await self._driver.call(self._driver.core.native.subscribe_start, topic))

    async def gossipsub_unsubscribe(self, topic: str) -> bool:
        """No longer follows a topic; False when it was not followed."""
        return bool(await self._driver.call(self._driver.core.native.unsubscribe_start, topic))

    async def gossipsub_publish(self, topic: str, data: bytes) -> None:
        """Sends a message to everybody who follows the topic.

        Raises NoPeersSubscribedToTopicError, AllQueuesFullError, MessageTooLargeError.
        """
        await self._driver.call(self._driver.core.native.publish_start, topic, data)

    def close(self) -> None:
        """Stops the node. A recv that waits ends with ConnectionError. Blocks: under 1 s."""
        self._driver.close_now()
