"""Against a real mosquitto: what it hears, and what becomes of it when it goes and comes."""

from __future__ import annotations

import gc
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.device import Health
from edge.latency.incidents import NOTHING, Incidents, Tally
from edge.mqtt import publisher as publisher_module
from edge.mqtt import session as session_module
from edge.mqtt.options import MqttOptions
from edge.mqtt.publisher import Publisher
from edge.mqtt.session import Session, SessionError
from tests.edge.broadcast.runs import FACTS, interval, packed, result, status
from tests.edge.mqtt.broker import MOSQUITTO, PASSWORD, USER, Broker, Ear, free_port, until

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed"),
]
TOPIC = "test/porch"
LABELS = ("cat", "<b>dog", "bird")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "BACK_OFF_S", (0.05, 0.1))
    monkeypatch.setattr(publisher_module, "HEALTH_S", 0.0)
    monkeypatch.setattr(session_module, "LOOP_S", 0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def listen() -> Iterator[Callable[[Broker], Ear]]:
    ears: list[Ear] = []

    def listen(broker: Broker) -> Ear:
        ears.append(Ear(broker))
        return ears[-1]

    yield listen
    for ear in ears:
        ear.close()


class Run:
    """A run of one frame a tenth of a second, as the publisher hears of it."""

    def __init__(self, publisher: Publisher, view: RunView) -> None:
        self._publisher = publisher
        self._view = view
        self._at_ns = time.monotonic_ns() - 1000 * 10**9

    def take(self, message: tuple[str, Any, list[Any]]) -> None:
        made = wire.Message(*packed(message))
        self._view.take(made)
        self._publisher.take(made)

    def see(self, index: int, confidence: float = 0.9, frames: int = 15) -> None:
        for _ in range(frames):
            self._at_ns += 10**8
            one = (self._at_ns - 2_000_000, result(index, confidence=confidence))
            self.take(wire.results_message([one], 0))

    def status(self, notice: str = "") -> None:
        self.take(wire.status_message(status(notice=notice), 0))

    def interval(self, befell: Incidents = NOTHING) -> None:
        self.status()
        self.take(wire.interval_message(interval([2.0, 4.0], befell)))


@contextmanager
def publishing(broker: Broker, **options: Any) -> Iterator[Run]:  # noqa: ANN401
    scheme = "mqtts" if broker.is_tls else "mqtt"
    url = f"{scheme}://{USER}@127.0.0.1:{broker.port}/{TOPIC}"
    password = options.pop("password", PASSWORD)
    view = RunView(facts=FACTS, labels=LABELS, ask_health=lambda: Health(48.5, 0))
    publisher = Publisher(MqttOptions.parse(url, password, **options), view)
    publisher.start()
    try:
        yield Run(publisher, view)
    finally:
        publisher.stop()


def labels(ear: Ear) -> list[str | None]:
    return [json.loads(payload)["label"] for payload in ear.of(f"{TOPIC}/label")]


def test_what_a_broker_hears_of_a_run(broker: Broker, listen: Callable[[Broker], Ear]) -> None:
    broker.start()
    ear = listen(broker)
    with publishing(broker) as run:
        ear.until(f"{TOPIC}/availability", "online")
        run.see(0)
        run.see(1, frames=3)  # too short
        run.see(0)
        run.see(1)
        run.see(1, confidence=0.1)
        run.interval()
        ear.until(f"{TOPIC}/health", "fps")
        until(lambda: len(labels(ear)) == 3)
    ear.until(f"{TOPIC}/availability", "offline")
    assert labels(ear) == ["cat", "<b>dog", None]
    first = json.loads(ear.of(f"{TOPIC}/label")[0])
    assert (first["class"], first["confidence_percent"]) == (0, 90.0)
    health = json.loads(ear.of(f"{TOPIC}/health")[-1])
    assert (health["captured"], health["processed"], health["skipped"]) == (3, 2, 1)
    assert 4.0 * 4 * 0.99 < health["p99_ms"] < 4.0 * 4 * 1.01
    assert health["temperature_c"] == 48.5
    assert health["problems"] == ["no frame gets a label"]  # the stand-in's frames are old
    # Who comes later finds the last of each.
    late = listen(broker)
    until(lambda: f"{TOPIC}/label" in late.retained)
    assert json.loads(late.retained[f"{TOPIC}/label"])["label"] is None
    assert late.retained[f"{TOPIC}/availability"] == "offline"


def healths(ear: Ear) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in ear.of(f"{TOPIC}/health")]


def test_a_broker_hears_at_once_what_is_wrong_and_what_befell(
    broker: Broker, listen: Callable[[Broker], Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "HEALTH_S", 1000.0)
    broker.start()
    ear = listen(broker)
    with publishing(broker) as run:
        run.status()  # long before the first interval is closed
        until(lambda: [h["problems"] for h in healths(ear)] == [[]])
        assert (healths(ear)[0]["fps"], healths(ear)[0]["p99_ms"]) == (None, None)
        for seconds in range(1, 4):  # each second with another number
            run.status(f"no frame for {seconds} s")
        until(lambda: len(healths(ear)) == 2)
        lost = Incidents(outages=Tally(1, 3 * 10**9, 3 * 10**9), blank=4, longest_gap_ns=2 * 10**9)
        run.take(wire.interval_message(interval([2.0], lost)))
        run.status()
        until(lambda: len(healths(ear)) == 3)
    assert [h["problems"] for h in healths(ear)] == [[], ["no frame for 1 s"], []]
    after = healths(ear)[2]
    assert after["incidents"][0] == "the camera was lost once, for 3.0 s"
    assert after["longest_gap_s"] == 2.0
    told = {name: size for name, size in after["since_start"].items() if size}
    assert told == {"outages": 1, "outage_s": 3.0, "blank_frames": 4, "longest_gap_s": 2.0}


def test_a_problem_that_lasts_is_told_anew_but_seldom(
    broker: Broker, listen: Callable[[Broker], Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "HEALTH_S", 0.2)
    broker.start()
    ear = listen(broker)
    with publishing(broker) as run:
        ear.until(f"{TOPIC}/availability", "online")
        run.status("no frame for 1 s")
        until(lambda: len(healths(ear)) == 1)
        run.status("no frame for 2 s")
        time.sleep(0.25)
        run.status("no frame for 3 s")
        until(lambda: len(healths(ear)) == 2)
    assert [h["problems"] for h in healths(ear)] == [["no frame for 1 s"], ["no frame for 3 s"]]


def test_home_assistant_finds_a_device(broker: Broker, listen: Callable[[Broker], Ear]) -> None:
    broker.start()
    ear = listen(broker)
    with publishing(broker) as run:
        run.interval()  # the thermometer is known from then on
        ear.until(f"{TOPIC}/availability", "online")
    found = {t: json.loads(p) for t, p in ear.heard if t.startswith("homeassistant/")}
    kinds = sorted(tuple(topic.split("/")[i] for i in (1, 3, 4)) for topic in found)
    assert [kind[2] for kind in kinds] == ["config"] * len(kinds)
    assert {kind[:2] for kind in kinds} >= {
        ("binary_sensor", "problem"),
        ("sensor", "confidence"),
        ("sensor", "fps"),
        ("sensor", "gap"),
        ("sensor", "notice"),
        ("sensor", "outages"),
        ("sensor", "label"),
        ("sensor", "p99"),
    }
    assert len({config["unique_id"] for config in found.values()}) == len(found)
    assert len({json.dumps(config["device"]) for config in found.values()}) == 1
    for topic, config in found.items():
        # What Home Assistant allows in a topic of discovery.
        assert all(part.replace("_", "").isalnum() for part in topic.split("/"))
        assert config["availability_topic"] == f"{TOPIC}/availability"
        assert config["state_topic"] in (f"{TOPIC}/label", f"{TOPIC}/health")
        assert config["device"]["identifiers"]
        assert config["origin"]["name"] == "edge-deploy"
        # What has all of a topic as attributes says why; the others would only fill a database.
        has_attributes = topic.split("/")[3] in ("label", "problem")
        told = config.get("json_attributes_topic")
        assert told == (config["state_topic"] if has_attributes else None)


def test_without_discovery_nothing_is_told(broker: Broker, listen: Callable[[Broker], Ear]) -> None:
    broker.start()
    ear = listen(broker)
    with publishing(broker, discovery="") as run:
        run.see(0)
        until(lambda: labels(ear) == ["cat"])
    assert not [topic for topic, _ in ear.heard if not topic.startswith(TOPIC)]


def test_a_broker_that_comes_late_goes_and_comes_again_hears_all_in_order(
    broker: Broker, listen: Callable[[Broker], Ear], capsys: pytest.CaptureFixture[str]
) -> None:
    with publishing(broker) as run:
        run.see(0)
        run.see(1)
        time.sleep(0.3)
        broker.start()
        ear = listen(broker)
        # The broker may have heard some of it before the ear was there: the last is retained.
        until(lambda: "<b>dog" in labels(ear))
        broker.stop()
        run.see(2)
        run.see(0)
        time.sleep(0.3)
        broker.start()
        again = listen(broker)
        until(lambda: "cat" in labels(again), lambda: again.heard)
        again.until(f"{TOPIC}/availability", "online")
        assert labels(again) in (["bird", "cat"], ["cat"])
    said = capsys.readouterr().err
    assert said.count("cannot be reached (Connection refused); trying again") == 2
    assert said.count("is there again") == 2


def test_the_newest_state_is_told_to_a_broker_that_forgot(
    broker: Broker, listen: Callable[[Broker], Ear]
) -> None:
    broker.start()
    with publishing(broker) as run:
        first = listen(broker)
        run.see(0)
        until(lambda: labels(first) == ["cat"])
        broker.stop()  # it keeps nothing
        broker.start()
        again = listen(broker)
        until(lambda: labels(again) == ["cat"], lambda: again.heard)


def test_a_run_that_dies_is_offline_by_its_will(
    broker: Broker, listen: Callable[[Broker], Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.start()
    ear = listen(broker)
    # As if the process were gone: no goodbye, and the socket is closed.
    monkeypatch.setattr(Session, "_say_goodbye", lambda session: session._client.socket().close())
    with publishing(broker):
        ear.until(f"{TOPIC}/availability", "online")
    ear.until(f"{TOPIC}/availability", "offline")


def test_a_wrong_password_is_said_once(
    broker: Broker, listen: Callable[[Broker], Ear], capsys: pytest.CaptureFixture[str]
) -> None:
    broker.start()
    ear = listen(broker)
    with publishing(broker, password="wrong") as run:  # noqa: S106
        run.see(0)
        time.sleep(0.5)
    said = capsys.readouterr().err
    assert said.count("refuses us (Not authorized)") == 1
    assert "wrong" not in said
    assert not ear.heard


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("tls"), is_tls=True)
    broker.start()
    yield broker
    broker.stop()


def test_a_broker_with_certificates_of_its_own(
    tls_broker: Broker, listen: Callable[[Broker], Ear]
) -> None:
    ear = listen(tls_broker)
    with publishing(tls_broker, ca=str(tls_broker.folder / "ca.pem")) as run:
        run.see(2)
        until(lambda: labels(ear)[-1:] == ["bird"])


# paho leaves the socket of a failed handshake to the collector.
LEFT = pytest.mark.filterwarnings("ignore:Exception ignored in. <s")


@LEFT
@pytest.mark.parametrize("ca", ["", "other.pem"])
def test_a_broker_that_nobody_vouches_for_hears_nothing(
    ca: str, tls_broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tls_broker.folder / ca) if ca else ""
    ear = Ear(tls_broker)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with publishing(tls_broker, ca=path) as run:
        run.see(0)
        until(lambda: "cannot be reached (" in capsys.readouterr().err)
        time.sleep(1)  # some ten attempts
        gc.collect()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4
    ear.close()
    assert labels(ear) in ([], ["bird"])  # what is retained of the test before


@LEFT
def test_a_broker_without_certificates_is_not_spoken_to(broker: Broker) -> None:
    broker.start()
    options = MqttOptions.parse(f"mqtts://127.0.0.1:{broker.port}/x")
    session = Session(options, Publisher(options, RunView(facts={}, labels=())).outbox)
    with pytest.raises(SessionError, match="cannot be reached"):
        session.run(lambda: False, dict, lambda: None)


def test_one_who_answers_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", port := free_port())):
        options = MqttOptions.parse(f"mqtt://127.0.0.1:{port}/x")
        session = Session(options, Publisher(options, RunView(facts={}, labels=())).outbox)
        with pytest.raises(SessionError, match="does not answer"):
            session.run(lambda: False, dict, lambda: None)
