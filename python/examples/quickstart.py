"""Two nodes in one program: the second dials the first, both follow a topic, one message goes over."""

import asyncio

from meshnet import Keypair, Message, Node, Subscription


async def main() -> None:
    async with Node(identity=Keypair.generate()) as alice, Node(identity=Keypair.generate()) as bob:
        await bob.subscribe("news")
        events = alice.events()
        await alice.connect(bob.listen_addresses()[0], timeout=10)
        async for event in events:
            if isinstance(event, Subscription):  # bob follows the topic
                await alice.publish("news", b"hello, mesh")
                break
        async for event in bob:
            match event:
                case Message(topic, data, origin):
                    print(f"{topic}: {origin} says {data.decode()}")
                    break


asyncio.run(main())
