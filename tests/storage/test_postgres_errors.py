"""What can be wrong with a server or the way to it: a clear error, an exit code, and never a password."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support import cli, postgres
from support.postgres import QUICK, Cluster
from support.proxy import Proxy
from support.transcript import is_one_error, lines

from wallet_cli import settings
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import shown_url
from wallet_cli.installing import install, this_program
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage.sql import SCHEMA_VERSION

pytestmark = postgres.MARKS

PASSWORD = "hunter2/ünsäglich"
SHOWN = ("hunter", "ns%C3%A4glich", "nsäglich")
"""None of which may be seen anywhere."""

READ, WRITE = "balance 1", "register 9886977544"
OPEN = "create id:1/other"
"""Locks no row: what it inserts is sent with the commit."""


class Host(NamedTuple):
    """A server with passwords and roles, and whoever goes to it."""

    cluster: Cluster
    plain: Proxy
    secured: Proxy
    folder: Path

    def url(self, user: str = "owner", database: str = "ledger", **options: str) -> str:
        """Over TCP, with the password of everybody here."""
        return self.cluster.url(database, user, PASSWORD, **options)

    def over_tls(self, **options: str) -> str:
        given = {"hostaddr": "127.0.0.1"} | options
        return self.url(**given).replace(f"127.0.0.1:{self.cluster.port}", f"localhost:{self.secured.port}")


ROLES = f"""
CREATE ROLE owner LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE appender LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '{PASSWORD}';
CREATE ROLE unseen LOGIN PASSWORD '{PASSWORD}';
"""
ACCESS = [
    "local all all trust",
    # Nobody gets in here but over TLS, which this server's build may not even have: who comes without is told the same.
    "hostssl secured all 127.0.0.1/32 scram-sha-256",
    "host all unseen 127.0.0.1/32 reject",
    "host ledger,empty,newer,alien,others,halted,closed,latin,missing all 127.0.0.1/32 scram-sha-256",
]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with postgres.cluster_folder() as folder:
        cluster = Cluster(folder, QUICK, ACCESS, postgres.free_port())
        socket_file = folder / f".s.PGSQL.{cluster.port}"
        with cluster, Proxy(socket_file) as plain, Proxy(socket_file, certified(folder)) as secured:
            for statement in ROLES.strip().split("\n"):
                cluster.execute(statement)
            for name in ("ledger", "empty", "newer", "alien", "others", "halted", "closed"):
                cluster.execute(f"CREATE DATABASE {name} OWNER owner")
            cluster.execute("CREATE DATABASE latin OWNER owner ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
            for name in ("ledger", "newer", "halted", "closed"):
                chosen = settings.load({"db": cluster.url(name, "owner", PASSWORD)}, {})
                with open_ledger(chosen, lambda _: None, purpose=Purpose.MAKE):
                    pass
            for name in ("ledger", "halted"):
                assert cli.run(["--db", cluster.url(name, "owner", PASSWORD), "register", "9886977540"]).code == 0
            cluster.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, appender", "ledger")
            cluster.execute("GRANT INSERT ON ALL TABLES IN SCHEMA public TO appender", "ledger")
            cluster.execute("GRANT UPDATE ON ledger TO appender", "ledger")
            cluster.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "closed")
            cluster.execute("UPDATE alembic_version SET version_num = '0099'", "newer")
            cluster.execute("CREATE TABLE alembic_version (version_num TEXT)", "alien")
            cluster.execute("GRANT SELECT ON alembic_version TO PUBLIC", "alien")
            cluster.execute("INSERT INTO alembic_version VALUES ('ae1027a6acf')", "alien")
            cluster.execute("CREATE TABLE users (name TEXT)", "others")
            cluster.execute("ALTER DATABASE halted SET default_transaction_read_only = on")
            yield Host(cluster, plain, secured, folder)


def certified(folder: Path) -> ssl.SSLContext:
    """The server's side of TLS with a certificate for `localhost`, signed by `good.crt`; nobody knows `wrong.crt`."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl, which is not installed")
    for name in ("good", "wrong"):
        command = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {name}.key -out {name}.crt"
        extensions = ["-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(["openssl", *command.split(), *extensions], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "good.crt", folder / "good.key")
    return context


class Case(NamedTuple):
    """A URL, what is said of it, and the command that meets it."""

    url: Callable[[Host], str]
    message: str
    hint: str
    command: str = READ
    answer: tuple[int, str, bool] = (7, "storage_error", True)


def owner(database: str = "ledger", **options: str) -> Callable[[Host], str]:
    return lambda host: host.url(database=database, **options)


def user(name: str, database: str = "ledger") -> Callable[[Host], str]:
    return lambda host: host.url(name, database)


def over_tls(name: str = "localhost", **options: str) -> Callable[[Host], str]:
    """`FOLDER` is that of the server."""

    def url(host: Host) -> str:
        given = {option: value.replace("FOLDER", str(host.folder)) for option, value in options.items()}
        return host.over_tls(**given).replace("localhost", name)

    return url


CHECK_USER = "check the user and the password"
LET_IN = "add sslmode=require to the URL, or allow this connection in the server's pg_hba.conf"
IS_IT_THERE = "is the server running? try again, with the same key"
SIGNED = "give the certificate of the server's signer as sslrootcert="
TO_THE_PRIMARY = (
    "give the URL of the primary; is default_transaction_read_only set for the role or the database? To read from here,"
    " add target_session_attrs=any to the options of the URL"
)
MORE_RIGHTS = (
    "give the role the rights that it needs: docs/postgres.md lists those of servers, and of users who may only read"
)
MAY_USE_NO_SCHEMA = "this role may use no schema of its search path: postgresql://"
LET_USE = "GRANT USAGE ON SCHEMA … TO the role, or set another search_path"

CASES = {
    "no server": Case(
        lambda host: f"postgresql://owner:hunter2@127.0.0.1:{postgres.free_port()}/ledger",
        "Connection refused: postgresql://owner@127.0.0.1:…/ledger",
        IS_IT_THERE,
    ),
    "no socket": Case(
        lambda host: "postgresql://owner:hunter2@/ledger?host=/nowhere",
        "No such file or directory: postgresql://owner@/ledger?host=/nowhere",
        IS_IT_THERE,
    ),
    "two hosts, and no server on either": Case(
        lambda host: "postgresql://owner:hunter2@127.0.0.1:1,127.0.0.1:2/ledger", "Connection refused", IS_IT_THERE
    ),
    "no such host": Case(
        lambda host: "postgresql://owner:hunter2@host.invalid/ledger",
        "failed to resolve host 'host.invalid'",
        IS_IT_THERE,
    ),
    "a wrong password": Case(
        lambda host: host.url().replace("hunter2", "hunter3"),
        'password authentication failed for user "owner": postgresql://owner@127.0.0.1:…/ledger',
        CHECK_USER,
    ),
    "no password": Case(
        lambda host: host.cluster.url("ledger", "owner"), "no password supplied: postgresql://owner@", CHECK_USER
    ),
    "a password as an option": Case(
        lambda host: host.cluster.url("ledger", "owner") + "?password=hunter3",
        "/ledger?password=…",
        CHECK_USER,
    ),
    "nobody of that name": Case(
        user("nobody-here"), 'password authentication failed for user "nobody-here"', CHECK_USER
    ),
    "somebody who may not come in": Case(user("unseen"), 'pg_hba.conf rejects connection for host "127.0.0.1"', LET_IN),
    "a database that nobody may see": Case(owner("postgres"), "no pg_hba.conf entry for host", LET_IN),
    "no such database": Case(
        owner("missing"), 'database "missing" does not exist', "check the database's name, or CREATE DATABASE"
    ),
    "too many connections": Case(
        user("crowded"), 'too many connections for role "crowded"', "wait, or allow more connections"
    ),
    # TLS
    "TLS required": Case(owner("secured"), 'database "secured", no encryption', LET_IN),
    "TLS required and turned down": Case(
        owner("secured", sslmode="disable"), 'database "secured", no encryption', LET_IN
    ),
    "TLS required by whoever stands before the server": Case(
        over_tls(sslmode="disable"), "server closed the connection unexpectedly", IS_IT_THERE
    ),
    "TLS wanted of a server without": Case(
        owner(sslmode="require"),
        "server does not support SSL, but SSL was required",
        "enable TLS on the server, or remove sslmode= from the URL",
    ),
    "a certificate that another has signed": Case(
        over_tls(sslmode="verify-full", sslrootcert="FOLDER/wrong.crt"), "certificate verify failed", SIGNED
    ),
    "a certificate for another name": Case(
        over_tls("example.com", sslmode="verify-full", sslrootcert="FOLDER/good.crt"),
        'server certificate for "localhost" does not match host name "example.com"',
        SIGNED,
    ),
    "no certificate to check with": Case(
        over_tls(sslmode="verify-full", sslrootcert="FOLDER/none.crt"),
        'none.crt" does not exist',
        "give the file as sslrootcert=, or the system's certificates as sslrootcert=system",
    ),
    # Rights
    "a stranger reads": Case(user("stranger"), "permission denied for table", MORE_RIGHTS),
    "a stranger writes": Case(user("stranger"), "permission denied for table", MORE_RIGHTS, WRITE),
    "who may read writes": Case(user("reader"), "permission denied for table", MORE_RIGHTS, WRITE),
    "who may make no tables": Case(
        user("stranger", "empty"),
        "permission denied for schema public",
        "GRANT CREATE ON SCHEMA … TO the role: it creates the tables of the ledger",
        "register 9886977544",
    ),
    "who may not use the schema reads": Case(user("stranger", "closed"), MAY_USE_NO_SCHEMA, LET_USE),
    "who may not use the schema writes": Case(user("stranger", "closed"), MAY_USE_NO_SCHEMA, LET_USE, WRITE),
    "a schema that is not there": Case(owner("ledger", options="-csearch_path=books"), MAY_USE_NO_SCHEMA, LET_USE),
    "a server that takes no writes": Case(owner("halted"), "session is read-only", TO_THE_PRIMARY),
    "a write to a server that takes none": Case(
        owner("halted", target_session_attrs="any"),
        "cannot execute INSERT in a read-only transaction",
        TO_THE_PRIMARY,
        WRITE,
    ),
    # Said in the answer to the commit: it is not asked for what is known.
    "who may only insert makes a wallet": Case(
        user("appender"), "error: permission denied for table wallets: postgresql://", MORE_RIGHTS, OPEN
    ),
    "a wallet made on a server that takes no writes": Case(
        owner("halted", target_session_attrs="any"),
        "error: cannot execute INSERT in a read-only transaction",
        TO_THE_PRIMARY,
        OPEN,
    ),
    # What is there
    "a ledger of a newer version": Case(
        owner("newer"),
        f"this ledger was created by a newer wallet (schema 99; this one knows {SCHEMA_VERSION})",
        "upgrade wallet-cli",
    ),
    "another program's migrations": Case(
        owner("alien"), "this is a database, but not a wallet ledger: postgresql://owner@", "check --db"
    ),
    "another program's tables": Case(
        owner("others"),
        "the database has other programs' tables with the ledger's names",
        "give the ledger a separate database",
        "register 9886977544",
    ),
    "another program's tables, where no ledger is to be made": Case(
        owner("others"),
        "there is no ledger in this database",
        "the database has other programs' tables with the ledger's names: give the ledger a separate database",
        answer=(3, "ledger_not_found", False),
    ),
    "text that not everything can be written in": Case(
        owner("latin"), "this database keeps text as LATIN1", "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    ),
}


def told(url: str, command: str) -> cli.Outcome:
    """What the command says about that ledger, which holds no password however it is asked."""
    done = cli.run(["--db", url, *command.split()])
    for outcome in (done, cli.run(["--db", url, "config", "show"]), cli.run(["--db", url, "config", "show", "--json"])):
        assert not [word for word in SHOWN if word in outcome.out + outcome.err]
    assert "Traceback" not in done.err
    assert done.out == ""
    assert is_one_error(lines(done.err))
    return done


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_wrong_is_told(case: Case, host: Host) -> None:
    url = case.url(host)
    done = told(url, case.command)
    error, hint = lines(done.err)
    assert re.search(re.escape(case.message).replace(":…/", r":\d+/"), error)
    assert hint == f"hint: {case.hint}"
    assert done.code == case.answer[0]
    known = cli.run(["--db", url, *case.command.split(), "--json"])
    assert (known.code, known.error["code"], known.error["retryable"]) == case.answer


def test_who_may_only_read_moves_nothing(host: Host, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    done = cli.run(["--db", host.url("reader"), "move", "--to", str(new)])
    address = shown_url(host.url("reader"))
    assert lines(done.err) == (f"error: permission denied for table ledger: {address}", f"hint: {MORE_RIGHTS}")
    assert (done.code, new.exists()) == (7, False)


@pytest.mark.parametrize(("name", "status"), [("owner", "ok"), ("reader", "warning")])
def test_the_doctor_says_whether_a_role_may_write(host: Host, name: str, status: str) -> None:
    found = {each["name"]: each for each in cli.run(["--db", host.url(name), "doctor", "--json"]).json["findings"]}
    assert found["state"]["status"] == status


def test_a_backup_of_a_database_is_put_back_by_its_own_tools(host: Host) -> None:
    host.cluster.execute("UPDATE ledger SET damaged = 'foo'", "ledger")
    try:
        found = {each["name"]: each for each in cli.run(["--db", host.url(), "doctor", "--json"]).json["findings"]}
    finally:
        host.cluster.execute("UPDATE ledger SET damaged = NULL", "ledger")
    assert found["state"]["advice"].endswith("by PostgreSQL's own tools, as docs/postgres.md says")


def test_nothing_is_wrong_with_a_good_url(host: Host) -> None:
    """The same roles, options and certificates, where they fit."""
    good = {"sslmode": "verify-full", "sslrootcert": str(host.folder / "good.crt")}
    for url in (host.url(), host.over_tls(), host.over_tls(**good), host.url("reader")):
        assert cli.run(["--db", url, "verify", "-q"]).code == 0
    assert cli.run(["--db", host.over_tls(**good), *WRITE.split(), "--exist-ok", "-q"]).out == "2\n"
    assert cli.run(["--db", host.url(database="halted", target_session_attrs="any"), "verify"]).code == 0


INVALID = {
    "a port that is no number": "postgresql://u:hunter2@host:port/ledger",
    "a port that there cannot be": "postgresql://u:hunter2@host:123456/ledger",
    "a bracket left open": "postgresql://u:hunter2@[::1/ledger",
    "an option that there is not": "postgresql://u:hunter2@host/ledger?colour=red",
    "an option without a value": "postgresql://u:hunter2@host/ledger?sslmode",
    "an option with a wrong value": "postgresql://u:hunter2@127.0.0.1:1/ledger?sslmode=maybe",
    "an option of the server that there is not": "postgresql://owner:hunter2@SERVER/ledger?options=-cfoo%3Dbar",
    "a service that there is not": "postgresql://u:hunter2@127.0.0.1:1/ledger?service=nosuch",
    "a number with letters": "postgresql://u:hunter2@127.0.0.1:1/ledger?connect_timeout=abc",
    "a percent sign alone": "postgresql://u:hunter2%@host/ledger",
    "more ports than hosts": "postgresql://u:hunter2@host:1,:2/ledger?port=1,2,3",
    "the port wrong, the password an option": "postgresql://u@host:port/ledger?password=hunter2",
    "an at sign in the password": "postgresql://u:hun@hunter2@host/ledger",
    "a slash in the password": "postgresql://u:5/hunter2@host/ledger",
    "as psql takes it, with spaces": "user = u password = 'hunter2 hunter2'",
    "a hash sign in the password": "postgresql://u:hunter2#hunter2@host:port/ledger",
    "one slash": "postgresql:/u:hunter2@host/ledger",
    "no slash": "postgres:ledger",
    "as psql takes it": "host=127.0.0.1 dbname=ledger password=hunter2",
    "another database's": "mysql://u:hunter2@host/ledger",
}


@pytest.mark.parametrize("url", INVALID.values(), ids=INVALID)
def test_a_url_that_is_none_is_refused(url: str, host: Host, tmp_path: Path) -> None:
    mine = host.url()
    server, secret = mine.rpartition("@")[2].partition("/")[0], mine.partition("owner:")[2].partition("@")[0]
    done = told(url.replace("owner:hunter2@SERVER", f"owner:{secret}@{server}"), READ)
    assert done.code == 2
    assert "postgresql://user" in lines(done.err)[1]
    assert not list(tmp_path.glob("*[pm]*"))  # and no file is made of that name


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 64, b"E\x00\x00\x00\x04"])
def test_what_answers_is_not_postgresql(said: bytes) -> None:
    """Another program on that port, which says something else, or only hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(4):  # with TLS and without, for a command in words and in JSON
                try:
                    client, _address = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(1000)
                    client.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        done = told(f"postgresql://u:hunter2@127.0.0.1:{listener.getsockname()[1]}/ledger", READ)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert done.code == 7


def test_what_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:hunter2@127.0.0.1:{silent.getsockname()[1]}/ledger?connect_timeout=2"
        done = told(url, READ)
    assert done.code == 7
    assert "timeout expired" in done.err


def test_without_the_driver_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "wallet_cli.storage.postgres", raising=False)
    done = told("postgresql://u:hunter2@host/ledger", READ)
    assert (done.code, lines(done.err)[1]) == (2, "hint: " + install(this_program("postgres")))
