from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edge.device import Health
from edge.live.health import HealthWatch

UNDER, CAPPED = "under-voltage", "frequency capped"


def watch(*readings: Health) -> HealthWatch:
    """Return a watch that has had the first of these readings, as after its start."""
    given: Iterator[Health] = iter(readings)
    watching = HealthWatch(lambda: next(given))
    watching.sample()
    return watching


def flags(*readings: int | None, before: int | None = 0) -> list[str]:
    watching = watch(*(Health(None, bits) for bits in (before, *readings)))
    watching.take()
    for _ in readings:
        watching.sample()
    return watching.take().flags_now


def test_a_flag_counts_if_it_was_on_at_any_reading() -> None:
    assert flags(0x0, 0x10001, 0x10000) == [UNDER]
    assert flags(0x0, 0x0) == []


def test_a_flag_counts_that_rose_and_fell_between_two_readings() -> None:
    assert flags(0x10000) == [UNDER]
    assert flags(0x10000, 0x30000) == [UNDER, CAPPED]


def test_what_was_on_before_the_run_does_not_count() -> None:
    assert flags(0x50000, before=0x50000) == []
    first = watch(Health(None, 0x50000)).take()
    assert (first.flags_now, first.flags_since_boot) == ([], [UNDER, "throttled"])


def test_a_flag_that_stays_on_counts_in_every_interval_and_then_no_more() -> None:
    watching = watch(*(Health(None, bits) for bits in (0x10001, 0x10001, 0x10000, 0x10000)))
    taken = [watching.take().flags_now]
    for _ in range(3):
        watching.sample()
        taken.append(watching.take().flags_now)
    # The third began while it was on.
    assert taken == [[UNDER], [UNDER], [UNDER], []]
    assert watching.take().flags_now == []


def test_an_interval_shorter_than_a_reading_knows_what_was_known() -> None:
    watching = watch(Health(50.0, 0x10001))
    for _ in range(3):
        taken = watching.take()
        assert (taken.temperature_c, taken.flags_now) == (50.0, [UNDER])


def test_a_reading_without_an_answer_loses_nothing() -> None:
    assert flags(0x10001, None, None) == [UNDER]
    assert flags(None, 0x10000) == [UNDER]
    unknown = watch(Health(), Health())
    assert unknown.take() == Health()
    late = watch(Health(), Health(None, 0x50000), Health(None, 0x70000))
    late.sample()
    assert late.take().flags_now == []
    late.sample()
    assert late.take().flags_now == [CAPPED]


def test_the_highest_temperature_of_the_interval() -> None:
    watching = watch(*(Health(celsius) for celsius in (50.0, 81.5, 60.0, None, 55.0)))
    for _ in range(2):
        watching.sample()
    assert watching.take().temperature_c == 81.5
    assert watching.take().temperature_c == 60.0
    watching.sample()
    assert watching.take().temperature_c == 60.0
    watching.sample()
    assert watching.take().temperature_c == 55.0


def test_it_reads_by_itself_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.live.health.PERIOD_S", 0.001)
    enough = threading.Semaphore(0)

    def read() -> Health:
        enough.release()
        return Health(20.0, 0)

    watching = HealthWatch(read)
    watching.start()
    for _ in range(5):
        assert enough.acquire(timeout=10)
    watching.stop()
    watching._thread.join(10)
    assert not watching._thread.is_alive()
    assert watching.take() == Health(20.0, 0)
