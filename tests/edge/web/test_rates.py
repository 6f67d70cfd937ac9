from __future__ import annotations

from edge.web.rates import Bucket, ClientBuckets, Rate


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_and_then_the_rate() -> None:
    clock = Clock()
    bucket = Bucket(Rate(per_s=2, burst=3), clock)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    clock.now_s += 0.5
    assert [bucket.take(), bucket.take()] == [True, False]
    clock.now_s += 3600
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_one_client_does_not_use_up_anothers() -> None:
    clock = Clock()
    buckets = ClientBuckets(Rate(per_s=1, burst=1), clock=clock)
    assert [buckets.take("a"), buckets.take("a"), buckets.take("b")] == [True, False, True]


def test_of_many_clients_the_last_seen_are_known() -> None:
    buckets = ClientBuckets(Rate(per_s=0, burst=1), most=2)
    for client in ("a", "b", "a", "c"):
        buckets.take(client)
    assert len(buckets) == 2
    assert not buckets.take("a")  # still known, and has had its one
    assert buckets.take("b")  # forgotten
