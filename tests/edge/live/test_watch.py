from __future__ import annotations

from edge.clock import Relation
from edge.latency.incidents import NOTHING, Incidents, Tally
from edge.live.watch import PAUSE_NS, TimeWatch
from tests.edge.latency.logs import MS, SECOND


class Machine:
    """Four clocks. They go on together, but for what is done to one of them."""

    def __init__(self) -> None:
        self.monotonic_ns = self.ran_ns = self.boot_ns = 5 * SECOND
        self.wall_ns = 1_700_000_000 * SECOND
        boot = Relation(lambda: self.boot_ns, lambda: self.monotonic_ns)
        wall = Relation(lambda: self.wall_ns, lambda: self.boot_ns, tolerance_ns=20 * MS)
        self.watch = TimeWatch(lambda: self.monotonic_ns, lambda: self.ran_ns, boot=boot, wall=wall)

    def compute(self, time_ns: int) -> None:
        self.idle(time_ns)
        self.ran_ns += time_ns

    def idle(self, time_ns: int) -> None:
        self.monotonic_ns += time_ns
        self.sleep(time_ns)

    def sleep(self, time_ns: int) -> None:
        """The whole machine sleeps: its monotonic clock stands still."""
        self.boot_ns += time_ns
        self.wall_ns += time_ns

    def look(self, waited_ns: int = 0) -> None:
        self.watch.look(self.monotonic_ns, waited_ns)
        self.watch.look_at_the_wall_clock()


def test_a_model_that_computes_for_long_is_no_pause() -> None:
    machine = Machine()
    for _ in range(100):
        machine.compute(5 * SECOND)
        machine.idle(PAUSE_NS - 1)
        machine.look()
    assert machine.watch.take() == NOTHING


def test_a_wait_for_a_frame_is_no_pause_and_more_than_that_is_one() -> None:
    machine = Machine()
    machine.idle(100 * MS + PAUSE_NS - 1)
    machine.look(100 * MS)
    assert machine.watch.take() == NOTHING
    machine.idle(100 * MS + PAUSE_NS)
    machine.look(100 * MS)
    assert machine.watch.take() == Incidents(pauses=Tally(1, PAUSE_NS, PAUSE_NS))


def test_a_stopped_process_is_a_pause_of_its_size() -> None:
    machine = Machine()
    for stopped_ns in (3 * SECOND, 7 * SECOND):
        machine.compute(20 * MS)
        machine.idle(stopped_ns)
        machine.look()
        machine.compute(20 * MS)
        machine.look()
    assert machine.watch.take() == Incidents(pauses=Tally(2, 10 * SECOND, 7 * SECOND))
    assert machine.watch.take() == NOTHING


def test_a_frame_is_hit_by_what_happened_after_it_was_captured() -> None:
    machine = Machine()
    before_ns = machine.monotonic_ns
    assert not machine.watch.was_hit(before_ns)
    machine.idle(SECOND)
    machine.look()
    assert machine.watch.was_hit(before_ns)
    # One that came after the pause, or that is too young to have it in its time.
    assert not machine.watch.was_hit(machine.monotonic_ns)
    assert not machine.watch.was_hit(machine.monotonic_ns - PAUSE_NS)
    assert machine.watch.take().interrupted == 1


def test_sleep_of_the_machine_is_a_suspend_and_no_pause_and_no_step() -> None:
    machine = Machine()
    before_ns = machine.monotonic_ns
    machine.sleep(3600 * SECOND)
    machine.look()
    assert machine.watch.was_hit(before_ns - 1)
    machine.compute(1)
    assert not machine.watch.was_hit(machine.monotonic_ns)
    assert machine.watch.take() == Incidents(
        suspends=Tally(1, 3600 * SECOND, 3600 * SECOND), interrupted=1
    )


def test_a_wall_clock_that_is_set_is_a_step_with_its_sign() -> None:
    machine = Machine()
    machine.wall_ns -= 3600 * SECOND
    machine.look()
    machine.wall_ns += 2 * SECOND
    machine.look()
    assert not machine.watch.was_hit(0)
    steps = Tally(2, -3598 * SECOND, -3600 * SECOND)
    assert machine.watch.take() == Incidents(clock_steps=steps)


def test_a_wall_clock_that_is_slewed_is_no_step() -> None:
    machine = Machine()
    for _ in range(1000):
        machine.idle(100 * MS)
        machine.wall_ns += 8 * MS  # chrony slews by up to a twelfth
        machine.look(100 * MS)
    assert machine.watch.take() == NOTHING


def test_what_was_before_the_start_is_no_pause() -> None:
    machine = Machine()
    machine.idle(9 * SECOND)
    machine.watch.start()
    machine.compute(1)
    machine.look()
    assert machine.watch.take() == NOTHING


def test_real_clocks_say_nothing_where_nothing_happens() -> None:
    watch = TimeWatch()
    for _ in range(100):
        watch.look(watch._clock())
        watch.look_at_the_wall_clock()
    taken = watch.take()  # a busy machine may well pause us
    assert taken.suspends == taken.clock_steps == Tally()
