"""`wallet commands --json` says what there is, and every error that a story shows is listed with its command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import transcript
from transcripts.test_schemas import STORIES, command_of, words_of

from wallet_cli import errors
from wallet_cli.cli import catalogue, tree
from wallet_cli.domain.purpose import Purpose

ALL = catalogue.catalogue()
BY_NAME = {each["name"]: each for each in ALL["commands"]}


def shown_errors() -> Iterator[tuple[str, str, str]]:
    """Where a story shows an error of a command in JSON: the place, the command, the code."""
    for path in STORIES:
        for step in transcript.steps_of(transcript.parse(path.read_text("utf-8"))):
            command = command_of(words_of(step.command))
            for line in step.expected.err:
                found = re.match(r'\{"error": \{"code": "(\w+)"', line)
                if found and command is not None:
                    yield f"{Path(path).stem}:{step.line_number}", command, found[1]


def test_every_error_that_is_shown_is_listed() -> None:
    shown = list(shown_errors())
    assert len(shown) > 30
    missing = [(where, command, code) for where, command, code in shown if code not in BY_NAME[command]["errors"]]
    assert missing == []


def test_what_a_command_is_given_and_what_it_changes_say_how_it_is_refused() -> None:
    for each in ALL["commands"]:
        given = {value for part in (*each["arguments"], *each["options"]) if (value := part["value"])}
        if given & {"WALLET", "USER", "FROM", "TO"}:
            assert "user_not_found" in each["errors"], each["name"]
        if tree.command_of(each["name"]).purpose in (Purpose.WRITE, Purpose.MAKE) and each["name"] != "token":
            assert each["name"] in catalogue.REFUSED_WITH
    assert BY_NAME["credit"]["errors"] == BY_NAME["debit"]["errors"] == BY_NAME["tx add"]["errors"]
    assert "wallet_not_found" not in BY_NAME["create"]["errors"]


def test_a_command_that_is_not_of_a_ledger_has_no_errors_of_one() -> None:
    for words, command in tree.each():
        named = {error.code for error in catalogue.errors_of(words, command)}
        if command.purpose is not None:
            assert ("ledger_not_found" in named) == (command.purpose is not Purpose.MAKE), words
        if words.partition(" ")[0] in ("config", *tree.OF_NO_LEDGER):
            assert named == {"invalid_input", "storage_error", "internal_error", "interrupted"}, words


EFFECTS = {
    "none": {"help", "commands", "completion", "demo", "config path", "config show", "config get"},
    "write": {"serve", "mcp", "seal", "receipt", "use", "backup", "restore", "init", "move", "register", "config set"},
    "read": {"doctor", "balance", "export", "verify"},
}
MAKERS = {"register", "create", "wallet create", "import", "init", "restore", "serve"}


def test_what_a_command_may_change_and_make_is_told() -> None:
    """Also of one that opens the ledger itself; to seal brings an older one to the schema of now."""
    told = {effect: {each["name"] for each in ALL["commands"] if each["effect"] == effect} for effect in EFFECTS}
    assert told["none"] == EFFECTS["none"]
    assert all(EFFECTS[effect] <= told[effect] for effect in EFFECTS)
    assert {each["name"] for each in ALL["commands"] if each["makes_ledger"]} == MAKERS


def test_errors_have_the_exit_codes_of_the_program() -> None:
    known: dict[str, type[errors.WalletError]] = {errors.InternalError.code: errors.InternalError}
    classes = [errors.WalletError]
    for one in classes:
        classes += one.__subclasses__()
        known.setdefault(one.code, one)  # the first of its kind
    assert {each["code"] for each in ALL["errors"]} <= known.keys()
    for each in ALL["errors"]:
        one = known[each["code"]]
        assert (each["exit_code"], each["retryable"]) == (one.exit_code, one.retryable)
    assert {code for each in ALL["commands"] for code in each["errors"]} == {each["code"] for each in ALL["errors"]}


@pytest.mark.parametrize("command", ALL["commands"], ids=lambda each: each["name"])
def test_a_command_tells_of_its_parameters(command: dict[str, object]) -> None:
    text = json.dumps(command)
    assert json.loads(text) == command
    for parameter in [*command["arguments"], *command["options"]]:  # type: ignore[misc]
        assert parameter["about"].endswith((".", ":")) or parameter["about"][-1].isalnum()
        assert (parameter["value"] is None) == (parameter["type"] == "boolean")


def test_what_the_tree_says_is_told() -> None:
    assert list(BY_NAME) == [words for words, _ in tree.each()]
    add = BY_NAME["tx add"]
    assert (add["effect"], add["makes_ledger"], add["section"]) == ("write", False, "Money")
    assert add["usage"] == "wallet tx add WALLET AMOUNT [OPTIONS]"
    assert {"insufficient_funds", "key_reused", "busy", "wallet_not_found"} <= set(add["errors"])
    assert "hold_not_open" not in add["errors"]
    assert BY_NAME["register"]["makes_ledger"]
    assert "ledger_not_found" not in BY_NAME["register"]["errors"]
    (db,) = (option for option in ALL["options"] if option["names"] == ["--db"])
    assert db["env"] == ["WALLET_DB"]
    for name, variables in {"create": ["MINIMUM_BALANCE", "WALLET_MINIMUM_BALANCE"], "limits": []}.items():
        (minimum,) = (option for option in BY_NAME[name]["options"] if option["names"] == ["--minimum-balance"])
        assert sorted(minimum["env"]) == variables, name
    (output,) = (option for option in add["options"] if "-o" in option["names"])
    assert output["choices"] == ["table", "json", "jsonl", "csv"]
    (balance,) = (field for field in add["answer"]["fields"] if field["name"] == "balance")
    assert balance == {
        "name": "balance",
        "type": "string",
        "nullable": False,
        "optional": False,
        "about": "The wallet's balance just after it.",
    }
