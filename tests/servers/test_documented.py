"""What docs/ and compose.yaml tell one to do with PostgreSQL is done: roles, partitions, shards, a primary."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from servers.cluster import Cluster, scratch_cluster
from support import cli, postgres

from wallet_cli import settings
from wallet_cli.domain.purpose import Purpose
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage.postgres import PostgresStore

pytestmark = postgres.MARKS

ROOT = Path(__file__).parents[2]

STORY = """
register 9886977544 --name Asha
create 1
create 1/savings
tx add 1 500 --credit --key salary
tx add 1 500 --credit --key salary
tx add 1 20 --debit --note Tea
transfer 1 1/savings 100 --key pocket
hold add 1 50
hold capture 1-h1 20
hold add 1 10
hold void 1-h2
tx reverse 1-2
limits 1 --daily-debit 400
freeze 1/savings
unfreeze 1/savings
key create till
key revoke till
balance 1
tx list 1
tx total 1
statement 1
users
verify
export
"""


def sql_of(document: str, count: int) -> list[str]:
    """The blocks of SQL of a document."""
    found = re.findall(r"^```sql\n(.*?)^```", (ROOT / "docs" / document).read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) >= count
    return found[:count]


def run_sql(url: str, script: str) -> None:
    """As psql would: one statement after the other; or all at once, where one of them has statements within."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in [script] if "$$" in script else script.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())


def tell(story: str, *options: str) -> None:
    for line in story.strip().splitlines():
        done = cli.run([*options, *re.findall(r"\S+", line)])
        assert done.code == 0, (line, done.err)


# Roles.


def test_the_role_of_a_server_can_change_no_history(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    making, granting = sql_of("postgres.md", 2)
    run_sql(cluster.url(), making)
    monkeypatch.setenv("WALLET_DB", cluster.url("wallet", user="wallet_owner"))
    tell(STORY.strip().splitlines()[0])
    run_sql(cluster.url("wallet", user="wallet_owner"), granting)
    as_server = cluster.url("wallet", user="wallet")
    monkeypatch.setenv("WALLET_DB", as_server)
    tell("\n".join(STORY.strip().splitlines()[1:]))
    with psycopg.connect(as_server, autocommit=True) as connection:
        for statement in ("UPDATE transactions SET amount = 1", "DELETE FROM transactions", "DELETE FROM wallets"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


# Partitions.


def test_a_partitioned_ledger_is_used_as_any_other(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    [partitioning] = sql_of("scale.md", 1)
    database = cluster.new_database()
    monkeypatch.setenv("WALLET_DB", cluster.url(database))
    # Some of the story is there before.
    tell("\n".join(STORY.strip().splitlines()[:8]))
    before = cli.run("export").out
    run_sql(cluster.url(database), partitioning)
    assert cli.run("export").out == before
    tell("\n".join(STORY.strip().splitlines()[8:]))
    [(partitions, kind)] = cluster.execute(
        "SELECT count(*), min(p.relkind::text) FROM pg_inherits JOIN pg_class p ON p.oid = inhparent"
        " WHERE p.relname = 'transactions'",
        database,
    )
    assert (partitions, kind) == (64, "p")
    assert cli.run("verify").code == 0
    run_sql(
        cluster.url(database),
        "CREATE TRIGGER t BEFORE UPDATE ON transactions_07 FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    )
    assert "trigger t of table transactions" in cli.run("verify").err


@pytest.mark.parametrize(
    "name", ["ix_transactions_wallet_id_reverses", "pk_transactions", "uq_transactions_wallet_id_key_user_key"]
)
def test_a_partitioned_ledger_has_the_same_indexes(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked = f"SELECT replace(replace(indexdef, ' ONLY', ''), 'public.', '') FROM pg_indexes WHERE indexname = '{name}'"
    database = cluster.new_database()
    monkeypatch.setenv("WALLET_DB", cluster.url(database))
    with open_ledger(settings.load({}), lambda _: None, purpose=Purpose.MAKE):
        pass
    [plain] = cluster.execute(asked, database)
    run_sql(cluster.url(database), sql_of("scale.md", 1)[0])
    assert cluster.execute(asked, database) == [plain]


# Shards.

CITUS = """
CREATE FUNCTION create_reference_table(regclass) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION create_distributed_table(
    divided regclass, distribution_column text, shard_count int DEFAULT NULL, colocate_with regclass DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE unique_index regclass;
BEGIN
    FOR unique_index IN SELECT indexrelid::regclass FROM pg_index WHERE indrelid = divided AND indisunique
        AND NOT (SELECT attnum FROM pg_attribute WHERE attrelid = divided AND attname = distribution_column)
            = ANY (indkey::int2[]) LOOP
        RAISE EXCEPTION '% does not contain %', unique_index, distribution_column;
    END LOOP;
END
$$;
"""
"""As much of Citus as knows which tables and columns there are, and what it would refuse to divide."""


def test_a_ledger_divided_by_type_is_used_as_any_other(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    _, without_constraint, dividing = sql_of("scale.md", 3)
    database = cluster.new_database()
    monkeypatch.setenv("WALLET_DB", cluster.url(database))
    tell(STORY.strip().splitlines()[0])
    run_sql(cluster.url(database), CITUS)
    with pytest.raises(psycopg.errors.RaiseException, match="uq_wallets_user_id_type does not contain id"):
        run_sql(cluster.url(database), dividing)
    run_sql(cluster.url(database), without_constraint)
    run_sql(cluster.url(database), dividing)
    tell("\n".join(STORY.strip().splitlines()[1:]))
    assert cli.run("create 1/savings").code == 5  # there is one already


# The compose file.


@pytest.fixture(scope="module")
def composed() -> Any:
    yaml: Any = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def settings_of(command: list[str]) -> dict[str, str]:
    """What `-cname=value` says in a command line."""
    return dict(re.findall(r"-c(\w+)=(\S+)", " ".join(command)))


def test_the_compose_file_names_what_there_is(composed: Any) -> None:
    services = composed["services"]
    assert set(services) == {"primary", "standby", "server1", "server2"}
    for service in services.values():
        # No registry's host: whoever runs it chooses where images come from.
        assert re.fullmatch(r"[a-z-]+(:\d+)?", service["image"])
        assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(composed["volumes"])
        for name, value in service["environment"].items():
            if "PASSWORD" in name or "SECRET" in name:
                assert re.fullmatch(r"\$\{\w+:\?.*\}", value), f"{name} has a default"
    # The servers have no password of a superuser's.
    secrets = {name: set(service["environment"].values()) for name, service in services.items()}
    assert secrets["primary"] & secrets["server1"] == {"${WALLET_DB_PASSWORD:?set it}"}
    assert "POSTGRES_USER" not in services["primary"]["environment"]
    for name in ("server1", "server2"):
        url = services[name]["environment"]["WALLET_DB"]
        assert urlsplit(url).netloc == "wallet@primary,standby"
        PostgresStore(url, 1).close()  # it can be read
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])


def test_the_primary_of_the_compose_file_waits_for_its_standby(
    composed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script of its first start, run on a server with its settings; then the standby's copy, of that server."""
    primary, standby = composed["services"]["primary"], composed["services"]["standby"]
    script = composed["configs"]["first_start"]["content"].replace("$$", "$")
    copying = standby["command"][-1].replace("$$", "$")
    with scratch_cluster({"max_wal_senders": "4", "fsync": "off"} | settings_of(primary["command"])) as cluster:
        environ = postgres.environment() | {
            "PATH": f"{postgres.programs()}:{os.environ['PATH']}",
            "PGDATA": str(cluster.data),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(cluster.tcp_port),
            "POSTGRES_USER": "postgres",
            "POSTGRES_DB": "postgres",
            "REPLICATION_PASSWORD": "it's secret",
            "WALLET_DB_PASSWORD": "so's this",
        }
        access = (cluster.data / "pg_hba.conf").read_text()
        subprocess.run(["bash", "-euc", script], env=environ, check=True, capture_output=True)
        assert "synchronous_standby_names" in (cluster.data / "postgresql.auto.conf").read_text()
        added = (cluster.data / "pg_hba.conf").read_text().removeprefix(access)
        assert added == "host replication replicator all scram-sha-256\n"

        # The role of the servers makes its tables and does all else, in a database that no other role gets into.
        may = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
        assert cluster.execute(f"SELECT {may} FROM pg_roles WHERE rolname = 'wallet'") == [(False,)]
        assert cluster.execute("SELECT has_database_privilege('replicator', 'wallet', 'CONNECT')") == [(False,)]
        monkeypatch.setenv("WALLET_DB", cluster.url("wallet", user="wallet"))
        tell(STORY)

        # As in the container, but that the primary has another address, and nobody has to become another user.
        taken = re.search(r"gosu postgres (pg_basebackup .*?)\n\s*fi", copying, re.DOTALL)
        assert taken is not None
        copy = taken[1].replace("host=primary", f"host=127.0.0.1 port={cluster.tcp_port}")
        target = tmp_path / "copy"
        cluster.execute("SELECT pg_reload_conf()")
        given = environ | {"PGDATA": str(target), "PGPASSWORD": "it's secret"}
        done = subprocess.run(["bash", "-euc", copy], env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (target / "standby.signal").exists()
        written = (target / "postgresql.auto.conf").read_text()
        [names] = cluster.execute("SHOW synchronous_standby_names")[0]
        assert f"application_name={names}" in written
        assert f"primary_slot_name = '{names}'" in written
