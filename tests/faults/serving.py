"""A server into whose calls faults are injected while it is written to, and what has to hold when it is back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx
from support import injection
from support.server import Server

REQUESTS = 8
CREATE = "/transactions/create"


class Faulty:
    """A server on the ledger of `folder`, in which wallet 1 is there; a round a fault."""

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder, "--no-auth")
        self.log = folder / "calls"
        self.sent = 0
        self.told: Counter[str] = Counter()

    def round(self, calls: list[str], fault: str) -> None:
        """Write through a server with this fault, kill it, and write the same again to one without."""
        with self.server:
            tracer = injection.attach(self.server.process.pid, self.log, calls, fault)
            api = self.server.api()
            words = {f"k{self.sent + number}": "" for number in range(REQUESTS)}
            self.sent += REQUESTS
            for key in words:
                words[key] = _word(api, key)
            self.server.kill()
            tracer.communicate(timeout=60)
        with self.server:
            api = self.server.api()
            for key, word in words.items():
                again = _post(api, key)
                assert again.status_code in (200, 201), again.text
                replayed = again.json()["data"].get("replayed", False)
                assert word not in ("done", "refused") or replayed is (word == "done"), (
                    f"{fault}: {key} was told {word}"
                )
                self.told[word] += 1
            ready = self.server.client().get("/readyz")
            assert ready.status_code == 200, ready.text


def _post(api: httpx.Client, key: str) -> httpx.Response:
    body = {"user_id": 1, "wallet_id": 1, "amount": 1, "is_credit": True}
    return api.post(CREATE, json=body, headers={"Idempotency-Key": key})


def _word(api: httpx.Client, key: str) -> str:
    """What is said of a write: `done`, `refused`, `unknown`, or nothing, as the server was `killed`."""
    try:
        answer = _post(api, key)
    except httpx.TransportError:
        return "killed"
    if answer.status_code in (200, 201):
        return "done"
    assert answer.status_code == 503, answer.text
    told = answer.json()
    assert told["code"] in ("storage_error", "busy"), told
    return "unknown" if "unknown" in told["message"] else "refused"
