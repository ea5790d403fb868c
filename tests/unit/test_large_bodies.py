"""Which large bodies a server lets in: so many bytes, so many at once, and a slow sender gives way."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import cast

import pytest

from wallet_cli.web import protocol
from wallet_cli.web.long_work import Slices
from wallet_cli.web.protocol import MAX_LARGE_BODIES, MAX_LARGE_BODIES_BYTES, PATIENCE_S, BoundedProtocol, Connections

MUCH = 1024 * 1024


@dataclasses.dataclass(eq=False)
class Sender:
    """A connection whose body is coming in until it has `sent_all`."""

    connections: Connections
    clock: SimpleNamespace
    sent_all: bool = False
    refused: bool = False
    reads_slowly: bool = False
    was_cut_off: bool = False

    @property
    def loop(self) -> SimpleNamespace:
        return SimpleNamespace(time=lambda: self.clock.now)

    @property
    def is_receiving(self) -> bool:
        return not (self.sent_all or self.refused)

    def refuse(self, _error: Exception) -> None:
        self.refused = True

    def cut_off(self) -> None:
        self.was_cut_off = True

    def sends(self, size: int = MUCH) -> Sender:
        self.connections.hold(cast(BoundedProtocol, self), size)
        return self


class House:
    """Senders, and a clock that stands still unless it is told."""

    def __init__(self) -> None:
        self.connections = Connections(1000, Slices())
        self.clock = SimpleNamespace(now=100.0)

    def sender(self) -> Sender:
        return Sender(self.connections, self.clock)


@pytest.fixture
def house() -> House:
    return House()


def test_one_too_many_is_refused_before_it_has_sent_its_body(house: House) -> None:
    slow = [house.sender().sends() for _ in range(MAX_LARGE_BODIES)]
    late = house.sender().sends(1)
    assert late.refused
    assert not any(sender.refused for sender in slow)
    slow[3].sent_all = True
    assert not house.sender().sends(1).refused


def test_after_a_while_the_slowest_gives_its_place_to_the_next(house: House) -> None:
    slow = [house.sender().sends() for _ in range(MAX_LARGE_BODIES)]
    house.clock.now += PATIENCE_S
    late = [house.sender().sends() for _ in range(3)]
    assert [sender.refused for sender in (*slow[:4], *late)] == [True, True, True, False, False, False, False]


def test_who_is_in_goes_on_whoever_comes_after(house: House) -> None:
    first = house.sender().sends()
    for _ in range(2 * MAX_LARGE_BODIES):
        house.sender().sends()
    assert not first.sends(2 * MUCH).refused


def test_requests_that_wait_take_no_place_of_a_body(house: House) -> None:
    for _ in range(MAX_LARGE_BODIES):
        house.sender().sends()
    queued = house.sender()
    queued.sent_all = True
    assert not queued.sends().refused


def test_beyond_the_bytes_the_one_that_is_longest_at_it_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders = [house.sender().sends(MAX_LARGE_BODIES_BYTES // 4) for _ in range(4)]
    senders[0].sent_all = True
    late = house.sender().sends()
    assert [sender.refused for sender in (*senders, late)] == [False, True, False, False, False]
    monkeypatch.setattr(protocol, "MAX_LARGE_BODIES_BYTES", MUCH)
    alone = house.sender().sends(2 * MUCH)
    assert alone.refused


def test_who_does_not_read_an_answer_gives_way_to_who_asks(house: House) -> None:
    slow = [house.sender().sends(MAX_LARGE_BODIES_BYTES // 4) for _ in range(4)]
    for sender in slow:
        sender.sent_all = True
    slow[1].reads_slowly = slow[2].reads_slowly = True
    late = house.sender().sends()
    assert [sender.was_cut_off for sender in slow] == [False, True, False, False]
    assert not any(sender.refused for sender in (*slow, late))


def test_the_oldest_sender_is_refused_also_when_it_goes_beyond_the_bytes(house: House) -> None:
    slow = house.sender().sends()
    others = [house.sender().sends(MAX_LARGE_BODIES_BYTES // 4 - MUCH) for _ in range(4)]
    slow.sends(5 * MUCH)
    assert [sender.refused for sender in (slow, *others)] == [True, False, False, False, False]


def test_who_asks_again_before_reading_an_answer_is_refused_and_not_cut_off(house: House) -> None:
    alone = house.sender()
    alone.reads_slowly = True
    alone.sends(2 * MAX_LARGE_BODIES_BYTES)
    assert (alone.refused, alone.was_cut_off) == (True, False)


def test_what_is_let_go_is_free_again(house: House) -> None:
    for _ in range(100 * MAX_LARGE_BODIES_BYTES // MUCH):
        sender = house.sender().sends()
        assert not sender.refused
        sender.connections.let_go(cast(BoundedProtocol, sender))
