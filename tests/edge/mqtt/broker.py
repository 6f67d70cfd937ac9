"""A real mosquitto on loopback, with a password or certificates of its own, and one who listens."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
USER, PASSWORD = "pi", "correct horse"
TIMEOUT_S = 30.0


def until(enough: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while not enough():
        assert time.monotonic() < end_s, what()
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass
class Broker:
    """Started and stopped as often as one likes; what it was to retain is forgotten then."""

    folder: Path
    is_tls: bool = False
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        passwords = self.folder / "passwords"
        passwords.touch(mode=0o600)
        subprocess.run(
            ["mosquitto_passwd", "-b", passwords, USER, PASSWORD], check=True, capture_output=True
        )
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            "persistence false",
            # Or it becomes a user who may not read there.
            "user root",
        ]
        if self.is_tls:
            make_certificates(self.folder)
            lines += [f"certfile {self.folder}/server.pem", f"keyfile {self.folder}/server.key"]
        (self.folder / "mosquitto.conf").write_text("\n".join([*lines, ""]))

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", self.folder / "mosquitto.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def make_certificates(folder: Path) -> None:
    """Make ca.pem, and server.pem with server.key for 127.0.0.1, signed by it; other.pem is not."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        openssl(
            *("req", "-x509", *curve, "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
        )
    openssl("req", *curve, "-subj", "/CN=broker", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"),
        *("-CAcreateserial", "-extfile", "names", "-out", "server.pem"),
    )


class Ear:
    """Hears all that is published; `heard` are topics and payloads in their order."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, str]] = []
        self.retained: dict[str, str] = {}
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        if broker.is_tls:
            self._client.tls_set(str(broker.folder / "ca.pem"))
        self._client.on_connect = lambda client, *_: client.subscribe("#")
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._note
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(TIMEOUT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, topic: str) -> list[str]:
        return [payload for one, payload in self.heard if one == topic]

    def until(self, topic: str, payload: str) -> None:
        """Wait until the last that was heard of a topic is, or holds, `payload`."""
        until(lambda: payload in (self.of(topic) or [""])[-1], lambda: self.heard)

    def _note(self, client: Client, userdata: object, message: MQTTMessage) -> None:  # noqa: ARG002
        payload = message.payload.decode()
        self.heard.append((message.topic, payload))
        if message.retain:
            self.retained[message.topic] = payload
