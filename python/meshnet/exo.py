"""exo's networking module, name for name: `import meshnet as exo_rs` runs its routing code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ._core import CONSUMER_EVENTS, open_native
from ._loop import Events, LoopDriver
from .events import Connected, Disconnected, Message
from .keys import Keypair
from .node import Stream

__all__ = ["FromSwarm", "NetworkingHandle"]


class _Frozen:
    """Read-only fields, in the order of `__match_args__`."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is read-only")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is read-only")

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Frozen) and other._fields() == self._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._fields()

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__qualname__}({fields})"


class FromSwarm(_Frozen):
    """What `NetworkingHandle.recv` gives: `FromSwarm.Connection` or `FromSwarm.Message`."""

    __slots__ = ()

    # Set below: they are subclasses of this class.
    Connection: ClassVar[type[_Connection]]
    Message: ClassVar[type[_Message]]


class _Connection(FromSwarm):
    """A peer is connected now, or no longer is."""

    __slots__ = ("connected", "peer_id")
    __match_args__ = ("peer_id", "connected")

    peer_id: str
    connected: bool

    def __init__(self, peer_id: str, connected: bool) -> None:
        object.__setattr__(self, "peer_id", peer_id)
        object.__setattr__(self, "connected", connected)


class _Message(FromSwarm):
    """A message of a topic that we follow."""

    __slots__ = ("data", "origin", "topic")
    __match_args__ = ("origin", "topic", "data")

    origin: str
    topic: str
    data: bytes

    def __init__(self, origin: str, topic: str, data: bytes) -> None:
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "topic", topic)
        object.__setattr__(self, "data", data)


for _name, _class in (("Connection", _Connection), ("Message", _Message)):
    setattr(FromSwarm, _name, _class)
    _class.__name__ = _name
    _class.__qualname__ = f"FromSwarm.{_name}"


class NetworkingHandle:
    """A running node with exo's interface. It is closed by `close`, or when it is no longer referenced."""

    def __init__(self, identity: Keypair, bootstrap_peers: Sequence[str], listen_port: int) -> None:
        """Starts the node at once. An address that cannot be used does not stop it.

        identity: who the node is. bootstrap_peers: multiaddrs, may be empty. listen_port: 0: the kernel picks one.
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
                    case Connected(peer_id=peer_id):
                        return _Connection(peer_id, True)
                    case Disconnected(peer_id=peer_id):
                        return _Connection(peer_id, False)
                    case Message(topic=topic, data=data, origin=str(origin)):
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
