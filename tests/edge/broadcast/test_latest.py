from __future__ import annotations

import threading

from edge.broadcast.latest import MAX_INTERVALS, MAX_RESULTS, Latest
from tests.edge.broadcast.runs import frame, interval, result, status


def test_what_is_taken_is_what_was_given_in_order() -> None:
    latest = Latest()
    frames = [frame(number) for number in range(5)]
    for number, one in enumerate(frames):
        latest.labelled(one, result(0, sequence=number))
    taken, lost = latest.take_results()
    assert [(arrived_ns, r.sequence) for arrived_ns, r in taken] == [
        (one.arrived_ns, number) for number, one in enumerate(frames)
    ]
    assert lost == 0
    assert latest.newest is not None
    assert latest.newest[0] is frames[-1]
    assert latest.take_results() == ([], 0)


def test_what_nobody_takes_is_dropped_and_counted_once() -> None:
    latest, one = Latest(), frame()
    for number in range(MAX_RESULTS + 7):
        latest.labelled(one, result(0, sequence=number))
    taken, lost = latest.take_results()
    assert (len(taken), lost) == (MAX_RESULTS, 7)
    assert taken[0][1].sequence == 7
    latest.labelled(one, result(0))
    assert latest.take_results()[1] == 0


def test_of_intervals_and_status_the_newest_stay() -> None:
    latest = Latest()
    given = [interval([1.0]) for _ in range(MAX_INTERVALS + 2)]
    for one in given:
        latest.interval(one)
    assert latest.take_intervals() == given[2:]
    assert latest.take_intervals() == []
    assert latest.lost_intervals == 2
    newest = status(2)
    latest.status(status(1))
    latest.status(newest)
    assert latest.newest_status is newest


def test_two_threads_lose_nothing_that_is_not_counted() -> None:
    latest, one, count = Latest(), frame(), 20_000
    given = [result(0, sequence=number) for number in range(count)]

    def give() -> None:
        for r in given:
            latest.labelled(one, r)

    giver = threading.Thread(target=give)
    giver.start()
    sequences: list[int] = []
    lost = 0
    while giver.is_alive() or len(sequences) + lost < count:
        taken, missed = latest.take_results()
        sequences += [r.sequence for _, r in taken]
        lost += missed
    giver.join()
    assert len(sequences) + lost == count
    assert sequences == sorted(set(sequences))
