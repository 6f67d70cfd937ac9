from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

from edge.errors import MissingExtraError
from edge.mqtt.options import MqttError, MqttOptions, check_installed


@pytest.mark.parametrize(
    ("url", "host", "port", "topic", "user", "is_tls"),
    [
        ("mqtts://pi@broker.lan/porch", "broker.lan", 8883, "porch", "pi", True),
        ("mqtt://10.0.0.2:1884/a/b%20c", "10.0.0.2", 1884, "a/b c", "", False),
        ("mqtts://u%40x@[fe80::1]:1/é", "fe80::1", 1, "é", "u@x", True),
    ],
)
def test_what_a_url_says(
    url: str, host: str, port: int, topic: str, user: str, is_tls: bool
) -> None:
    options = MqttOptions.parse(url)
    assert (options.host, options.port, options.topic) == (host, port, topic)
    assert (options.user, options.is_tls) == (user, is_tls)
    assert MqttOptions.from_json(options.to_json()) == options


def test_without_a_topic_it_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "porch")
    for url in ("mqtt://broker", "mqtt://broker/"):
        assert MqttOptions.parse(url).topic == "edge-live/porch"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "http://broker/x",
        "mqtt:broker",
        "mqtt:///x",
        "mqtt://bro ker/x",
        "mqtt://broker:0/x",
        "mqtt://broker:65536/x",
        "mqtt://broker:x/x",
        "mqtt://-broker/x",
        "mqtt://a..b/x",
        "mqtt://[::1/x",
        "mqtt://broker/x?y",
        "mqtt://broker/x#y",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(MqttError, match=re.escape("allowed: mqtts://[USER@]HOST[:PORT][/TOPIC]")):
        MqttOptions.parse(url)


@pytest.mark.parametrize("topic", ["a+b", "%23", "a//b", "$SYS", "a/", "x" * 201, "a%00b", "%0A"])
def test_what_is_no_topic(topic: str) -> None:
    with pytest.raises(MqttError, match="allowed: words with / between them"):
        MqttOptions.parse(f"mqtt://broker/{topic}")
    MqttOptions.parse(f"mqtt://broker/{'x' * 200}")


def test_a_password_is_in_no_url_and_in_no_message() -> None:
    for url in ("mqtts://pi:hush@broker/x", "mqtts://pi:hush@bro ker/x", "http://pi:hush@broker"):
        with pytest.raises(MqttError) as caught:
            MqttOptions.parse(url)
        assert "hush" not in str(caught.value)
    with pytest.raises(MqttError, match="a password needs a user"):
        MqttOptions.parse("mqtts://broker/x", "hush")
    assert "hush" not in repr(MqttOptions.parse("mqtts://pi@broker/x", "hush"))


def test_certificates_are_looked_at_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for path in (tmp_path / "ca.pem", tmp_path / "missing"):
        with pytest.raises(MqttError, match="no certificates can be read there"):
            MqttOptions.parse("mqtts://broker/x", ca=str(path))
    with pytest.raises(MqttError, match="only mqtts:// has certificates"):
        MqttOptions.parse("mqtt://broker/x", ca=str(tmp_path / "ca.pem"))
    context = MqttOptions.parse("mqtts://broker/x").tls_context()
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert MqttOptions.parse("mqtt://broker/x").tls_context() is None


def test_the_prefix_of_discovery_is_a_topic_or_nothing() -> None:
    assert MqttOptions.parse("mqtt://broker/x", discovery="").discovery == ""
    with pytest.raises(MqttError, match="--mqtt-discovery"):
        MqttOptions.parse("mqtt://broker/x", discovery="a/#")


def test_a_missing_client_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[mqtt\]"):
        check_installed()
