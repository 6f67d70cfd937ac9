"""What a run broadcasts, by its options: sockets that listen, a broker, tokens."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge import metrics
from edge.backends.base import ModelSpec
from edge.broadcast.address import Address, is_loopback, listen, url_of
from edge.broadcast.arguments import PASSWORD_VARIABLE, TOKEN_VARIABLE, Unseen
from edge.broadcast.latest import Latest
from edge.broadcast.secrets import SecretError, check_token, new_token, read_secret
from edge.broadcast.sender import Sender, Setting
from edge.live import Listener
from edge.mqtt.options import MqttOptions
from edge.mqtt.options import check_installed as check_mqtt_installed
from edge.sources.base import Source
from edge.web.app import EXTRA as WEB_EXTRA
from edge.web.server import check_installed

# What a browser or a scraper asks for first, by option.
PATHS = {"--web": "/", "--metrics": "/metrics"}


@dataclass
class Broadcast(Unseen):
    """What a run broadcasts: its sockets listen until it is closed."""

    sockets: dict[str, socket.socket] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mqtt: MqttOptions | None = None

    @contextmanager
    def on_air(
        self, model: ModelSpec, source: Source, labels: Sequence[str], log: Path | None
    ) -> Iterator[Listener | None]:
        """Broadcast a run while the context lasts, and give what listens to its loop."""
        facts: dict[str, Any] = {
            "model": Path(model.path).name,
            "model_sha256": model.sha256,
            "card": model.card.name if model.card else "",
            "runtime": model.runtime,
            "threads": model.threads,
            "source": source.name,
            "timestamps": source.timestamps,
        }
        fields = {
            "facts": facts,
            "labels": list(labels),
            "log": "" if log is None else str(log.absolute()),
            "hosts": self.hosts,
            "tokens": self.tokens,
            "mqtt": None if self.mqtt is None else self.mqtt.to_json(),
        }
        latest = Latest()
        with Sender(latest, Setting(fields, self.sockets)):
            yield latest

    def listen(self, option: str, text: str, token: str, *, is_service: bool) -> None:
        """Listen at `text` for what `option` names. Raises: EdgeError: see `prepare`."""
        address = Address.parse(text, option)
        listening = self.sockets[option] = listen(address, option)
        self.hosts[option] = address.host
        made = ""
        if not token and not is_loopback(listening):
            if is_service:
                raise SecretError(
                    f"{option} {address}: others than this machine may ask only with a token, and "
                    "one that is made now would stand in the journal; pass --token-file, or "
                    f"${TOKEN_VARIABLE}"
                )
            token = next(iter(self.tokens.values()), "")
            if not token:
                token = made = new_token()
        if token:
            self.tokens[option] = token
        # Behind #, where the page takes it from the link; what is behind it goes to no server.
        path = f"/login#{made}" if made and option == "--web" else PATHS[option]
        self.notes.append(f"{option}: {url_of(listening, address, path)}")
        if made and option != "--web":
            self.notes.append(f"{option}: the token, for this run alone: {made}")

    def close(self) -> None:
        for listening in self.sockets.values():
            listening.close()


def broadcast_of(args: argparse.Namespace, *, is_service: bool) -> Broadcast:
    """Return what the options ask for; see `arguments.prepare`."""
    token = read_secret(args.token_file, TOKEN_VARIABLE)
    if token:
        check_token(token)
    broadcast = Broadcast()
    try:
        if args.web is not None:
            check_installed(WEB_EXTRA)
            broadcast.listen("--web", args.web, token, is_service=is_service)
        if args.metrics is not None:
            metrics.check_installed()
            check_installed(metrics.EXTRA)
            broadcast.listen("--metrics", args.metrics, token, is_service=is_service)
        password = read_secret(args.mqtt_password_file, PASSWORD_VARIABLE)
        if args.mqtt is not None:
            check_mqtt_installed()
            broadcast.mqtt = MqttOptions.parse(
                args.mqtt,
                password,
                ca=args.mqtt_ca,
                confidence=args.mqtt_confidence,
                stable_s=args.mqtt_stable,
                discovery=args.mqtt_discovery,
            )
    except BaseException:
        broadcast.close()
        raise
    return broadcast
