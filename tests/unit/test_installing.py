"""What to run to install something is what works where the program is, by whatever it was installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import cli

from wallet_cli.installing import install, missing, this_program
from wallet_cli.web.http_errors import for_strangers

WHAT = "'wallet-cli[pdf]'"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that this program could be in."""
    path = tmp_path / "with space" / "wallet-cli"
    path.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(path))
    monkeypatch.setattr(sys, "executable", str(path / "bin" / "python"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return path


def test_pipx_installs_into_the_environment_that_it_made(prefix: Path) -> None:
    (prefix / "pipx_metadata.json").touch()
    assert install(WHAT) == f"pipx runpip wallet-cli install {WHAT}"


def test_uv_installs_into_the_environment_of_a_tool(prefix: Path) -> None:
    (prefix / "uv-receipt.toml").touch()
    assert install(WHAT) == f"uv pip install --python '{prefix}/bin/python' {WHAT}"


def test_pip_is_that_of_the_environment(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert install(WHAT) == f"'{prefix}/bin/python' -m pip install {WHAT}"
    monkeypatch.setenv("VIRTUAL_ENV", str(prefix))
    assert install(WHAT) == f"pip install {WHAT}"
    monkeypatch.delenv("VIRTUAL_ENV")
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert install(WHAT) == f"pip install {WHAT}"


@pytest.mark.on_file("what is missing before any ledger is opened")
@pytest.mark.parametrize(
    ("line", "module", "package", "extra"),
    [
        ("serve", "wallet_cli.web.server", "uvicorn", "serve"),
        ("token 1", "wallet_cli.operations.tokens", "jwt", "serve"),
        ("tx add 1 5 --credit --jq .id", "wallet_cli.cli.jq_filter", "jq", "jq"),
        ("--db https://till.example.org balance 1", "wallet_cli.remote.http", "httpx", "remote"),
        ("--db postgresql://u@127.0.0.1:1/l balance 1", "wallet_cli.storage.postgres", "psycopg", "postgres"),
    ],
)
def test_a_command_that_lacks_an_extra_says_how_to_install_it(
    line: str, module: str, package: str, extra: str, prefix: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.run("register 9886977544")
    (prefix / "pipx_metadata.json").touch()
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    done = cli.run(line)
    assert done.code == 2
    assert f"a package that is not installed: {package}" in done.err
    assert f"pipx runpip wallet-cli install {this_program(extra)}" in done.err


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ('{"url": "file:///home/asha/my%20wallet", "dir_info": {}}', "'/home/asha/my wallet[pdf]'"),
        ('{"url": "file:///srv/wallet", "dir_info": {"editable": true}}', "-e '/srv/wallet[pdf]'"),
        ('{"url": "file:///tmp/wallet_cli-0.1.0-py3-none-any.whl", "archive_info": {}}', WHAT),
        ("not JSON", WHAT),
        (None, WHAT),
    ],
)
def test_what_was_installed_from_a_folder_is_installed_from_there(
    source: str | None, what: str, prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name alone may be unknown to the index, or be another version there."""
    info = prefix / "wallet_cli-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wallet-cli\nVersion: 0.1.0\n")
    if source is not None:
        (info / "direct_url.json").write_text(source)
    monkeypatch.syspath_prepend(str(prefix))
    (prefix / "pipx_metadata.json").touch()
    told = missing("a PDF needs", ModuleNotFoundError("no", name="fpdf"), "pdf")
    assert told.hint == f"pipx runpip wallet-cli install {what}"


def test_a_stranger_is_not_told_where_the_program_is(prefix: Path) -> None:
    told = for_strangers(missing("a PDF needs", ModuleNotFoundError("no", name="fpdf"), "pdf"))
    assert (told.code, told.hint) == ("invalid_input", None)
    assert "fpdf" not in told.message
