"""Traffic that means no good, for web.py: half-sent headers, bodies nested 200,000 deep, amounts of 5,000 digits.

    python hostile.py HOST PORT KEY

Says `ready` when its half-open connections are there, and goes on until it is killed. One after another, with a short
pause: what is measured is what such requests cost the others, not how many a machine can send.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

HALF_OPEN = 1_000
DEPTH = 200_000
DIGITS = 5_000
PAUSE_S = 0.02

HOST, PORT, KEY = sys.argv[1], int(sys.argv[2]), sys.argv[3]
HEAD = (
    "POST /api/v1/transactions/%s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    f"authorization: Bearer {KEY}\r\ncontent-length: %d\r\n\r\n"
)
AMOUNT = '{"user_id": 1, "wallet_id": 1, "amount": %s, "is_credit": true}' % ("9" * DIGITS)
BODIES = (("create", "[" * DEPTH + "]" * DEPTH), ("batch", "[" * DEPTH + "]" * DEPTH), ("create", AMOUNT))


async def half_open(opened: asyncio.Semaphore) -> None:
    """Keep one connection whose headers never end; the server closes it, and here is the next."""
    first = True
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, PORT)
            writer.write(b"POST /api/v1/transactions/create HTTP/1.1\r\nhost: bench\r\nx-")
            if first:
                opened.release()
                first = False
            await reader.read()
            writer.close()
        await asyncio.sleep(PAUSE_S)


async def send(path: str, body: str) -> None:
    data = (HEAD % (path, len(body)) + body).encode()
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, PORT)
            writer.write(data)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(4096), 5)
            writer.close()
        await asyncio.sleep(PAUSE_S)


async def main() -> None:
    opened = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(half_open(opened)) for _ in range(HALF_OPEN)]
    for _ in range(HALF_OPEN):
        await opened.acquire()
    tasks += [asyncio.create_task(send(path, body)) for path, body in BODIES]
    print("ready", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
