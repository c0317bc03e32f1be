"""python-zeroconf, which announces a libp2p peer and browses for others, driven by JSON lines on its standard input; see foreign.py."""

from __future__ import annotations

import json
import secrets
import socket
import sys
import time
from typing import Any

from zeroconf import ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from lines import say

INFO_TIMEOUT = 5_000  # milliseconds


class Listener(ServiceListener):
    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        info = zc.get_service_info(type_, name, timeout=INFO_TIMEOUT)
        if info is None:
            say(event="unresolved", t=time.monotonic(), name=name)
            return
        texts = {key.decode(): None if value is None else value.decode() for key, value in info.properties.items()}
        addresses = info.parsed_scoped_addresses()
        say(event="found", t=time.monotonic(), name=name, port=info.port, server=info.server, texts=texts, addresses=addresses)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        say(event="removed", t=time.monotonic(), name=name)


class Worker:
    def __init__(self, address: str, service: str) -> None:
        self.service = service
        self.zeroconf = Zeroconf(interfaces=[address])
        self.browser = ServiceBrowser(self.zeroconf, service, Listener())

    def announce(self, address: str, port: int, texts: dict[str, str]) -> str:
        """Registers a service; its name."""
        label = secrets.token_hex(16)
        info = ServiceInfo(
            self.service, f"{label}.{self.service}", port, properties=texts, server=f"{label}.local.", addresses=[socket.inet_aton(address)]
        )
        self.zeroconf.register_service(info)
        return label

    def answer(self, request: dict[str, Any]) -> None:
        number = request.pop("id")
        try:
            say(id=number, ok=getattr(self, request.pop("do"))(**request))
        except Exception as error:
            say(id=number, error=f"{type(error).__name__}: {error}")


worker = Worker(sys.argv[1], sys.argv[2])
say(event="ready")
for line in sys.stdin:
    worker.answer(json.loads(line))
worker.zeroconf.close()
