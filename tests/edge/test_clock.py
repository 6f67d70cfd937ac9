"""The clocks here are lists of what they say, in order, or a machine whose time is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import TOLERANCE_NS, Relation, SensorClock, boot_ns, monotonic_ns

SECOND = 10**9
HOUR = 3600 * SECOND


@dataclass
class Machine:
    """Awake for `now_ns`, asleep for `slept_ns`. Each reading takes `reading_ns`."""

    now_ns: int = 1000 * SECOND
    slept_ns: int = 0
    reading_ns: int = 100
    # What the next readings take besides: an interrupt, another process.
    delays_ns: tuple[int, ...] = ()

    def monotonic(self) -> int:
        extra, self.delays_ns = self.delays_ns[:1], self.delays_ns[1:]
        self.now_ns += self.reading_ns + sum(extra)
        return self.now_ns

    def boot(self) -> int:
        return self.monotonic() + self.slept_ns

    def relation(self) -> Relation:
        return Relation(self.boot, self.monotonic)


def test_the_distance_is_that_of_the_clocks() -> None:
    machine = Machine(slept_ns=HOUR)
    relation = machine.relation()
    assert relation.offset_ns == pytest.approx(HOUR, abs=machine.reading_ns)
    assert relation.to_monotonic_ns(machine.boot()) == pytest.approx(machine.now_ns, abs=100)
    assert (relation.check(), relation.jumps, relation.jumped_ns) == (0, 0, 0)


@given(st.lists(st.integers(0, 50_000_000), min_size=15, max_size=15), st.integers(0, 4))
def test_one_undisturbed_reading_of_five_is_enough(delays: list[int], good: int) -> None:
    # Each of the five looks at the monotonic clock, the other, and the monotonic one again.
    delays[3 * good : 3 * good + 3] = [0, 0, 0]
    machine = Machine(slept_ns=HOUR, delays_ns=tuple(delays))
    # The error of a reading is at most half of what it took.
    assert abs(machine.relation().offset_ns - HOUR) <= machine.reading_ns


def test_a_sleep_is_a_jump_and_is_counted_once() -> None:
    machine = Machine()
    relation = machine.relation()
    machine.slept_ns += HOUR
    assert relation.check() == pytest.approx(HOUR, abs=100)
    assert relation.check() == 0
    machine.slept_ns += SECOND
    relation.check()
    assert relation.jumps == 2
    assert relation.jumped_ns == pytest.approx(HOUR + SECOND, abs=200)


def test_a_clock_set_back_jumps_back() -> None:
    machine = Machine(slept_ns=HOUR)
    relation = machine.relation()
    machine.slept_ns -= SECOND
    assert relation.check() == pytest.approx(-SECOND, abs=100)
    assert relation.jumped_ns < 0


def test_an_interrupt_between_two_readings_is_no_jump() -> None:
    machine = Machine()
    relation = machine.relation()
    # Once at the quick look, and at the first of the careful ones.
    machine.delays_ns = (0, SECOND, 0, SECOND)
    assert (relation.check(), relation.jumps) == (0, 0)
    assert relation.offset_ns == pytest.approx(0, abs=100)


def test_a_drift_is_followed_and_is_no_jump() -> None:
    machine = Machine()
    relation = machine.relation()
    step_ns = TOLERANCE_NS // 4
    for _ in range(100):
        machine.slept_ns += step_ns
        assert relation.check() == 0
    assert relation.jumps == 0
    assert abs(relation.offset_ns - 100 * step_ns) <= TOLERANCE_NS


@pytest.mark.parametrize(("moved_ns", "jumps"), [(TOLERANCE_NS, 0), (TOLERANCE_NS + 1000, 1)])
def test_where_a_jump_begins(moved_ns: int, jumps: int) -> None:
    machine = Machine(reading_ns=0)
    relation = machine.relation()
    machine.slept_ns += moved_ns
    relation.check()
    assert relation.jumps == jumps


def test_the_real_clocks() -> None:
    relation = Relation()
    stamp_ns = boot_ns()
    now_ns = monotonic_ns()
    assert abs(relation.to_monotonic_ns(stamp_ns) - now_ns) < SECOND
    assert abs(now_ns - time.monotonic_ns()) < SECOND


AGE_NS = 40_000_000


@pytest.mark.parametrize("slept_ns", [0, SECOND, HOUR])
@pytest.mark.parametrize("clock", [Machine.boot, Machine.monotonic])
def test_stamps_of_either_clock(clock: Callable[[Machine], int], slept_ns: int) -> None:
    machine = Machine(slept_ns=slept_ns)
    sensor = SensorClock(machine.relation())
    for _ in range(3):
        stamp_ns = clock(machine) - AGE_NS
        now_ns = machine.monotonic()
        captured_ns = sensor.captured_ns(stamp_ns, now_ns)
        assert captured_ns is not None
        assert now_ns - captured_ns == pytest.approx(AGE_NS, abs=1000)
        # Afterwards it sleeps again, for longer than it ever did.
        machine.slept_ns += 2 * HOUR
        sensor.boot.check()


def test_a_frame_that_waited_long_is_as_old_as_it_is() -> None:
    machine = Machine(slept_ns=HOUR)
    sensor = SensorClock(machine.relation())
    sensor.captured_ns(machine.boot(), machine.monotonic())
    stamp_ns = machine.boot()
    machine.now_ns += 20 * 60 * SECOND  # stopped by SIGSTOP meanwhile
    now_ns = machine.monotonic()
    captured_ns = sensor.captured_ns(stamp_ns, now_ns)
    assert captured_ns is not None
    assert now_ns - captured_ns == pytest.approx(20 * 60 * SECOND, abs=1000)


def test_stamps_of_no_known_clock() -> None:
    machine = Machine()
    sensor = SensorClock(machine.relation())
    assert sensor.captured_ns(0, machine.monotonic()) is None
    assert sensor.captured_ns(machine.now_ns + SECOND, machine.monotonic()) is None
    # One that is known later is taken then.
    now_ns = machine.monotonic()
    assert sensor.captured_ns(now_ns - AGE_NS, now_ns) == now_ns - AGE_NS


def test_a_frame_is_never_from_the_future() -> None:
    machine = Machine()
    sensor = SensorClock(machine.relation())
    now_ns = machine.monotonic()
    assert sensor.captured_ns(now_ns + TOLERANCE_NS // 2, now_ns) == now_ns
