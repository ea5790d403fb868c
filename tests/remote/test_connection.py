"""Who is talked to and how: addresses, TLS, tokens, and what else than a `wallet serve` may answer.

Whatever is wrong is one clear error with its exit code: never a traceback, never the token.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from remote.place import Place
from remote.proxy import ANSWERS, CERTIFICATES, Proxy
from support.cli import Outcome

from wallet_cli.remote.http import MAX_TRIES

pytestmark = pytest.mark.on_file("what goes wrong on the way does not ask where the ledger is kept")

TOKEN = "wk_a-token-that-nobody-has-0123456789abcdefgh"


def refused(done: Outcome, exit_code: int, *words: str, secret: str = TOKEN) -> None:
    """One error and nothing else, in these words."""
    assert (done.code, done.out) == (exit_code, ""), done
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert secret not in done.err
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org", "unencrypted"),
        ("http://192.0.2.1:5000", "unencrypted"),
        ("http://localhost.example.org", "unencrypted"),
        ("HTTP://EXAMPLE.ORG", "unencrypted"),
        (f"https://till:{TOKEN}@example.org", "cannot have a name or a password"),
        (f"https://{TOKEN}@example.org", "cannot have a name or a password"),
        ("https://", "not the address of a ledger"),
        ("https://example.org?a=1", "not the address of a ledger"),
        ("https://example.org#a", "not the address of a ledger"),
        ("https://example.org:99999", "cannot be read"),
        ("https://[::1", "cannot be read"),
        ("http://localhost:0", "not the address of a ledger"),
        ("http://[::1]11", "the address of"),
        ("https://x'y", "not the address of a ledger"),
        ("ftp://example.org", "a ledger cannot be at"),
    ],
)
def test_addresses_that_are_refused(place: Place, url: str, words: str) -> None:
    refused(place.from_afar(["users"], {"WALLET_DB": url, "WALLET_TOKEN": TOKEN}), 2, words)


def test_no_server_and_no_such_host(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    here = {"WALLET_TOKEN": TOKEN, "WALLET_LOCK_TIMEOUT": "0.01"}
    for line in (
        ["users"],
        ["tx", "add", "1", "1", "--credit"],
        ["export"],
        ["statement", "1", "-o", "html"],
    ):
        refused(place.from_afar(line, {"WALLET_DB": f"http://127.0.0.1:{port}", **here}), 7, "cannot reach")
    refused(place.from_afar(["users"], {"WALLET_DB": "https://wallet.invalid", **here}), 7, "cannot reach")


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_a_slash_at_the_end_does_not_matter(place: Place, path: str) -> None:
    assert place.from_afar(["users", "-q"], {"WALLET_DB": place.server.url + path}).code == 0


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["WALLET_CA_FILE", "SSL_CERT_FILE"])
def test_tls_with_an_authority_of_ones_own(place: Place, variable: str) -> None:
    case = place.case()
    with Proxy(place.server.address, tls=True) as proxy:
        chosen = {"WALLET_DB": proxy.url, variable: str(CERTIFICATES / "ca.pem")}
        assert place.from_afar(case.fill("balance {phone} -q"), chosen).out == "90.00\n"
        assert place.from_afar(case.fill("tx add {phone} 1 --credit -q"), chosen).out == f"{case.wallet}-3\n"


@pytest.mark.parametrize("chosen", [{}, {"WALLET_CA_FILE": str(CERTIFICATES / "other.pem")}])
def test_a_certificate_of_nobody_who_is_trusted(place: Place, chosen: dict[str, str]) -> None:
    """It is refused before a word is said, and not asked again."""
    with Proxy(place.server.address, tls=True) as proxy:
        done = place.from_afar(["users"], {"WALLET_DB": proxy.url, "WALLET_TOKEN": TOKEN, **chosen})
        refused(done, 7, "certificate", "not trusted", "WALLET_CA_FILE")
        assert proxy.requests == []


def test_a_certificate_of_another_host(place: Place) -> None:
    with Proxy(place.server.address, tls=True) as proxy:
        url = proxy.url.replace("localhost", "127.0.0.2")
        chosen = {"WALLET_DB": url, "WALLET_TOKEN": TOKEN, "WALLET_CA_FILE": str(CERTIFICATES / "ca.pem")}
        with socket.create_server(("127.0.0.2", int(url.rpartition(":")[2]))) as elsewhere:
            _pass_on(elsewhere, proxy)
            refused(place.from_afar(["users"], chosen), 7, "not trusted", "127.0.0.2")
        assert proxy.requests == []


def _pass_on(elsewhere: socket.socket, proxy: Proxy) -> None:
    """Let the proxy take the one connection that comes to another address."""
    import threading

    def one() -> None:
        caller, _ = elsewhere.accept()
        with caller, pytest.MonkeyPatch.context():
            assert proxy.context is not None
            try:
                proxy.context.wrap_socket(caller, server_side=True).close()
            except OSError:
                return  # the caller does not like the certificate, as it should be

    threading.Thread(target=one, daemon=True).start()


def test_a_server_that_speaks_no_tls(place: Place) -> None:
    url = place.server.url.replace("http://", "https://")
    refused(place.from_afar(["users"], {"WALLET_DB": url, "WALLET_TOKEN": TOKEN}), 7, "TLS")


@pytest.mark.parametrize("name", ["nowhere.pem", "token"])
def test_certificates_that_cannot_be_read(place: Place, name: str) -> None:
    Path("token").write_text("not a certificate")
    chosen = {"WALLET_DB": "https://127.0.0.1:1", "WALLET_CA_FILE": name}
    refused(place.from_afar(["users"], chosen), 2, "cannot read certificates", name)


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [TOKEN, "eyJhbGciOiJub25lIn0.e30.", "x"])
def test_a_wrong_token(place: Place, token: str) -> None:
    done = place.from_afar(["users"], {"WALLET_TOKEN": token})
    refused(done, 8, "not valid", "WALLET_TOKEN", secret=token if len(token) > 1 else TOKEN)


def test_no_token(place: Place) -> None:
    refused(place.from_afar(["users"], {"WALLET_TOKEN": ""}), 8, "no key or token", "WALLET_TOKEN_FILE")


@pytest.mark.parametrize("token", [f"{TOKEN} {TOKEN}", f"{TOKEN}\r\nX-Evil: 1", f"{TOKEN}é"])
def test_what_cannot_be_a_token_goes_nowhere(place: Place, token: str) -> None:
    refused(place.from_afar(["users"], {"WALLET_TOKEN": token}), 2, "the token is not valid")


def token_file(text: str, mode: int) -> str:
    path = Path("kept.token")
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_token_in_a_file(place: Place, mode: int) -> None:
    chosen = {"WALLET_TOKEN": "", "WALLET_TOKEN_FILE": token_file(place.key + "\n", mode)}
    assert place.from_afar(["users", "-q"], chosen).code == 0


def test_a_token_in_the_config_folder(place: Place, tmp_path: Path) -> None:
    config = Path("config/config.toml")
    config.parent.mkdir()
    Path(token_file(place.key, 0o600)).rename(config.with_name("token"))
    assert place.from_afar(["users", "-q"], {"WALLET_TOKEN": "", "WALLET_CONFIG": str(config)}).code == 0


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o700])
def test_a_token_file_that_others_may_use_is_refused(place: Place, mode: int) -> None:
    chosen = {"WALLET_TOKEN": "", "WALLET_TOKEN_FILE": token_file(TOKEN, mode)}
    refused(place.from_afar(["users"], chosen), 2, f"has mode {mode:04o}", "chmod 600")


@pytest.mark.parametrize("text", ["", " \n", "é", "x" * 9000])
def test_a_token_file_that_holds_none(place: Place, text: str) -> None:
    chosen = {"WALLET_TOKEN": "", "WALLET_TOKEN_FILE": token_file(text, 0o600)}
    refused(place.from_afar(["users"], chosen), 2, "holds no token")


def test_a_token_file_that_is_not_there(place: Place) -> None:
    refused(place.from_afar(["users"], {"WALLET_TOKEN": "", "WALLET_TOKEN_FILE": "none"}), 2, "cannot read the token")


def test_a_proxy_does_not_see_the_token_of_this_machine(place: Place) -> None:
    """An open line to this machine goes straight there."""
    with Proxy(place.server.address) as nosy:
        chosen = {"HTTP_PROXY": nosy.url, "http_proxy": nosy.url, "ALL_PROXY": nosy.url, "NO_PROXY": "", "no_proxy": ""}
        assert place.from_afar(["users", "-q"], chosen).code == 0
        assert nosy.requests == []


# --- what answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["users", "tx add {phone} 1 --credit", "export", "statement {phone}", "verify"])
@pytest.mark.parametrize(
    ("action", "exit_code", "words"),
    [
        ("html", 7, "not `wallet serve`"),
        ("json", 7, "not `wallet serve`"),
        ("list", 7, "not `wallet serve`"),
        ("older", 7, "it has another version"),
        ("newer", 4, "error: no\nhint: wait"),
        ("redirect", 7, "redirects to another address: 'http://127.0.0.2:1/api/v1/elsewhere'"),
        ("nowhere", 7, "redirects to another address: 'http://[/'"),
        ("not http", 7, "no answer from"),
        ("half", 7, "no answer from"),
        ("502", 7, "not `wallet serve`: HTTP status 502"),
    ],
)
def test_what_is_no_answer_of_a_server(place: Place, line: str, action: str, exit_code: int, words: str) -> None:
    assert action in ANSWERS
    case = place.case()
    if action == "half" and line == "export":
        words = "not `wallet serve`"  # no file has that type
    with Proxy(place.server.address, [action] * 20) as proxy:
        done = place.from_afar(case.fill(line), {"WALLET_DB": proxy.url, "WALLET_TOKEN": TOKEN})
        refused(done, exit_code, words)
    assert proxy.passed == 0


@pytest.mark.parametrize("data", ["null", "[1]", "{}", "NaN", '"text"', '{"users": [{}], "next_cursor": null}'])
@pytest.mark.parametrize(
    "line",
    [
        *("users", "users -o csv", "list", "list {phone}", "balance {phone}", "balance {phone} -q", "limits 1"),
        *("tx list {phone}", "tx show {wallet}-1", "tx total {phone}", "history", "find groc", "audit", "verify"),
        *("hold list {phone}", "key list", "ledger show", "token {phone}", "import lines.csv"),
    ],
)
def test_data_of_another_shape_is_no_answer(place: Place, line: str, data: str) -> None:
    Path("lines.csv").write_text("wallet,amount,kind\n1,1,credit\n")
    with Proxy(place.server.address, [f"data {data}"] * MAX_TRIES) as proxy:
        done = place.from_afar([*place.unchanged.fill(line)], {"WALLET_DB": proxy.url})
    refused(done, 7, "not `wallet serve`: HTTP status 200")
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("data", ["null", "{}", '{"balance": "1.00", "transactions": [{}]}'])
def test_a_statement_of_another_shape_is_none(place: Place, data: str) -> None:
    case = place.unchanged
    with Proxy(place.server.address, ["pass", "pass", f"data {data}"]) as proxy:
        done = place.from_afar(case.fill("statement {phone}"), {"WALLET_DB": proxy.url})
    refused(done, 7, "the server did not send a statement")


@pytest.mark.parametrize(
    ("action", "exit_code", "code", "tries"),
    [("limited", 6, "busy", MAX_TRIES), ("slow", 2, "invalid_input", 1)],
)
def test_codes_that_only_a_server_has_are_told_as_those_of_their_group(
    place: Place, action: str, exit_code: int, code: str, tries: int
) -> None:
    with Proxy(place.server.address, [action] * tries) as proxy:
        done = place.from_afar(["users", "--json"], {"WALLET_DB": proxy.url})
        assert (done.code, done.error["code"], done.error["retryable"]) == (exit_code, code, tries > 1)
        assert len(proxy.requests) == tries
        assert place.from_afar(["users", "-q"], {"WALLET_DB": proxy.url}).code == 0


def test_with_debugging_on_the_token_is_not_shown_either(place: Place) -> None:
    chosen = {"WALLET_DEBUG": "1", "WALLET_TOKEN": TOKEN, "WALLET_LOCK_TIMEOUT": "0"}
    with Proxy(place.server.address, ["not http"]) as proxy:
        refused(place.from_afar(["users"], {"WALLET_DB": proxy.url, **chosen}), 7, "no answer")
