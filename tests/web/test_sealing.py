"""`wallet serve --seal-to FOLDER --seal-every MINUTES`: seals appear by themselves, and their failures stop nothing."""

from __future__ import annotations

import json
import re
import stat
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.engines import execute
from support.server import Server
from support.waiting import wait_for
from web.calls import made, new_wallet, post

OFTEN = ("--no-auth", "--seal-to", "seals", "--seal-every", "0.02")
EVERY_S = 1.2
NAME = re.compile(r"wallet-([0-9a-f]{8})-(.*)\.seal")


def seals_of(folder: Path) -> list[Path]:
    return sorted((folder / "seals").glob("*.seal"))


def events(server: Server, name: str) -> list[dict[str, Any]]:
    return [line for line in server.log if line["event"] == name]


def moments(folder: Path) -> list[datetime]:
    """When the seals of a folder were made, by their names."""
    found = [NAME.fullmatch(path.name) for path in seals_of(folder)]
    return [datetime.strptime(each[2], "%Y-%m-%dT%H-%M-%SZ") for each in found if each is not None]


def test_seals_appear_and_prove_what_was_acknowledged_before(tmp_path: Path) -> None:
    with Server(tmp_path, *OFTEN) as server:
        made(post(server.api(), new_wallet(server.api()), "5"))
        there = len(seals_of(tmp_path))
        wait_for(lambda: len(seals_of(tmp_path)) >= there + 2 and len(events(server, "sealed")) >= 2)
        told = events(server, "sealed")
        metrics = server.client().get("/metrics").text
    assert [Path(line["file"]).name for line in told][:2] == [path.name for path in seals_of(tmp_path)][:2]
    assert 'wallet_seals_total{outcome="made"}' in metrics
    assert events(server, "sealing")[0]["public_key"] == server.wallet("seal --public -q").out.strip()
    last = seals_of(tmp_path)[-1]
    assert stat.S_IMODE(last.stat().st_mode) == 0o600
    head = json.loads(last.read_text().splitlines()[0])
    assert (head["transactions"], head["ledger"][:8]) == (1, last.name.split("-")[1])
    assert server.wallet(f"verify --against {last}").code == 0
    assert not list((tmp_path / "seals").glob("*.tmp"))


def test_of_several_servers_and_workers_one_seals(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(tmp_path, *OFTEN, *more)) for more in (("--workers", "2"), ())]
        wait_for(lambda: len(seals_of(tmp_path)) >= 4)
    when = moments(tmp_path)
    assert len(when) == sum(len(events(server, "sealed")) for server in servers)
    between = [(later - earlier).total_seconds() for earlier, later in pairwise(when)]
    assert min(between) >= int(EVERY_S)  # names have whole seconds
    assert not [line for server in servers for line in events(server, "seal_failed")]


def test_a_damaged_ledger_is_not_sealed_and_the_server_goes_on(tmp_path: Path) -> None:
    with Server(tmp_path, *OFTEN) as server:
        new_wallet(server.api())
        wait_for(lambda: bool(seals_of(tmp_path)))
        execute(server.db, "UPDATE users SET name = 'Somebody' WHERE id = 1")
        wait_for(lambda: bool(events(server, "seal_failed")))
        failed, there = events(server, "seal_failed")[0], len(seals_of(tmp_path))
        wait_for(lambda: len(events(server, "seal_failed")) >= 2)  # it is tried again
        assert len(seals_of(tmp_path)) == there
        assert server.client().get("/healthz").status_code == 200
        assert 'wallet_seals_total{outcome="failed"}' in server.client().get("/metrics").text
        assert server.stop() == 0
    assert (failed["code"], failed["reason"]) == ("storage_error", "user 1: it differs from its last event in its name")


@pytest.mark.on_file("about a folder")
def test_a_folder_that_goes_stops_nothing(tmp_path: Path) -> None:
    with Server(tmp_path, *OFTEN) as server:
        wait_for(lambda: bool(seals_of(tmp_path)))
        (tmp_path / "seals").rename(tmp_path / "gone")
        (tmp_path / "seals").write_text("a file")
        wait_for(lambda: bool(events(server, "seal_failed")))
        (tmp_path / "seals").unlink()
        wait_for(lambda: bool(seals_of(tmp_path)))
        assert server.stop() == 0


@pytest.mark.on_file("about settings")
def test_settings_say_it_too_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("a file")
    for options, words in (
        (
            ("--seal-to", "seals", "--seal-every", "often"),
            "the setting seal_every is wrong: 'often' (from --seal-every)",
        ),
        (("--seal-to", "seals", "--seal-every", "0"), "minutes, 0.02 to 525600"),
        (("--seal-to", "here/seals"), "cannot use the folder"),
    ):
        with pytest.raises(AssertionError, match=re.escape(words)), Server(tmp_path, "--no-auth", *options):
            pass
    environ = {"WALLET_SEAL_TO": "seals", "WALLET_SEAL_EVERY": "60"}
    with Server(tmp_path, "--no-auth", environ=environ) as server:
        wait_for(lambda: bool(seals_of(tmp_path)))
    assert events(server, "sealing")[0]["every_s"] == 3600


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth") as server:
        assert server.client().get("/healthz").status_code == 200
    assert not events(server, "sealing")
    assert not events(server, "sealed")
