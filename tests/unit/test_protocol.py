"""What uvicorn writes in parts is sent as one, and nothing is kept back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from wallet_cli.web.protocol import JoiningTransport


class FakeTransport:
    """Notes each system call that a transport would make."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.sent.append(b"".join(parts))

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


class Protocol:
    """Hangs up as it is told to."""

    def hang_up(self, transport: FakeTransport) -> None:
        transport.close()


Case = Callable[[JoiningTransport, FakeTransport], Awaitable[None]]


async def head_and_body(joining: JoiningTransport, below: FakeTransport) -> None:
    joining.write(b"head")
    assert below.sent == []
    joining.write(b"body")
    assert below.sent == [b"headbody"]


async def two_answers(joining: JoiningTransport, below: FakeTransport) -> None:
    for part in (b"head1", b"body1", b"head2", b"body2"):
        joining.write(part)
    assert below.sent == [b"head1body1", b"head2body2"]


async def a_head_alone(joining: JoiningTransport, below: FakeTransport) -> None:
    joining.write(b"head")
    await asyncio.sleep(0)
    assert below.sent == [b"head"]


async def a_body_that_comes_later(joining: JoiningTransport, below: FakeTransport) -> None:
    for part in (b"head", b"chunk", b"chunk", b"last"):
        joining.write(part)
        await asyncio.sleep(0)
    assert below.sent == [b"head", b"chunk", b"chunk", b"last"]


async def an_end(joining: JoiningTransport, below: FakeTransport) -> None:
    joining.write(b"all of it")
    joining.close()
    assert (below.sent, joining.is_closing()) == ([b"all of it"], True)


async def a_break(joining: JoiningTransport, below: FakeTransport) -> None:
    joining.write(b"too late")
    joining.abort()
    await asyncio.sleep(0)
    joining.close()
    assert below.sent == []


async def a_question(joining: JoiningTransport, below: FakeTransport) -> None:
    assert joining.get_extra_info("peername") == below.get_extra_info("peername")


@pytest.mark.parametrize(
    "case", [head_and_body, two_answers, a_head_alone, a_body_that_comes_later, an_end, a_break, a_question]
)
def test_joining(case: Case) -> None:
    async def main() -> None:
        below = FakeTransport()
        joining = JoiningTransport(below, asyncio.get_running_loop(), Protocol())  # type: ignore[arg-type]
        await case(joining, below)
        before = list(below.sent)
        await asyncio.sleep(0)
        assert below.sent == before  # nothing comes twice, or later

    asyncio.run(main())
