"""The names in a ledger on another machine, for completion while typing (operations/glimpse.py).

It uses the standard library only: the HTTP library takes longer to load than an answer may take. The rules are those of
server.py: a token goes only to its host, certificates are checked, redirects are not followed. There is one try.
"""

from __future__ import annotations

import json
from contextlib import closing
from functools import cached_property
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from wallet_cli.domain.host import host_of, is_loopback
from wallet_cli.operations.glimpse import Look, Owned, Owner
from wallet_cli.settings import BY_NAME, Settings

LONGEST_S = 0.7
MAX_BYTES = 2 * 1024 * 1024
PAGE = 1000
DEFAULT_REGION = BY_NAME["phone_region"].default


class RemoteLook(Look):
    """The names of the first thousand users and wallets. Raises any error."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _connection(self) -> HTTPConnection:
        parts = urlsplit(self._settings.db)
        host = parts.hostname or ""
        if parts.scheme == "https":
            import ssl

            context = ssl.create_default_context()
            if self._settings.ca_file is not None:
                context.load_verify_locations(self._settings.ca_file)
            return HTTPSConnection(host, parts.port, timeout=LONGEST_S, context=context)
        if not is_loopback(host):
            raise ValueError("in the clear, to another machine")
        return HTTPConnection(host, parts.port, timeout=LONGEST_S)

    @cached_property
    def _headers(self) -> dict[str, str]:
        token = self._settings.token_for(host_of(self._settings.db) or "")
        return {"Accept": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token}"})

    def _get(self, path: str) -> Any:
        base = urlsplit(self._settings.db).path.rstrip("/")
        with closing(self._connection()) as connection:
            connection.request("GET", f"{base}/api/v1{path}", headers=self._headers)
            response = connection.getresponse()
            if response.status != 200:
                raise ValueError(response.status)
            return json.loads(response.read(MAX_BYTES))["data"]

    @cached_property
    def _owners(self) -> list[Owner]:
        found = self._get(f"/users?limit={PAGE}")["users"]
        return [Owner(each["id"], each["phone_e164"], each["phone_e164"], each["name"]) for each in found]

    def users(self, begins: str) -> list[Owner]:
        """Those whose number in the ledger's region begins with these digits have it as the one that is typed."""
        if not begins.isdecimal():
            return self._owners
        import phonenumbers

        region = self._settings.given("phone_region") or self._get("/ledger")["phone_region"] or DEFAULT_REGION
        code = f"+{phonenumbers.country_code_for_region(region)}"

        def typed(owner: Owner) -> Owner:
            begins_so = owner.e164.startswith(code + begins)
            digits = owner.e164.removeprefix(code)
            is_it = begins_so and phonenumbers.parse(digits, region) == phonenumbers.parse(owner.e164)
            return owner._replace(phone=digits) if is_it else owner

        return [*map(typed, self._owners)]

    def wallets(self, begins: str) -> list[Owned]:
        owners = {owner.id: owner for owner in self.users(begins.partition("/")[0])}
        found = self._get(f"/wallets?limit={PAGE}")["wallets"]
        known = (each for each in found if each["user_id"] in owners)
        return [Owned(each["id"], owners[each["user_id"]], each["type"], each["currency"]) for each in known]

    def operators(self) -> list[str]:
        return [each["name"] for each in self._get("/keys") if each["revoked_at"] is None]

    def currencies(self) -> list[str]:
        return sorted({each.currency for each in self.wallets("")})
