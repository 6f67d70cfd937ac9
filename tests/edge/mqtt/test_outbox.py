from __future__ import annotations

from edge.mqtt.outbox import Letter, Outbox


def change(number: int) -> Letter:
    return Letter("label", str(number))


def state(number: int) -> Letter:
    return Letter("health", str(number), is_state=True)


def content(outbox: Outbox) -> list[str]:
    found = []
    while (letter := outbox.take()) is not None:
        found.append(f"{letter.topic} {letter.payload}")
    return found


def test_changes_stay_and_states_replace_each_other() -> None:
    outbox = Outbox()
    for letter in (change(1), state(1), change(2), state(2), change(3)):
        outbox.put(letter)
    assert content(outbox) == ["label 1", "label 2", "health 2", "label 3"]
    assert outbox.dropped == 0


def test_a_full_one_drops_the_oldest_and_counts() -> None:
    outbox = Outbox(most=3)
    for number in range(5):
        outbox.put(change(number))
    assert outbox.dropped == 2
    assert content(outbox) == ["label 2", "label 3", "label 4"]


def test_what_was_on_its_way_goes_first_unless_something_newer_waits() -> None:
    outbox = Outbox(most=4)
    letters = [change(1), state(1), change(2)]
    outbox.put(change(3))
    outbox.put(state(2))
    outbox.put_back(letters)
    assert content(outbox) == ["label 1", "label 2", "label 3", "health 2"]
    outbox.put(change(9))
    outbox.put_back([change(number) for number in range(5, 9)])
    assert outbox.dropped == 1
    assert content(outbox) == ["label 6", "label 7", "label 8", "label 9"]


def test_a_broker_that_forgot_gets_the_newest_of_each_topic() -> None:
    outbox = Outbox()
    for letter in (change(1), change(2), state(1)):
        outbox.put(letter)
    assert len(content(outbox)) == 3
    outbox.put(state(2))
    outbox.renew()
    assert sorted(content(outbox)) == ["health 2", "label 2"]
    # Where a change waits, the newest comes last by itself.
    outbox.put(change(3))
    outbox.put(change(4))
    outbox.renew()
    assert content(outbox)[-2:] == ["label 3", "label 4"]
