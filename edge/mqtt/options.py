"""Where to publish, and what: the URL of a broker and a topic, checked before the run begins."""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from edge.errors import EdgeError, MissingExtraError
from edge.mqtt import HOME_ASSISTANT
from edge.text import printable

EXTRA = "mqtt"
PORTS = {"mqtt": 1883, "mqtts": 8883}
MAX_TOPIC_BYTES = 200
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*\.?")


class MqttError(EdgeError):
    """A broker, a topic or a certificate cannot be used."""


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """A broker and a topic, and when a label counts as changed.

    A class must be the best for `stable_s` without a break, each time with `confidence` at least.
    `discovery` is Home Assistant's prefix, "" for none. `ca` names a file of certificates to trust
    instead of the system's.
    """

    host: str
    port: int
    topic: str
    is_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    confidence: float = 0.5
    stable_s: float = 1.0
    discovery: str = HOME_ASSISTANT

    @classmethod
    def parse(cls, url: str, password: str = "", **more: Any) -> MqttOptions:  # noqa: ANN401
        """Read `mqtt[s]://[USER@]HOST[:PORT][/TOPIC]`; `more` are other fields.

        Raises: MqttError: it is none, or the certificates cannot be read.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _refused(url) from None
        if parts.password is not None:
            raise MqttError(
                "--mqtt: a password in the URL is there for all to read in the list of processes; "
                "pass it with --mqtt-password-file"
            )
        host = parts.hostname or ""
        if parts.scheme not in PORTS or parts.query or parts.fragment or not is_host(host):
            raise _refused(url)
        user = unquote(parts.username or "")
        if password and not user:
            raise MqttError("--mqtt: a password needs a user: mqtts://USER@HOST/TOPIC")
        topic = unquote(parts.path.removeprefix("/")) or f"edge-live/{socket.gethostname()}"
        options = cls(
            host=host,
            port=PORTS[parts.scheme] if port is None else port,
            topic=checked_topic(topic, "--mqtt"),
            is_tls=parts.scheme == "mqtts",
            user=user,
            password=password,
            **more,
        )
        if options.port == 0:
            raise _refused(url)
        if options.ca and not options.is_tls:
            raise MqttError("--mqtt-ca: only mqtts:// has certificates")
        if options.discovery:
            checked_topic(options.discovery, "--mqtt-discovery")
        options.tls_context()
        return options

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what to trust, None without TLS. Raises: MqttError: `ca` cannot be read."""
        if not self.is_tls:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as cause:
            raise MqttError(
                f"--mqtt-ca {printable(self.ca)}: no certificates can be read there ({cause}); "
                "allowed: a file of certificates in PEM"
            ) from cause

    @property
    def broker(self) -> str:
        """What to call the broker in a message."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.is_tls else 'mqtt'}://{host}:{self.port}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> MqttOptions:
        return cls(**fields)


def check_installed() -> None:
    """Raises: MissingExtraError: paho-mqtt is not installed."""
    if importlib.util.find_spec("paho") is None:
        raise MissingExtraError("paho-mqtt", EXTRA)


def is_host(text: str) -> bool:
    """Return whether `text` is the name or the address of a host."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _NAME.fullmatch(text) is not None
    return True


def checked_topic(topic: str, option: str) -> str:
    """Return `topic`. Raises: MqttError: nothing can be published there (MQTT 3.1.1, 4.7)."""
    levels = topic.split("/")
    if (
        not all(levels)
        or not topic.isprintable()
        or topic.startswith("$")
        or set(topic) & set("+#")
        or len(topic.encode()) > MAX_TOPIC_BYTES
    ):
        raise MqttError(
            f"{option}: the topic {printable(topic)[:80]!r}; allowed: words with / between them, "
            f"without + and #, not beginning with $, {MAX_TOPIC_BYTES} bytes at most"
        )
    return topic


def _refused(url: str) -> MqttError:
    # Not what stands before an @: it may be a password in a place where none is known.
    shown = printable(url.rpartition("@")[2])[:80]
    return MqttError(
        f"--mqtt {shown!r}; allowed: mqtts://[USER@]HOST[:PORT][/TOPIC], or mqtt:// without "
        "encryption"
    )
