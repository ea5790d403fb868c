"""`wallet serve` under attack: what a well-behaved client notices, and what it costs the server in memory.

For each attack a fresh server; a client that asks for a balance and credits, one request after the other, first alone
and then beside the attack, which comes from another process. Limit: p99 beside at most 3 × p99 alone. A request that is
answered 503 is counted apart: it is sent again, and its time goes on.

    python bench/hostile.py [NAME …]
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from common import behave_as_remote, done, fact, open_wallet, percentile, scratch, wallet_command

ALONE_S = float(os.environ.get("WALLET_BENCH_SECONDS", "4"))
LIMIT = 3.0
MEMORY_LIMIT_MB = 250
BODY = json.dumps({"user_id": 1, "wallet_id": 1, "amount": 20, "is_credit": True}).encode()
POST = "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n"
MAX_BODY = 8 * 1024 * 1024
GET = b"GET /api/v1/wallet/get/1/main HTTP/1.1\r\nHost: 127.0.0.1\r\n"

Address = tuple[str, int]


# --- attacks: each is run in a process of its own, until that is ended ------------------------------------------------


def many(address: Address, wanted: int, sent: bytes, trickle: bytes) -> None:
    """So many connections, each with something sent; a little more on each now and then; those that end begin again."""
    socks: list[socket.socket] = []
    while True:
        for sock in list(socks):
            try:
                sock.send(trickle, socket.MSG_DONTWAIT)
                with suppress(BlockingIOError):
                    if sock.recv(65_536, socket.MSG_DONTWAIT) == b"":
                        raise ConnectionError
            except BlockingIOError:
                pass
            except OSError:
                sock.close()
                socks.remove(sock)
        while len(socks) < wanted:
            try:
                sock = socket.create_connection(address, timeout=5)
                sock.sendall(sent)
                socks.append(sock)
            except OSError:
                break
        time.sleep(0.5)


def request(path: str, body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    return POST.format(path, len(body) if length is None else length, more).encode() + body


def batch(items: int, *, atomic: bool) -> bytes:
    one = json.loads(BODY)
    text = json.dumps({"transactions": [one] * items, "atomic": atomic}).encode()
    return request("/api/v1/transactions/batch", text)


def over_and_over(address: Address, sent: bytes, at_once: int) -> None:
    """The same request on so many connections, again and again, the answers read and forgotten."""
    import asyncio

    async def one() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(*address)
                writer.write(sent)
                while await reader.read(65_536):
                    pass
                writer.close()
            await asyncio.sleep(0.05)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(at_once)))

    asyncio.run(all_of_them())


def closing(sent: bytes) -> bytes:
    return sent.replace(b"Host:", b"Connection: close\r\nHost:", 1)


OPEN_FIELDS = b'{"transactions": [' + b"{}," * (MAX_BODY // 3 - 100) + b"{}]}"
SMALL_OBJECTS = b'{"meta": [' + b"{}," * 20_000 + b"{}]}"
TWICE = b'{"transactions": [{' + b'"note":"a",' * (MAX_BODY // 11 - 100) + BODY[1:] + b"]}"

ATTACKS: dict[str, Callable[[Address], None]] = {
    "idle connections, line ends": lambda to: many(to, 1000, GET + b"\r\n\r\n", b"\r\n"),
    "half heads, a letter at a time": lambda to: many(to, 1000, GET + b"X-A: ", b"a"),
    "Upgrade, and a late body": lambda to: many(to, 200, GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", GET),
    "60 half-sent bodies of 8 MiB": lambda to: many(
        to, 60, request("/api/v1/transactions/batch", b" " * (MAX_BODY - 1), length=MAX_BODY), b""
    ),
    "100 requests in one go": lambda to: over_and_over(to, (GET + b"\r\n") * 99 + closing(GET + b"\r\n"), 4),
    "URLs with 15,000 parameters": lambda to: over_and_over(
        to, closing(GET.replace(b" HTTP", b"?" + b"a&" * 15_000 + b" HTTP") + b"\r\n"), 4
    ),
    "6,000 headers": lambda to: over_and_over(to, closing(GET + b"a:\r\n" * 6_000 + b"\r\n"), 4),
    "bodies of 20,000 objects": lambda to: over_and_over(
        to, closing(request("/api/v1/transactions/create", SMALL_OBJECTS)), 4
    ),
    "bodies of 2.7 million objects": lambda to: over_and_over(
        to, closing(request("/api/v1/transactions/batch", OPEN_FIELDS)), 4
    ),
    "bodies with a field 700,000 times": lambda to: over_and_over(
        to, closing(request("/api/v1/transactions/batch", TWICE)), 4
    ),
    "batches of 10,000 that are refused": lambda to: over_and_over(
        to, closing(batch(10_000, atomic=True).replace(b'"wallet_id": 1', b'"wallet_id": 9')), 4
    ),
    "300 atomic batches of 10,000": lambda to: over_and_over(to, closing(batch(10_000, atomic=True)), 300),
}
"""By name; a further one is one line here."""


# --- what is measured -------------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """Milliseconds of reads and of writes, and how many answers were 503."""

    reads: list[float]
    writes: list[float]
    busy: int


def behave(address: Address, seconds: float) -> Seen:
    """A balance and a credit, one after the other, each until it is answered."""
    seen = Seen([], [], 0)
    busy = 0
    connection = http.client.HTTPConnection(*address, timeout=30)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for method, path, body, times in (
            ("GET", "/api/v1/wallet/get/1/main", None, seen.reads),
            ("POST", "/api/v1/transactions/create", BODY, seen.writes),
        ):
            begun = time.perf_counter()
            while True:
                try:
                    connection.request(method, path, body, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    continue
                if answer.status != 503:
                    break
                busy += 1
                time.sleep(0.01)
            if answer.status not in (200, 201):
                raise SystemExit(f"{method} {path}: {answer.status}")
            times.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.002)
    return seen._replace(busy=busy)


@contextmanager
def served(folder: Path) -> Iterator[tuple[Address, int]]:
    """A server with one wallet; its address and process id."""
    db = folder / "wallet.db"
    open_wallet(db)
    arguments = [*wallet_command(), "--db", str(db), "serve", "--no-auth", "--port", "0"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"http://([\d.]+):(\d+)", line):
                    break
            else:
                raise SystemExit("the server did not start")
            yield (found[1], int(found[2])), process.pid
        finally:
            process.kill()


def peak_mb(process: int) -> float:
    """The most memory that it has had."""
    match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(match[1]) / 1024 if match else 0.0


def measure(name: str) -> None:
    with scratch() as folder, served(folder) as (address, process):
        behave(address, 1.0)
        alone = behave(address, ALONE_S)
        with subprocess.Popen([sys.executable, __file__, "--attack", name, address[0], str(address[1])]) as attacker:
            try:
                time.sleep(2.0)
                beside = behave(address, 2 * ALONE_S)
            finally:
                attacker.kill()
        memory = peak_mb(process)
        for what, before, after in (("read", alone.reads, beside.reads), ("write", alone.writes, beside.writes)):
            first, then = percentile(before, 99), percentile(after, 99)
            ratio = then / first
            line = f"{name:<36} {what:<6} {first:>9.2f} {then:>9.2f} {ratio:>7.1f} {beside.busy:>6} {memory:>7.0f}"
            fact(line, ratio <= LIMIT)
        if memory > MEMORY_LIMIT_MB:
            fact(f"{name}: memory of at most {MEMORY_LIMIT_MB} MB", holds=False)


def main() -> None:
    if sys.argv[1:2] == ["--attack"]:
        behave_as_remote()
        ATTACKS[sys.argv[2]]((sys.argv[3], int(sys.argv[4])))
        return
    print(f"{'attack':<36} {'':<6} {'p99 alone':>9} {'beside':>9} {'ratio':>7} {'503':>6} {'RSS MB':>7}")
    for name in sys.argv[1:] or ATTACKS:
        measure(name)
    done()


if __name__ == "__main__":
    main()
