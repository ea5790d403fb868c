"""What long reads cost those who ask for little: p99 of a well-behaved client alone, and beside each attack.

    python bench/hostile_reads.py [NAME …]

The client posts a debit and asks for a balance, by turns, on 4 connections. Each attack is another process that asks
for something long on 6 connections, again and again. Some leave as soon as they have asked, some read nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import common

ROWS = 300_000
SECONDS = 5.0
CLIENTS, ATTACKERS = 4, 6
HISTORY = "/api/v1/transactions/get/1/1"
STATEMENT = "/api/v1/wallet/statement/1/1"

ATTACKS = {
    "a search for 432 bytes that are nowhere": f"{HISTORY}?text={quote('%_' * 72, safe='')}",
    "a search in another script": f"{HISTORY}?text={quote('ärzte' * 60)}",
    "pages of 1,000 transactions": f"{HISTORY}?limit=1000",
    "an amount that is nowhere": f"{HISTORY}?min=999999999",
    "verify": "/api/v1/verify",
    "a statement as json": STATEMENT,
    "a statement as html": f"{STATEMENT}?format=html",
    "a statement as pdf": f"{STATEMENT}?format=pdf&to=2024-01-10",
    "an export": "/api/v1/export",
}
WAYS = ("read", "leave", "stall")


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes | None) -> int:
    method = "GET" if body is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n"
    if body is not None:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + b"\r\n" + (body or b""))
    found = await reader.readuntil(b"\r\n\r\n")
    length = int(found.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(found.split()[1])


async def well_behaved(host: str, port: int, seconds: float) -> list[float]:
    """How long each request took, in milliseconds."""
    found: list[float] = []
    until_s = time.perf_counter() + seconds
    body = json.dumps({"user_id": 1, "wallet_id": 1, "amount": "0.01", "is_credit": False}).encode()

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        number = 0
        while time.perf_counter() < until_s:
            number += 1
            begun_s = time.perf_counter()
            if number % 2:
                status = await request(reader, writer, "/api/v1/transactions/create", body)
            else:
                status = await request(reader, writer, "/api/v1/wallet/get/1/main", None)
            found.append((time.perf_counter() - begun_s) * 1000)
            assert status in (200, 201), status
            await asyncio.sleep(0.002)
        writer.close()

    await asyncio.gather(*(one() for _ in range(CLIENTS)))
    return found


async def attack(host: str, port: int, path: str, way: str) -> None:
    async def one() -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
                if way == "read":
                    while await reader.read(65_536):
                        pass
                await asyncio.sleep(0.05 if way != "stall" else 3600)
                writer.close()
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(ATTACKERS)))


@contextlib.contextmanager
def attacking(host: str, port: int, path: str, way: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, __file__, "attack", host, str(port), path, way])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def prepare(folder: Path) -> None:
    common.open_wallet(folder / "wallet.db")
    lines = ["wallet,amount,kind,at,note\n"]
    for number in range(ROWS):
        day, minute = divmod(number, 1440)
        at = f"2024-{1 + day // 28 % 12:02}-{1 + day % 28:02}T{minute // 60:02}:{minute % 60:02}:00Z"
        lines.append(f"1/main,1.00,credit,{at},order {number} от кофейни и ещё кое-что\n")
    (folder / "rows.csv").write_text("".join(lines), "utf-8")
    common.run([*common.wallet_command(), "import", str(folder / "rows.csv")])


def main() -> None:
    with common.scratch() as folder:
        prepare(folder)
        with (folder / "log").open("wb") as log:
            command = [*common.wallet_command(), "serve", "--no-auth", "--port", "0"]
            server = subprocess.Popen(command, stderr=log)
        try:
            while b'"serving"' not in (folder / "log").read_bytes():
                time.sleep(0.05)
            (said,) = [line for line in (folder / "log").read_text().splitlines() if '"serving"' in line]
            host, port = json.loads(said)["url"].removeprefix("http://").split(":")
            measure(host, int(port))
            begun_s = time.perf_counter()
            with attacking(host, int(port), ATTACKS["an export"], "stall"):
                time.sleep(2)
                server.terminate()
                code = server.wait()
            common.figure(
                "stopping, while exports are read by nobody", time.perf_counter() - begun_s - 2, "s", at_most=10
            )
            common.fact("it stopped as it was told to", code == 0)
        finally:
            server.kill()
            server.wait()
    common.done()


def measure(host: str, port: int) -> None:
    def p99() -> float:
        return common.percentile(asyncio.run(well_behaved(host, port, SECONDS)), 99)

    p99()
    for name in sys.argv[1:] or ATTACKS:
        path = ATTACKS[name]
        for way in WAYS:
            alone = p99()
            with attacking(host, port, path, way):
                time.sleep(0.5)
                beside = p99()
            common.figure(f"{name}, {way}: p99 alone", alone, "ms")
            common.figure(f"{name}, {way}: p99 beside it", beside, "ms")
            common.figure(f"{name}, {way}: the one against the other", beside / alone, "x", at_most=3)


if __name__ == "__main__":
    if sys.argv[1:2] == ["attack"]:
        common.behave_as_remote()
        asyncio.run(attack(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]))
    else:
        main()
