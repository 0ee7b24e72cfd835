"""A child is sent items as it goes through them."""

import os
import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count, islice
from typing import Any

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.processes.feed import AT_ONCE

LARGE = "x" * 4096  # 256 of them are more than a socket holds


def upper(items: Iterator[str], suffix: str) -> Iterator[str]:
    for item in items:
        yield item.upper() + suffix
    assert next(items, None) is None, "an iterator that has ended stays so"


def first_of_each_hundred(items: Iterator[int]) -> Iterator[int]:
    while some := list(islice(items, 100)):
        yield some[0]


def answers_before_it_reads(items: Iterator[str]) -> Iterator[str]:
    for _ in range(1000):
        yield LARGE
    yield from items


def leaves_early(items: Iterator[Any]) -> Iterator[Any]:
    yield next(items)


def dies(items: Iterator[Any]) -> Iterator[Any]:
    yield next(items)
    os._exit(3)


def takes_in_a_thread(items: Iterator[str]) -> Iterator[str]:
    taken: queue.SimpleQueue[str] = queue.SimpleQueue()
    puller = threading.Thread(target=lambda: [taken.put(item) for item in items])
    puller.start()
    while puller.is_alive():
        yield LARGE * 50
    while not taken.empty():
        yield taken.get()


@pytest.mark.parametrize("items", [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
def test_every_item_comes_once_and_in_order(items: int) -> None:
    feed = [f"a{i}" for i in range(items)]
    made = list(run_in_child(upper, "!", label="work", feed=iter(feed)))
    assert made == [f"A{i}!" for i in range(items)]


def test_what_is_not_asked_for_is_not_made() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in count():
            made.append(number)
            yield number

    with closing(run_in_child(first_of_each_hundred, label="work", feed=numbers())) as results:
        assert list(islice(results, 20)) == [100 * n for n in range(20)]
    assert 2000 <= len(made) <= 2000 + 4 * AT_ONCE


def test_neither_side_waits_for_the_other() -> None:
    """A child that answers while it is sent more than a socket holds."""
    work = run_in_child(answers_before_it_reads, label="work", feed=[LARGE] * 2000)
    assert sum(item == LARGE for item in work) == 3000


def test_a_child_may_leave_items_unread() -> None:
    assert list(run_in_child(leaves_early, label="work", feed=[LARGE] * 5000)) == [LARGE]


def test_a_child_that_dies_at_its_feed_is_told() -> None:
    with pytest.raises(PersynError, match=r"work: its process died with exit code 3\."):
        list(run_in_child(dies, label="work", feed=[LARGE] * 5000))


@pytest.mark.parametrize("kind", [PersynError, OSError, ValueError])
def test_what_fails_as_items_are_made_ends_the_child(kind: type[Exception]) -> None:
    def failing() -> Iterator[int]:
        yield from range(3 * AT_ONCE)
        raise kind("The file x is gone.")

    with pytest.raises(kind, match="The file x is gone"):
        list(run_in_child(first_of_each_hundred, label="work", feed=failing()))


class Unreadable:
    """It can be sent, and not be read."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_what_cannot_be_read_in_the_child_is_told() -> None:
    with pytest.raises(RuntimeError, match="no number"):
        list(run_in_child(upper, "", label="work", feed=[Unreadable()]))


def test_a_child_may_take_its_items_in_a_thread_while_it_answers() -> None:
    feed = [str(i) for i in range(40 * AT_ONCE)]
    made = list(run_in_child(takes_in_a_thread, label="work", feed=feed))
    assert [item for item in made if item != LARGE * 50] == feed
