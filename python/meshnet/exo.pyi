"""The types of exo.py. A stub, since only a stub can say that the members of FromSwarm derive from it."""

from collections.abc import Sequence
from typing import ClassVar, final

from .keys import Keypair

__all__ = ["FromSwarm", "NetworkingHandle"]

class FromSwarm:
    """What `NetworkingHandle.recv` gives: `FromSwarm.Connection` or `FromSwarm.Message`."""

    __match_args__: ClassVar[tuple[str, ...]]

    @final
    class Connection(FromSwarm):
        """A peer is connected now, or no longer is."""

        __match_args__ = ("peer_id", "connected")
        def __init__(self, peer_id: str, connected: bool) -> None: ...
        @property
        def peer_id(self) -> str: ...
        @property
        def connected(self) -> bool: ...

    @final
    class Message(FromSwarm):
        """A message of a topic that we follow."""

        __match_args__ = ("origin", "topic", "data")
        def __init__(self, origin: str, topic: str, data: bytes) -> None: ...
        @property
        def origin(self) -> str: ...
        @property
        def topic(self) -> str: ...
        @property
        def data(self) -> bytes: ...

class NetworkingHandle:
    """A running node with exo's interface. It is closed by `close`, or when it is no longer referenced."""

    def __init__(self, identity: Keypair, bootstrap_peers: Sequence[str], listen_port: int) -> None:
        """Starts the node at once. An address that cannot be used does not stop it.

        identity: who the node is. bootstrap_peers: multiaddrs, may be empty. listen_port: 0: the kernel picks one.
        Everything else is chosen by the MESHNET_… variables of the environment, such as MESHNET_DISCOVERY_MODE.
        """

    async def recv(self) -> FromSwarm:
        """The next connection, disconnection or message.

        Raises RuntimeError when another recv waits already, ConnectionError once the handle is closed.
        """

    async def gossipsub_subscribe(self, topic: str) -> bool:
        """Follows a topic; False when it was followed already."""

    async def gossipsub_unsubscribe(self, topic: str) -> bool:
        """No longer follows a topic; False when it was not followed."""

    async def gossipsub_publish(self, topic: str, data: bytes) -> None:
        """Sends a message to everybody who follows the topic.

        Raises NoPeersSubscribedToTopicError, AllQueuesFullError, MessageTooLargeError.
        """

    def close(self) -> None:
        """Stops the node. A recv that waits ends with ConnectionError. Blocks: under 1 s."""
