"""One connection to a broker, from the first byte to the last, on the thread that calls.

A new one for each connection: what was on its way when one broke goes back into the outbox, so that
nothing old is sent after something newer, and nothing is lost without being counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edge.errors import EdgeError
from edge.mqtt.discovery import AVAILABILITY, node_of
from edge.mqtt.options import MqttOptions
from edge.mqtt.outbox import Letter, Outbox

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import MQTTErrorCode

# A broker that is gone without a word is noticed after half as long again.
KEEP_ALIVE_S = 20
ANSWER_S = 10.0
LOOP_S = 0.1
GOODBYE_S = 2.0
ONLINE, OFFLINE = "online", "offline"
MAX_UNANSWERED = 20


class SessionError(EdgeError):
    """A broker cannot be reached, refuses, or is gone."""


class Session:
    """Connects, and publishes what is in the outbox, at least once each (QoS 1)."""

    def __init__(self, options: MqttOptions, outbox: Outbox) -> None:
        self.is_connected = False
        self._options = options
        self._outbox = outbox
        self._refusal = ""
        self._unanswered: dict[int, Letter | None] = {}
        self._client = self._new_client()

    def run(
        self,
        closing: Callable[[], bool],
        hello: Callable[[], Mapping[str, str]],
        connected: Callable[[], None],
    ) -> None:
        """Publish until `closing` says so, then say goodbye; else the broker publishes the will.

        Args: hello: what to publish first, by topic; connected: called when the broker has
            taken us.
        Raises: SessionError: why it ended before.
        """
        try:
            self._connect(closing)
            if not self.is_connected:
                return
            connected()
            for topic, payload in hello().items():
                self._publish(Letter(topic, payload), ours=True)
            self._publish(self._availability(ONLINE), ours=True)
            self._outbox.renew()
            while not closing():
                self._send_some()
                self._turn()
            self._say_goodbye()
        finally:
            self._outbox.put_back(letter for letter in self._unanswered.values() if letter)
            self._unanswered.clear()

    def _connect(self, closing: Callable[[], bool]) -> None:
        options = self._options
        try:
            self._client.connect(options.host, options.port, keepalive=KEEP_ALIVE_S)
        except (OSError, ValueError) as cause:  # an SSLError is an OSError
            reason = getattr(cause, "verify_message", "") or getattr(cause, "strerror", "") or cause
            raise SessionError(f"cannot be reached ({reason})") from cause
        end_s = time.monotonic() + ANSWER_S
        while not self.is_connected and not closing():
            self._turn()
            if time.monotonic() > end_s:
                raise SessionError("does not answer")

    def _turn(self) -> None:
        from paho.mqtt.enums import MQTTErrorCode

        code: MQTTErrorCode = self._client.loop(LOOP_S)
        if self._refusal:
            raise SessionError(f"refuses us ({self._refusal})")
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise SessionError("has closed the connection")

    def _send_some(self) -> None:
        while len(self._unanswered) < MAX_UNANSWERED and (letter := self._outbox.take()):
            self._publish(letter)

    def _publish(self, letter: Letter, *, ours: bool = False) -> None:
        """Publish a letter; `ours` is of this connection alone, and does not go back."""
        info = self._client.publish(letter.topic, letter.payload, qos=1, retain=True)
        self._unanswered[info.mid] = None if ours else letter

    def _say_goodbye(self) -> None:
        end_s = time.monotonic() + GOODBYE_S
        self._send_some()
        self._publish(self._availability(OFFLINE), ours=True)
        while self._unanswered and time.monotonic() < end_s:
            self._turn()
        self._client.disconnect()

    def _availability(self, payload: str) -> Letter:
        return Letter(f"{self._options.topic}/{AVAILABILITY}", payload)

    def _new_client(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        options = self._options
        # One who publishes under the same topic takes our place, and we theirs: there is one.
        client = Client(CallbackAPIVersion.VERSION2, client_id=node_of(options.topic))
        client.connect_timeout = ANSWER_S
        client.max_inflight_messages_set(2 * MAX_UNANSWERED)
        if options.user:
            client.username_pw_set(options.user, options.password or None)
        if (context := options.tls_context()) is not None:
            client.tls_set_context(context)
        will = self._availability(OFFLINE)
        client.will_set(will.topic, will.payload, qos=1, retain=True)

        def on_connect(*arguments: object) -> None:
            code = arguments[3]
            if getattr(code, "is_failure", True):
                self._refusal = str(code)
            else:
                self.is_connected = True

        def on_publish(*arguments: object) -> None:
            mid = arguments[2]
            if isinstance(mid, int):
                self._unanswered.pop(mid, None)

        client.on_connect = on_connect
        client.on_publish = on_publish
        return client
