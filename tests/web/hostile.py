"""The hostile requests, each by name, with the status that it deserves.

`{operator}`, `{reader}`, `{revoked}`, `{user}`, `{other}` stand for credentials (the operator key, the read-only one,
the revoked one, the tokens of users 1 and 2). Wallet 1 is user 1's, wallet 2 is user 2's; each holds 100.00. Wallet 3
is user 1's second one, wallet 4 their points; both are empty. Of wallet 2, hold 2-h1 keeps 10.00 and 2-h2 is voided.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

SECRET = "a secret for the tests alone, of more than 32 bytes"
LEDGER = "0e4b3c1a-9d6f-4c55-8a77-2f1f2a5d7e10"
"""The id of the ledger that is attacked, so that tokens for it can be made by hand."""

PUBLIC_PEM = (
    b"-----BEGIN PUBLIC KEY-----\n"
    b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n"
    b"q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n"
    b"-----END PUBLIC KEY-----\n"
)
SAMPLE_SECRET = b"ScuqXHWTSBlzE6Zlp3jE2iExBqrRSTm8KbWw+IbA/oc="
BODY_LIMIT = 64 * 1024
BATCH_LIMIT = 8 * 1024 * 1024

CREATE = "/api/v1/transactions/create"
BATCH = "/api/v1/transactions/batch"
USERS = "/api/v1/users"
OPEN = "/api/v1/wallet/create"
TOTAL = "/api/v1/transactions/get/total_in_period"
TOKENS = "/api/v1/tokens"
TRANSFER = "/api/v1/transfers/create"
REVERSE = "/api/v1/transactions/reverse"
HOLD = "/api/v1/holds/create"
CAPTURE = "/api/v1/holds/capture"
VOID = "/api/v1/holds/void"
FREEZE = "/api/v1/wallet/freeze"
UNFREEZE = "/api/v1/wallet/unfreeze"
CLOSE = "/api/v1/wallet/close"
LIMITS = "/api/v1/wallet/limits"
WALLETS = "/api/v1/wallets"
HOLDS = "/api/v1/holds/get/1/1"
SHOW = "/api/v1/transactions/get/1/1/1"
MINE = "/api/v1/wallet/get/1/main"
LIST = "/api/v1/transactions/get/1/1"
STATEMENT = "/api/v1/wallet/statement/1/1"
EXPORT = "/api/v1/export"
EXPORT_ONE = "/api/v1/export/1/1"
IMPORT = "/api/v1/import"
JSON = ("Content-Type", "application/json")


class Hostile(NamedTuple):
    """A request as it is sent. `raw` is the whole of it where no template fits.

    `status` 0 means that the connection is closed without an answer. `bearer` None sends no Authorization header.
    """

    name: str
    status: int
    method: str = "GET"
    path: str = MINE
    body: bytes | None = None
    bearer: str | None = "{operator}"
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = "application/json"
    raw: bytes | None = None
    finish: bool = False

    def bytes(self, credentials: dict[str, str]) -> bytes:
        """The request; `credentials` fill the names in braces."""
        request = self.raw if self.raw is not None else self._rendered()
        for name, value in credentials.items():
            request = request.replace(b"{%s}" % name.encode(), value.encode("latin-1"))
        return request

    def _rendered(self) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        if self.bearer is not None:
            lines.append(f"Authorization: Bearer {self.bearer}")
        if self.body is not None:
            if self.content_type is not None:
                lines.append(f"Content-Type: {self.content_type}")
            lines.append(f"Content-Length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (self.body or b"")


def post(name: str, status: int, path: str, body: Any, **more: Any) -> Hostile:
    """A POST; `body` is bytes as they are, or what json.dumps makes of it."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Hostile(name, status, "POST", path, text, **more)


def transaction(**fields: Any) -> dict[str, Any]:
    """The body of a good debit, but for `fields`."""
    return {"user_id": 1, "wallet_id": 1, "amount": "1.00", "is_credit": False} | fields


IDS = {"user_id": 1, "wallet_id": 1}
GOOD: dict[str, dict[str, Any]] = {
    USERS: {"phone_number": "9886977599"},
    OPEN: {"user_id": 1, "type": "new"},
    CREATE: transaction(),
    TOTAL: IDS,
    TOKENS: {"user_id": 1},
    TRANSFER: IDS | {"to_user_id": 1, "to_wallet_id": 3, "amount": "1.00"},
    REVERSE: {"transaction": "1-1", "amount": "1.00"},
    HOLD: IDS | {"amount": "1.00"},
    CAPTURE: {"hold": "2-h1", "amount": "1.00"},
    VOID: {"hold": "2-h1"},
    FREEZE: IDS,
    UNFREEZE: IDS,
    CLOSE: IDS,
    LIMITS: IDS | {"daily_debit": "5.00"},
}
"""A good body for each path that takes one of at most 64 KiB."""

FILE = b"wallet,amount,kind\n1/main,1.00,credit\n"
LINE = b'{"wallet":"1/main","amount":"1.00","kind":"credit"}\n'
"""A good file as CSV, and a line of one as JSON lines."""

OPERATORS_ALONE = (USERS, OPEN, TOKENS, REVERSE, HOLD, CAPTURE, VOID, FREEZE, UNFREEZE, CLOSE, LIMITS)


def with_literal(path: str, field: str, literal: str) -> bytes:
    """The good body of a path, with a field exactly as it is written here."""
    rest = {name: value for name, value in GOOD[path].items() if name != field}
    return (json.dumps(rest)[:-1] + f',"{field}":{literal}}}').encode()


def amount(literal: str) -> bytes:
    """The body of a debit, with an amount exactly as it is written here."""
    return b'{"user_id":1,"wallet_id":1,"amount":' + literal.encode() + b',"is_credit":false}'


# --- tokens ---------------------------------------------------------------------------------------------------------


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token of user 1, with changes; a claim whose change is `...` is left out."""
    now = int(time.time())
    good = {"iss": "wallet", "aud": LEDGER, "sub": "1", "type": "user", "iat": now, "exp": now + 86_400}
    return {name: value for name, value in (good | changes).items() if value is not ...}


def forge(
    payload: dict[str, Any] | bytes | None = None,
    header: dict[str, Any] | None = None,
    secret: bytes = SECRET.encode(),
    signature: str | None = None,
) -> str:
    """A token, signed with HMAC by hand, so that it may say anything."""
    head = {"alg": "HS256", "typ": "JWT"} | (header or {})
    body = payload if isinstance(payload, bytes) else json.dumps(claims() if payload is None else payload).encode()
    signed = f"{b64(json.dumps(head).encode())}.{b64(body)}"
    digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(str(head["alg"]), hashlib.sha256)
    made = b64(hmac.new(secret, signed.encode(), digest).digest()) if signature is None else signature
    return f"{signed}.{made}"


def bearer(name: str, token: str, status: int = 401) -> Hostile:
    return Hostile(f"token: {name}", status, bearer=token)


def tokens() -> Iterator[Hostile]:
    """Credentials that are not valid: 401, and no word about why that would help."""
    for alg in ("none", "None", "NONE", "nOnE", "", "HS256 "):
        yield bearer(f"alg {alg!r} and no signature", forge(header={"alg": alg}, signature=""))
        yield bearer(f"alg {alg!r}, signed all the same", forge(header={"alg": alg}))
    for alg in ("HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "hs256"):
        yield bearer(f"alg {alg} with the right secret", forge(header={"alg": alg}))
    for value in (None, 1, ["HS256"], {"HS256": True}, True):
        yield bearer(f"alg is {json.dumps(value)}", forge(header={"alg": value}))
    yield bearer("a public key as the HMAC secret, alg HS256", forge(secret=PUBLIC_PEM))
    yield bearer("a public key as the HMAC secret, alg RS256", forge(header={"alg": "RS256"}, secret=PUBLIC_PEM))
    yield bearer("another secret", forge(secret=b"another secret, of more than 32 bytes, too"))
    yield bearer("an empty secret", forge(secret=b""))
    yield bearer("the sample secret that everybody knows", forge(secret=SAMPLE_SECRET))
    for name, value in (
        ("kid", "../../../../dev/null"),
        ("kid", "' UNION SELECT 'x' --"),
        ("jku", "http://127.0.0.1:1/jwks.json"),
        ("x5u", "file:///etc/passwd"),
        ("jwk", {"kty": "oct", "k": b64(b"mine, and long enough to be a secret of HS256")}),
        ("x5c", ["AAAA"]),
        ("x5t", "AAAA"),
        ("crit", ["exp"]),
        ("crit", ["b64"]),
        ("b64", False),
        ("zip", "DEF"),
        ("cty", "JWT"),
        ("enc", "A128GCM"),
        ("alg2", "none"),
    ):
        yield bearer(f"a header {name} = {json.dumps(value)}", forge(header={name: value}))
        yield bearer(f"a header {name} = {json.dumps(value)}, null key", forge(header={name: value}, secret=b"\0"))
    now = int(time.time())
    for name, changes in {
        "expired a second ago": {"exp": now - 1},
        "expired in 1970": {"exp": 0},
        "expired before 1970": {"exp": -1},
        "expires at NaN": {"exp": float("nan")},
        "expires at infinity": {"exp": float("inf")},
        "expires in words": {"exp": "tomorrow"},
        "expires at null": {"exp": None},
        "expires at a list": {"exp": [now + 300]},
        "never expires": {"exp": ...},
        "expires in text": {"exp": str(now + 300)},
        "expires within a second": {"exp": now + 300.5},
        "expires at a round fraction": {"exp": now + 300.0},
        "expires at true": {"exp": True},
        "expires at 1e308": {"exp": 1e308},
        "expires at 2^63": {"exp": 2**63},
        "expires in the year 10000": {"iat": 253_402_300_700, "exp": 253_402_300_800},
        "expires at a number of 2,000 digits": {"exp": 10**2000},
        "lasts longer than any may": {"exp": now + 86_401},
        "lasts for years": {"exp": now + 10**9},
        "ends before it begins": {"iat": now + 2, "exp": now + 1},
        "issued in text": {"iat": str(now)},
        "issued within a second": {"iat": now - 0.5},
        "issued at false": {"iat": False},
        "issued in 1970, good until now": {"iat": 0},
        "issued before 1970": {"iat": -1},
        "issued at minus infinity": {"iat": float("-inf")},
        "issued at infinity": {"iat": float("inf")},
        "issued at 1e308": {"iat": 1e308},
        "issued at null": {"iat": None},
        "issued an hour ahead": {"iat": now + 3600, "exp": now + 7200},
        "not valid before infinity": {"nbf": float("inf")},
        "not valid before text": {"nbf": str(now)},
        "not valid before null": {"nbf": None},
        "not valid before 1970": {"nbf": -1},
        "not valid before true": {"nbf": True},
        "of a key that is not there": {"key": "nobody"},
        "of a key that is revoked": {"key": "gone"},
        "of no key's name": {"key": "' OR 1=1 --"},
        "of an empty key": {"key": ""},
        "of a key with NUL": {"key": "till\0"},
        "of a key in a list": {"key": ["till"]},
        "of a key that is a number": {"key": 1},
        "not valid before tomorrow": {"nbf": now + 86_400},
        "not valid before NaN": {"nbf": float("nan")},
        "not valid before words": {"nbf": "x"},
        "issued tomorrow": {"iat": now + 86_400},
        "issued in words": {"iat": "x"},
        "issued at NaN": {"iat": float("nan")},
        "never issued": {"iat": ...},
        "another issuer": {"iss": "https://elsewhere.example"},
        "issuers, one of them right": {"iss": ["wallet", "x"]},
        "issuer null": {"iss": None},
        "no issuer": {"iss": ...},
        "another audience": {"aud": "another-api"},
        "of another ledger": {"aud": LEDGER[:-1] + "1"},
        "of no ledger, as there once were": {"aud": "wallet-api"},
        "of the ledger in capitals": {"aud": LEDGER.upper()},
        "audiences, one of them right": {"aud": [LEDGER, "x"]},
        "audience null": {"aud": None},
        "audience an object": {"aud": {LEDGER: 1}},
        "no audience": {"aud": ...},
        "another type": {"type": "refresh"},
        "type operator": {"type": "operator"},
        "type a list": {"type": ["user"]},
        "type null": {"type": None},
        "no type": {"type": ...},
        "no subject": {"sub": ...},
        "subject a number": {"sub": 1},
        "subject null": {"sub": None},
        "subject a list": {"sub": ["1"]},
        "subject empty": {"sub": ""},
        "subject SQL": {"sub": "1 OR 1=1"},
        "subject negative": {"sub": "-1"},
        "subject spaced": {"sub": " 1"},
        "subject full-width": {"sub": "１"},
        "subject Arabic digits": {"sub": "١"},
    }.items():
        yield bearer(name, forge(claims(**changes)))
    yield bearer("of a user who is not there", forge(claims(sub="999999")), status=404)
    yield bearer("of a user of 2,500 digits", forge(claims(sub="1" * 2500)))
    yield bearer("of user 0", forge(claims(sub="0")))
    good = forge()
    head, body, signature = good.split(".")
    other = b64(json.dumps(claims(sub="2")).encode())
    for name, text in {
        "the payload exchanged": f"{head}.{other}.{signature}",
        "no signature": f"{head}.{body}.",
        "no signature and no dot": f"{head}.{body}",
        "the signature cut": good[:-4],
        "the signature of zeros": f"{head}.{body}.{'A' * 43}",
        "a fourth part": f"{good}.AAAA",
        "five parts, as an encrypted one": "a.b.c.d.e",
        "a header alone": head,
        "dots alone": "..",
        "a dot": ".",
        "base64 that is none": "!!!.???.***",
        "not base64url: one character": "A.A.A",
        "NUL in base64": b64(b"\0") + "." + b64(b"\0") + ".AA",
        "bytes beyond ASCII": "\xff\xfe\xfd",
        "a payload that is not JSON": forge(b"not json"),
        "a payload that is a list": forge(b"[1]"),
        "a payload that is null": forge(b"null"),
        "a payload that is a number": forge(b"1"),
        "a payload that is not UTF-8": forge(b'{"sub":"\xff"}'),
        "a payload with half a surrogate": forge(b'{"sub":"\\ud800"}'),
        "a payload of 1,000 levels": forge(b"[" * 1000 + b"]" * 1000),
        "a payload with a number of 2,000 digits": forge(b'{"exp":' + b"9" * 2000 + b"}"),
        "a header that is a list": f"{b64(b'[]')}.{body}.{signature}",
        "a header that is null": f"{b64(b'null')}.{body}.{signature}",
        "a header that is not JSON": f"{b64(b'x')}.{body}.{signature}",
        "of 5,000 characters": "A" * 5000,
        "of 20,000 characters, with dots": f"{'A' * 7000}.{'B' * 7000}.{'C' * 6000}",
        "a name": "null",
        "a path": "../../etc/passwd",
        "a format string": "%s%n{0}${jndi:ldap://127.0.0.1/x}",
        "a key cut by one": "{operator_cut}",
        "a key and a character": "{operator}x",
        "a key in capitals": "{operator_upper}",
        "the prefix of a key": "wk_",
        "a key of SQL": "wk_' OR 1=1 --",
        "a key of wildcards": "wk_%",
        "a key of 5,000 characters": "wk_" + "A" * 5000,
        "a key beyond ASCII": "wk_\xff\xfe",
        "what is stored of a key": "{operator_hash}",
        "what is stored of a key, with its prefix": "wk_{operator_hash}",
        "a key that was revoked": "{revoked}",
        "two keys": "{operator} {operator}",
        "two keys and a comma": "{operator},{operator}",
    }.items():
        yield bearer(name, text)


def authorizations() -> Iterator[Hostile]:
    """Credentials in places where they do not belong."""

    def auth(name: str, status: int, *headers: tuple[str, str], path: str = MINE) -> Hostile:
        return Hostile(f"authorization: {name}", status, path=path, bearer=None, headers=headers)

    yield auth("none", 401)
    yield auth("empty", 401, ("Authorization", ""))
    yield auth("the scheme alone", 401, ("Authorization", "Bearer"))
    yield auth("the scheme and a space", 401, ("Authorization", "Bearer "))
    yield auth("the key alone", 401, ("Authorization", "{operator}"))
    yield auth("Basic, with the key as password", 401, ("Authorization", "Basic {operator_basic}"))
    yield auth("Basic, with the key as it is", 401, ("Authorization", "Basic {operator}"))
    yield auth("Digest", 401, ("Authorization", 'Digest username="till", response="x"'))
    yield auth("Token", 401, ("Authorization", "Token {operator}"))
    yield auth("a scheme of SQL", 401, ("Authorization", "' OR 1=1 -- {operator}"))
    yield auth("twice, both good", 400, ("Authorization", "Bearer {operator}"), ("Authorization", "Bearer {operator}"))
    yield auth("twice, the first good", 400, ("Authorization", "Bearer {operator}"), ("Authorization", "Bearer x"))
    yield auth("twice, the second good", 400, ("Authorization", "Basic eA=="), ("authorization", "Bearer {operator}"))
    yield auth("in X-API-Key", 401, ("X-API-Key", "{operator}"))
    yield auth("in a cookie", 401, ("Cookie", "token={user}; key={operator}"))
    yield auth("in Proxy-Authorization", 401, ("Proxy-Authorization", "Bearer {operator}"))
    yield auth("as X-Forwarded-User", 401, ("X-Forwarded-User", "till"), ("X-Forwarded-For", "127.0.0.1"))
    yield auth("a token in the URL", 401, path=f"{MINE}?access_token={{user}}")
    yield auth("a key in the URL", 401, path=f"{MINE}?key={{operator}}")
    yield auth("a key in the user part of the URL", 400, path=f"http://{{operator}}:@127.0.0.1{MINE}")
    yield Hostile("authorization: good, and a token in the URL", 400, path=f"{MINE}?access_token={{user}}")
    yield Hostile("authorization: good, and a method to override", 405, "POST", headers=(("X-HTTP-Method", "GET"),))
    yield post("authorization: in the body", 401, TOTAL, {"user_id": 1, "wallet_id": 1, "token": "x"}, bearer=None)
    for path in (BATCH, *GOOD):
        yield post(f"authorization: none for POST {path}", 401, path, {}, bearer=None)
    yield post("authorization: none for an import", 401, IMPORT, FILE, bearer=None, content_type="text/csv")
    for path in (
        "/api/v1/wallet/get/1",
        LIST,
        SHOW,
        HOLDS,
        USERS,
        f"{USERS}/1",
        WALLETS,
        STATEMENT,
        EXPORT,
        EXPORT_ONE,
    ):
        yield Hostile(f"authorization: none for GET {path}", 401, path=path, bearer=None)


# --- who may do what ------------------------------------------------------------------------------------------------


def others() -> Iterator[Hostile]:
    """User 1 (and the read-only key) where only another may be: not there, or forbidden."""

    def own(name: str, status: int, method: str, path: str, body: Any = None, **more: Any) -> Hostile:
        text = None if body is None else json.dumps(body).encode()
        return Hostile(f"user 1: {name}", status, method, path, text, bearer="{user}", **more)

    for method in ("GET", "HEAD"):
        yield own(f"{method} the wallets of user 2", 404, method, "/api/v1/wallet/get/2")
        yield own(f"{method} the wallet of user 2", 404, method, "/api/v1/wallet/get/2/main")
        yield own(f"{method} a wallet of user 2 that is not there", 404, method, "/api/v1/wallet/get/2/none")
        yield own(f"{method} the wallets of nobody", 404, method, "/api/v1/wallet/get/3")
        yield own(f"{method} transactions of user 2", 404, method, "/api/v1/transactions/get/2/2")
        yield own(f"{method} another's wallet by the own id", 404, method, "/api/v1/transactions/get/1/2")
        yield own(f"{method} the own wallet by another's id", 404, method, "/api/v1/transactions/get/2/1")
        yield own(f"{method} a search in user 2's", 404, method, "/api/v1/transactions/get/2/2?kind=credit")
        yield own(f"{method} a search in another's by the own id", 404, method, "/api/v1/transactions/get/1/2?min=1")
        for ids in ("2/2/1", "1/2/1", "2/1/1", "3/3/1"):
            yield own(f"{method} transaction {ids}", 404, method, f"/api/v1/transactions/get/{ids}")
        for ids in ("2/2", "1/2", "2/1", "3/3"):
            yield own(f"{method} holds of {ids}", 404, method, f"/api/v1/holds/get/{ids}")
            for form in ("", "json", "csv", "html", "pdf"):
                path = f"/api/v1/wallet/statement/{ids}" + (f"?format={form}" if form else "")
                yield own(f"{method} statement of {ids} as {form or 'nothing'}", 404, method, path)
        for path in (USERS, f"{USERS}/1", f"{USERS}/2", f"{USERS}/77", WALLETS):
            yield own(f"{method} {path}", 403, method, path)
        for path in (EXPORT, f"{EXPORT}?format=csv", EXPORT_ONE, f"{EXPORT}/2/2", f"{EXPORT}/77/77"):
            yield own(f"{method} {path}", 403, method, path)
    for user_id, wallet_id in ((2, 2), (1, 2), (2, 1), (3, 3)):
        ids = {"user_id": user_id, "wallet_id": wallet_id}
        yield own(f"total of {user_id}, {wallet_id}", 404, "POST", TOTAL, ids)
        yield own(f"debit of {user_id}, {wallet_id}", 404, "POST", CREATE, transaction(**ids))
        yield own(f"credit of {user_id}, {wallet_id}", 404, "POST", CREATE, transaction(**ids, is_credit=True))
        yield own(f"transfer from {user_id}, {wallet_id}", 404, "POST", TRANSFER, GOOD[TRANSFER] | ids)
        target = {"to_user_id": user_id, "to_wallet_id": wallet_id}
        yield own(f"transfer to {user_id}, {wallet_id}", 404, "POST", TRANSFER, GOOD[TRANSFER] | target)
        all_or_none = {"atomic": True, "transactions": [transaction(), transaction(**ids)]}
        yield own(f"a batch with a debit of {user_id}, {wallet_id}", 404, "POST", BATCH, all_or_none)
    keyed = (("Idempotency-Key", "theirs"),)
    yield own("a key of user 2", 404, "POST", CREATE, transaction(user_id=2, wallet_id=2), headers=keyed)
    yield own("credit of the own wallet", 403, "POST", CREATE, transaction(is_credit=True))
    batch = {"atomic": True, "transactions": [transaction(), transaction(is_credit=True)]}
    yield own("a batch with a credit", 403, "POST", BATCH, batch)
    for path in OPERATORS_ALONE:
        yield own(f"POST {path}", 403, "POST", path, GOOD[path])
    yield own("open another's wallet", 403, "POST", OPEN, {"user_id": 2, "type": "new"})
    yield own("a longer token", 403, "POST", TOKENS, {"user_id": 1, "expires_minutes": 525_600})
    yield own("a token of user 2", 403, "POST", TOKENS, {"user_id": 2})
    yield own("a cursor of user 2", 400, "GET", f"{LIST}?cursor=2-1")
    yield own("user_id in the query", 400, "GET", f"{LIST}?user_id=2")
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        yield own(f"{method} the wallet of user 2", 405, method, "/api/v1/wallet/get/2/main")
        yield own(f"{method} transactions of user 2", 405, method, "/api/v1/transactions/get/2/2")
    batch = {"transactions": [transaction()]}
    for path, body in {BATCH: batch, **GOOD}.items():
        if path != TOTAL:
            yield post(f"read-only key: POST {path}", 403, path, body, bearer="{reader}")
    for query in ("", "?dry_run=true", "?create=true&atomic=true"):
        for bearer_ in ("{user}", "{other}", "{reader}"):
            name = f"{bearer_[1:-1]}: an import{query}"
            yield post(name, 403, IMPORT + query, FILE, bearer=bearer_, content_type="text/csv")
    yield post("read-only key: credit", 403, CREATE, transaction(is_credit=True), bearer="{reader}")


# --- fields ---------------------------------------------------------------------------------------------------------


def fields() -> Iterator[Hostile]:
    """Fields that are not asked for, missing, or of another type."""
    for name, value in {
        "balance": "1000000.00",
        "minimum_balance": "-1000.00",
        "id": "1-1",
        "seq": 1,
        "kind": "credit",
        "currency": "USD",
        "replayed": True,
        "hash": "00",
        "owner": 2,
        "key": "in the body",
        "status": "closed",
        "__proto__": {},
        "": 1,
        "Amount": 1,
        "user_id ": 2,
    }.items():
        yield post(f"transaction with {name!r}", 400, CREATE, transaction(**{name: value}))
        yield post(f"user's transaction with {name!r}", 400, CREATE, transaction(**{name: value}), bearer="{user}")
    for path, body in (
        (USERS, {"phone_number": "9886977599", "id": 7}),
        (USERS, {"phone_number": "9886977599", "phone_e164": "+19886977599"}),
        (USERS, {"phone_number": "9886977599", "is_admin": True}),
        (OPEN, {"user_id": 1, "type": "new", "balance": "1000.00"}),
        (OPEN, {"user_id": 1, "type": "new", "id": 2}),
        (OPEN, {"user_id": 1, "type": "new", "status": "closed"}),
        (OPEN, {"user_id": 1, "type": "new", "owner": 2}),
        (TOKENS, {"user_id": 1, "type": "operator"}),
        (TOKENS, {"user_id": 1, "sub": "2"}),
        (TOTAL, {"user_id": 1, "wallet_id": 1, "limit": 5}),
        (BATCH, {"transactions": [transaction()], "force": True}),
        (BATCH, {"transactions": [transaction(balance="5.00")]}),
    ):
        extra = list(body)[-1]
        yield post(f"{path} with {extra} = {json.dumps(body[extra])[:40]}", 400, path, body)
    wrong: dict[str, tuple[Any, ...]] = {
        "user_id": (0, -1, 2**63, 2**64, 1.5, 1e300, "1", True, None, [], {}, [1]),
        "wallet_id": (0, -1, 2**63, 2**64, 1.5, "1", True, None, [1]),
        "is_credit": ("true", "false", 1, 0, None, [], "yes", {}),
        "note": (5, True, [], {}, "x" * 1001, "a\0b"),
        "at": (5, True, [], "", "someday", "2024-13-01", "2024-02-30", "0000-01-01", "9" * 50, "2024-01-01\n"),
    }
    for field, values in wrong.items():
        for value in values:
            yield post(f"{field} is {json.dumps(value)[:30]}", 400, CREATE, transaction(**{field: value}))
        if field not in ("note", "at"):
            body = transaction()
            del body[field]
            yield post(f"no {field}", 400, CREATE, body)
    yield post("at in the year 9999", 400, CREATE, transaction(at="9999-12-31"))
    yield post(
        "at tomorrow, in a batch that is all or none",
        400,
        BATCH,
        {"atomic": True, "transactions": [transaction(at="9999-12-31")]},
    )
    yield post("at before the last transaction", 409, CREATE, transaction(at="2001-01-01T00:00:00"))
    yield post(
        "a note of half a surrogate",
        400,
        CREATE,
        b'{"user_id":1,"wallet_id":1,"amount":1,"is_credit":false,"note":"\\ud800"}',
    )
    yield post(
        "a note of surrogates in the wrong order",
        400,
        CREATE,
        b'{"user_id":1,"wallet_id":1,"amount":1,"is_credit":false,"note":"\\udc00\\ud800"}',
    )
    yield post("a field's name is half a surrogate", 400, CREATE, b'{"\\ud800":1}')
    phones: tuple[Any, ...] = (
        "",
        "abc",
        "+",
        "12",
        "9" * 5000,
        9886977544,
        None,
        True,
        [],
        "9886977599\0",
        "988697759a",
    )
    for value in (*phones, "'; DROP TABLE users; --", "<script>alert(1)</script>"):
        yield post(f"a phone number {json.dumps(value)[:40]}", 400, USERS, {"phone_number": value})
    yield post("a phone number of half a surrogate", 400, USERS, b'{"phone_number":"\\ud800"}')
    yield post("a phone number that is there", 409, USERS, {"phone_number": "9886977544"})
    yield post("a name of 201 characters", 400, USERS, {"phone_number": "9886977599", "name": "x" * 201})
    yield post("a name with NUL", 400, USERS, {"phone_number": "9886977599", "name": "a\0b"})
    types: tuple[Any, ...] = (
        "",
        "../etc",
        "x" * 33,
        "a b",
        "ｍａｉｎ",
        "main\n",
        "\n",
        "a/b",
        "a\0",
        None,
        5,
        "é",
        "%2e",
    )
    for value in types:
        yield post(f"a type {json.dumps(value)[:40]}", 400, OPEN, {"user_id": 1, "type": value})
    yield post("a wallet that is there", 409, OPEN, {"user_id": 1, "type": "main"})
    yield post("a wallet of nobody", 404, OPEN, {"user_id": 77, "type": "main"})
    for value in ("", "inr", "INR ", "PTS/19", "PTS/-1", "PTS", "INR/3", "PTS/0\n", "A" * 5000, 5, "₹"):
        body = {"user_id": 1, "type": "new", "currency": value}
        yield post(f"a currency {json.dumps(value)[:40]}", 400, OPEN, body)
    for value in ("", "abc", "1e5", "NaN", "-Infinity", "9" * 5000, "1.005", True, [], {}, "--5", "5-"):
        body = {"user_id": 1, "type": "new", "minimum_balance": value}
        yield post(f"a minimum balance {json.dumps(value)[:40]}", 400, OPEN, body)
    for value in (0, -5, 525_601, 1.5, "5", True, 2**64):
        yield post(f"a token for {json.dumps(value)} minutes", 400, TOKENS, {"user_id": 1, "expires_minutes": value})
    yield post("a token of nobody", 404, TOKENS, {"user_id": 77})
    for start, end in (("", None), ("x", None), (5, None), ("2024-05-01", "2024-04-01"), (None, "2024-02-30")):
        body = {"user_id": 1, "wallet_id": 1, "start_date": start, "end_date": end}
        yield post(f"a total from {start!r} to {end!r}", 400, TOTAL, body)
    for name, text in {
        "empty": "",
        "of 256 characters": "k" * 256,
        "with a tab": "a\tb",
        "not UTF-8": "\xff\xfe",
        "with U+0085": "a\xc2\x85b",
        "of 15,000 quoted quotes": '"' + '\\"' * 15_000 + '"',
    }.items():
        keyed = (("Idempotency-Key", text),)
        yield post(f"an Idempotency-Key {name}", 400, CREATE, transaction(), headers=keyed)
    twice = (("Idempotency-Key", "a"), ("idempotency-key", "b"))
    yield post("two Idempotency-Keys", 400, CREATE, transaction(), headers=twice)
    used = (("Idempotency-Key", "opening"),)
    yield post("the Idempotency-Key of another request", 409, CREATE, transaction(), headers=used)


AMOUNTS = """
-1 -0 0 0.0 0.00 0.001 1.005 1e3 1E3 1e400 1e-2 1e-400 -1e400 9223372036854775808 18446744073709551616 10000000000000.01
1e999999999 NaN Infinity -Infinity true false null [] {} [5] {"amount":5} "" " " " 5" "5 " "5\\n" "5\\u0000" "1,000"
"1.000,00" "0x10" 0x10 "1e3" "1E3" "NaN" "nan" "Infinity" "-Infinity" "inf" "-1" "+1" "-0" "0" "0.00" "1.005" "1_000"
"１" "５．００" "٣" "²" "½" "Ⅴ" "₹5" "5 INR" "1/2" "5." ".5" "5..0" "5.0.0" "--5" "$(id)" "'" "' OR 1=1 --" "1;2" 5. .5
05 +5 00 1_000 5f 5L 0b1 0o7 Infinity1 -NaN nan undefined '5' "\\ud800" "5\\u0660" "1.0\\u0000" "5\\u200b" "\\u00a05"
"true" "null" "[]"
"""


def amounts() -> Iterator[Hostile]:
    """Amounts that are none. All of them are 400; not one is rounded, guessed or taken for another."""
    for literal in _literals(AMOUNTS):
        yield post(f"amount {literal}", 400, CREATE, amount(literal))
    for name, literal in {
        "of 5,000 digits": "9" * 5000,
        "of 5,000 digits, as text": '"' + "9" * 5000 + '"',
        "with 5,000 fraction digits": "0." + "1" * 5000,
        "of 5,000 zeros and a 5": '"' + "0" * 5000 + '5"',
        "with an exponent of 5,000 digits": "1e" + "9" * 5000,
        "more than the largest": "10000000000000.01",
        "missing": "",
        "a string that does not end": '"5',
        "two of them": "5,5",
        "a comment": "5/*",
    }.items():
        yield post(f"amount: {name}", 400, CREATE, amount(literal))
    for literal in ("-1", "NaN", "1e400", '"１"', "true", "null", '"5 "'):
        item = amount(literal)
        yield post(f"amount {literal} in a batch", 400, BATCH, b'{"atomic":true,"transactions":[' + item + b"]}")
    yield post("amount: more than there is", 409, CREATE, transaction(amount="100.01"))
    yield post("amount: the largest there is", 409, CREATE, transaction(amount="10000000000000.00"))
    nothing = {name: value for name, value in transaction().items() if name != "amount"}
    yield post("no amount", 400, CREATE, nothing)


def moved_amounts() -> Iterator[Hostile]:
    """The same where an amount is moved, held, captured or taken back, and in limits."""
    for path in (TRANSFER, REVERSE, HOLD, CAPTURE):
        for literal in _literals(AMOUNTS):
            if literal != "null" or path in (TRANSFER, HOLD):  # of a part, null is as good as nothing
                yield post(f"{path} of {literal}", 400, path, with_literal(path, "amount", literal))
        for name, literal in {
            "5,000 digits": "9" * 5000,
            "5,000 fraction digits": f'"0.{"1" * 5000}"',
            "more than the largest": "10000000000000.01",
            "nothing": "",
        }.items():
            yield post(f"{path} of {name}", 400, path, with_literal(path, "amount", literal))
    for path in (TRANSFER, HOLD):
        rest = {name: value for name, value in GOOD[path].items() if name != "amount"}
        yield post(f"{path} of no amount", 400, path, rest)
        yield post(f"{path} of more than there is", 409, path, with_literal(path, "amount", "100.01"))
    yield post("a capture of more than is held", 409, CAPTURE, with_literal(CAPTURE, "amount", "10.01"))
    yield post("a reversal of more than there was", 409, REVERSE, with_literal(REVERSE, "amount", "100.01"))
    for field in ("minimum_balance", "maximum_balance", "daily_debit"):
        for literal in (
            *(
                "null",
                "true",
                "[]",
                "{}",
                '""',
                '"None"',
                '"NONE"',
                '"none "',
                '"null"',
                "0.001",
                '"0.001"',
                "1e3",
                '"1e3"',
            ),
            *(
                '"NaN"',
                "NaN",
                "Infinity",
                "1e400",
                "10000000000000.01",
                "9" * 5000,
                f'"{"9" * 5000}"',
                '"5 "',
                '"１"',
                "05",
            ),
            *('"+5"', '"--5"', "-", '"\\ud800"', '"5\\u0000"', '"1,000"', '"unlimited"', ""),
        ):
            yield post(f"{field} {literal[:30]}", 400, LIMITS, with_literal(LIMITS, field, literal))
    yield post("a daily debit below 0", 400, LIMITS, with_literal(LIMITS, "daily_debit", "-0.01"))
    yield post("a maximum below the minimum", 400, LIMITS, with_literal(LIMITS, "maximum_balance", "-0.01"))


def _literals(text: str) -> list[str]:
    """The words of a text; a space inside quotation marks belongs to the word."""
    words: list[str] = []
    word, quoted = "", False
    for character in text + " ":
        if character.isspace() and not quoted:
            if word:
                words.append(word)
            word = ""
            continue
        if character == '"':
            quoted = not quoted
        word += character
    return words


# --- transfers, reversals, holds and the life of a wallet ------------------------------------------------------------

METAS = {
    "a string": '"a"',
    "a number": "5",
    "true": "true",
    "a list": "[]",
    "a list of an object": '[{"a":1}]',
    "a fraction": '{"a":0.5}',
    "a whole number as a fraction": '{"a":1.0}',
    "an exponent": '{"a":1e2}',
    "a fraction, deep inside": '{"a":[{"b":[0.1]}]}',
    "a number beyond every float": '{"a":1e400}',
    "a number of 5,000 digits": '{"a":' + "9" * 5000 + "}",
    "NaN": '{"a":NaN}',
    "-Infinity": '{"a":-Infinity}',
    "a name twice": '{"a":1,"a":1}',
    "a name twice, once escaped": '{"a":1,"\\u0061":1}',
    "a name twice, deep inside": '{"a":{"b":1,"b":2}}',
    "an empty name": '{"":1}',
    "a name of 65 characters": '{"' + "a" * 65 + '":1}',
    "a name with a line break": '{"a\\n":1}',
    "a name with NUL": '{"a\\u0000":1}',
    "a name of half a surrogate": '{"\\ud800":1}',
    "text with NUL": '{"a":"\\u0000"}',
    "text of half a surrogate": '{"a":["\\udc00"]}',
    "4,097 bytes": '{"a":"' + "x" * (4097 - 8) + '"}',
    "4 KiB that take 6 as ASCII": '{"a":"' + "é" * 1000 + '"}',
    "9 levels": '{"a":' * 9 + "1" + "}" * 9,
    "9 levels of lists": '{"a":' + "[" * 8 + "]" * 8 + "}",
    "5,000 levels": '{"a":' + "[" * 5000 + "]" * 5000 + "}",
    "no end": '{"a":1',
    "a comma too many": '{"a":1,}',
}


def metas() -> Iterator[Hostile]:
    for name, literal in METAS.items():
        for path in (CREATE, TRANSFER, REVERSE):
            yield post(f"meta of {path}: {name}", 400, path, with_literal(path, "meta", literal))
        item = with_literal(CREATE, "meta", literal)
        yield post(f"meta in a batch: {name}", 400, BATCH, b'{"atomic":true,"transactions":[' + item + b"]}")
    for path in (HOLD, CAPTURE, VOID, OPEN, USERS):
        yield post(f"meta where it is not known, {path}", 400, path, GOOD[path] | {"meta": {}})


WRONG_IDS = (0, -1, 2**63, 2**64, 1.5, 1e300, "1", "", True, None, [], {}, [1])
WRONG_FLAGS = ("true", "false", "yes", "", 1, 0, None, [], {})
WRONG_TRANSACTIONS = (
    *("", "1", "1-", "-1", "1-1-1", "1-x", "1--1", "１-1", "1-1\n", " 1-1", "1-1\0", "1_1", "0x1-1", "1.0-1", "1-h1"),
    *(
        "1-" + "9" * 19,
        "9" * 19 + "-1",
        "9" * 5000 + "-1",
        "1-1' OR 1=1 --",
        "\ud800",
        5,
        1.1,
        True,
        None,
        [],
        {},
        ["1-1"],
    ),
)
WRONG_HOLDS = (
    *(
        "",
        "1",
        "h1",
        "1-h",
        "-h1",
        "1h1",
        "1-H1",
        "1-hh1",
        "1-1",
        "1-h-1",
        "１-h1",
        "1-h１",
        "1-h1\n",
        " 1-h1",
        "1-h1\0",
    ),
    *(
        "1-h" + "9" * 19,
        "9" * 19 + "-h1",
        "1-h" + "9" * 5000,
        "1-h1' OR 1=1 --",
        "\ud800",
        5,
        True,
        None,
        [],
        {},
        ["1-h1"],
    ),
)
WRONG_DURATIONS = (
    *(
        "",
        "0d",
        "-1d",
        "7",
        "d",
        "7 d",
        "7D",
        "1.5d",
        "7d7d",
        "７d",
        "1y",
        "P7D",
        "forever",
        "3661d",
        "999999999w",
        "7d\n",
    ),
    *("9" * 5000 + "d", "1e3d", "7d\0", "\ud800", 7, 7.5, True, [], {}),
)
WRONG_NOTES = (5, True, [], {}, "x" * 1001, "a\0b", "\ud800")


def business() -> Iterator[Hostile]:
    """The arguments of what moves, holds, takes back and closes."""
    wrong: dict[str, dict[str, tuple[Any, ...]]] = {
        TRANSFER: dict.fromkeys(("user_id", "wallet_id", "to_user_id", "to_wallet_id"), WRONG_IDS)
        | {"note": WRONG_NOTES},
        REVERSE: {"transaction": WRONG_TRANSACTIONS, "force": WRONG_FLAGS, "note": WRONG_NOTES},
        HOLD: dict.fromkeys(IDS, WRONG_IDS) | {"expires": WRONG_DURATIONS, "note": WRONG_NOTES},
        CAPTURE: {"hold": WRONG_HOLDS, "keep": WRONG_FLAGS, "note": WRONG_NOTES},
        VOID: {"hold": WRONG_HOLDS},
        LIMITS: dict.fromkeys(IDS, WRONG_IDS),
        FREEZE: dict.fromkeys(IDS, WRONG_IDS),
        UNFREEZE: dict.fromkeys(IDS, WRONG_IDS),
        CLOSE: dict.fromkeys(IDS, WRONG_IDS),
    }
    for path, fields_ in wrong.items():
        for field, values in fields_.items():
            for value in values:
                yield post(f"{path}: {field} is {json.dumps(value)[:30]}", 400, path, GOOD[path] | {field: value})
            if field in GOOD[path]:
                rest = {name: value for name, value in GOOD[path].items() if name != field}
                yield post(f"{path}: no {field}", 400, path, rest)
    for path in wrong:
        first = next(iter(GOOD[path]))
        again = json.dumps({first: GOOD[path][first]})[:-1].encode() + b","
        yield post(f"{path}: {first} twice", 400, path, again + json.dumps(GOOD[path]).encode()[1:])
        for name, value in {"id": 1, "force_": True, "status": "closed", "key": "k", "currency": "INR", "": 1}.items():
            yield post(f"{path} with {name!r}", 400, path, GOOD[path] | {name: value})
        yield post(f"{path} with a list for a body", 400, path, [GOOD[path]])
        yield Hostile(f"{path} with a query", 400, "POST", f"{path}?force=true", json.dumps(GOOD[path]).encode())
    for path in (TRANSFER, REVERSE, HOLD, CAPTURE):
        for name, text in {"empty": "", "of 256 characters": "k" * 256, "not UTF-8": "\xff\xfe"}.items():
            keyed = (("Idempotency-Key", text),)
            yield post(f"{path} with an Idempotency-Key {name}", 400, path, GOOD[path], headers=keyed)
    used = (("Idempotency-Key", "opening"),)
    for path in (TRANSFER, REVERSE, HOLD):
        yield post(f"{path} with the key of another request", 409, path, GOOD[path], headers=used)
    yield post("a capture with the key of another request", 409, CAPTURE, GOOD[CAPTURE], headers=used)
    yield from _not_there()


def _not_there() -> Iterator[Hostile]:
    """Well said, of what is not there or is not in a state for it."""
    for user_id, wallet_id in ((1, 2), (1, 77), (77, 1), (2**63 - 1, 2**63 - 1)):
        ids = {"user_id": user_id, "wallet_id": wallet_id}
        for path in (TRANSFER, HOLD, FREEZE, UNFREEZE, CLOSE, LIMITS):
            yield post(f"{path} of {user_id}, {wallet_id}", 404, path, GOOD[path] | ids)
        target = {"to_user_id": user_id, "to_wallet_id": wallet_id}
        yield post(f"a transfer to {user_id}, {wallet_id}", 404, TRANSFER, GOOD[TRANSFER] | target)
    yield post("a transfer to itself", 400, TRANSFER, GOOD[TRANSFER] | {"to_wallet_id": 1})
    yield post("a transfer into another currency", 400, TRANSFER, GOOD[TRANSFER] | {"to_wallet_id": 4})
    for id_ in ("1-0", "1-2", "0-1", "77-1", "1-9223372036854775807", "9223372036854775807-1"):
        yield post(f"a reversal of {id_}", 404, REVERSE, {"transaction": id_})
    for id_ in ("2-h0", "2-h3", "0-h1", "1-h1", "77-h1", "2-h9223372036854775807"):
        yield post(f"a capture of {id_}", 404, CAPTURE, {"hold": id_})
        yield post(f"a void of {id_}", 404, VOID, {"hold": id_})
    yield post("a capture of a voided hold", 409, CAPTURE, {"hold": "2-h2"})
    yield post("a void of a voided hold", 409, VOID, {"hold": "2-h2"})
    yield post("a close of a wallet with a balance", 409, CLOSE, IDS)


# --- bodies ---------------------------------------------------------------------------------------------------------


def bodies() -> Iterator[Hostile]:
    good = json.dumps(transaction()).encode()
    for name, text in {
        "empty": b"",
        "a space": b" ",
        "null": b"null",
        "true": b"true",
        "a number": b"5",
        "a string": b'"x"',
        "a list": b"[]",
        "a list with the object": b"[" + good + b"]",
        "an empty object": b"{}",
        "not JSON": b"user_id=1&amount=5",
        "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "cut": good[:-1],
        "rubbish after it": good + b"x",
        "a second object after it": good + good,
        "NUL after it": good + b"\0",
        "a comma too many": good[:-1] + b",}",
        "single quotes": good.replace(b'"', b"'"),
        "a comment": b"/* x */" + good,
        "amount twice": b'{"amount":1,' + good[1:],
        "amount twice, once escaped": b'{"\\u0061mount":1,' + good[1:],
        "amount twice, once in capitals of hex": b'{"\\u0061\\u006Dount":1,' + good[1:],
        "user_id twice": b'{"user_id":2,' + good[1:],
        "is_credit twice": b'{"is_credit":true,' + good[1:],
        "an unknown field twice": b'{"x":1,"x":2,' + good[1:],
        "a field twice, deep inside": b'{"note":{"a":1,"a":2},' + good[1:],
        "60,000 levels of lists": b"[" * 60_000,
        "30,000 levels of lists, closed": b"[" * 30_000 + b"]" * 30_000,
        "12,000 levels of objects": b'{"a":' * 12_000,
        "60,000 levels in a field": b'{"note":' + b"[" * 60_000,
        "invalid UTF-8": good.replace(b'"1.00"', b'"1.00", "note":"\xff"'),
        "overlong UTF-8": good.replace(b'"1.00"', b'"1.00", "note":"\xc0\xaf"'),
        "a surrogate in UTF-8": good.replace(b'"1.00"', b'"1.00", "note":"\xed\xa0\x80"'),
        "cut UTF-8": good.replace(b'"1.00"', b'"1.00", "note":"\xe2\x82"'),
        "NUL in a string": good.replace(b'"1.00"', b'"1.00", "note":"\0"'),
        "a line break in a string": good.replace(b'"1.00"', b'"1.00", "note":"a\nb"'),
        "a bad escape": good.replace(b'"1.00"', b'"1.00", "note":"\\x41"'),
        "a BOM": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-16 with no BOM": good.decode().encode("utf-16-le"),
        "UTF-32": good.decode().encode("utf-32"),
        "gzip": b"\x1f\x8b\x08\x00" + b"\0" * 20,
        "a form feed for a space": b"\x0c" + good,
    }.items():
        yield post(f"body: {name}", 400, CREATE, text)
    for name, text in {
        "200,000 levels of lists": b"[" * 200_000,
        "200,000 levels of objects": b'{"a":' * 200_000,
        "200,000 levels of objects and lists": b'{"transactions":[' * 100_000,
        "200,000 levels in a field": b'{"transactions":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "no items": b'{"transactions":[]}',
        "items null": b'{"transactions":null}',
        "items an object": b'{"transactions":{}}',
        "items of null": b'{"transactions":[null]}',
        "items of lists": b'{"transactions":[[]]}',
        "10,001 items": json.dumps({"transactions": [transaction()] * 10_001}).encode(),
        "a million empty items": b'{"transactions":[' + b"{}," * 999_999 + b"{}]}",
        "atomic in words": json.dumps({"transactions": [transaction()], "atomic": "yes"}).encode(),
        "a field twice in an item": b'{"transactions":[{"amount":1,' + good[1:] + b"]}",
        "an item with an empty key": json.dumps({"transactions": [transaction(key="")]}).encode(),
        "an item with a key of 256": json.dumps({"transactions": [transaction(key="k" * 256)]}).encode(),
        "an item with a key of NUL": json.dumps({"atomic": True, "transactions": [transaction(key="\0")]}).encode(),
        "a second item that is wrong": json.dumps(
            {"atomic": True, "transactions": [transaction(), transaction(amount="0")]}
        ).encode(),
        "atomic, and nothing else": b'{"atomic":true}',
    }.items():
        yield post(f"batch: {name}", 400, BATCH, text)
    yield post(
        "batch: all or none, more than there is",
        409,
        BATCH,
        {"atomic": True, "transactions": [transaction(amount=60)] * 2},
    )
    for path in GOOD:
        yield post(f"200,000 levels for {path}", 413, path, b"[" * 200_000)
        yield post(f"a byte too many for {path}", 413, path, b" " * (BODY_LIMIT + 1))
        yield post(f"just as many bytes as allowed, for {path}", 400, path, b" " * BODY_LIMIT)
    yield post("batch: a byte too many", 413, BATCH, b" " * (BATCH_LIMIT + 1))
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/xml",
        "text/json",
        "application/json, text/plain",
        "application",
        "*/*",
        "",
        "application/json+x",
        "\xff",
    ):
        yield post(f"content type {kind!r}", 415, CREATE, good, content_type=kind)
    yield post("no content type", 415, CREATE, good, content_type=None)
    two = (("Content-Type", "application/json"),)
    yield post("two content types", 400, CREATE, good, content_type="text/plain", headers=two)
    encoded = (("Content-Encoding", "gzip"),)
    yield post("gzip, and said to be", 415, CREATE, b"\x1f\x8b\x08\x00" + b"\0" * 20, headers=encoded)
    yield post("plain, and said to be gzip", 415, CREATE, good, headers=encoded)


# --- files ----------------------------------------------------------------------------------------------------------

CSV, NDJSON = "text/csv", "application/x-ndjson"
WRONG_HEADERS = {
    "of one column": b"wallet",
    "with no wallet": b"amount,kind\n1.00,credit",
    "with a column twice": b"wallet,amount,kind,amount\n1/main,1.00,credit,2.00",
    "with an unknown column": b"wallet,amount,kind,balance_after\n1/main,1.00,credit,5.00",
    "full-width": "ｗallet,amount,kind\n1/main,1.00,credit".encode(),
    "with NUL": b"wallet,amount,kind\0\n1/main,1.00,credit",
    "not UTF-8": b"wallet,amount,kind,\xff\n1/main,1.00,credit,x",
    "with a quote left open": b'wallet,"amount,kind\n1/main,1.00,credit\n',
    "of a million characters": b"x" * 1_000_000 + b"\n1/main,1.00,credit",
    "of a million columns": b"," * 1_000_000,
    "that is a transaction": b"1/main,1.00,credit",
    "that is JSON": LINE,
    "of gzip": b"\x1f\x8b\x08\x00" + b"\0" * 20,
    "of NULs": b"\0" * 1000,
    "of HTML": b"<!doctype html><title>x</title>",
}


def files() -> Iterator[Hostile]:
    """Files that are none, and their types; what is wrong with single lines is told in tests/web/test_import.py."""

    def imported(name: str, status: int, text: bytes, kind: str | None = CSV, **more: Any) -> Hostile:
        return post(f"import: {name}", status, IMPORT, text, content_type=kind, **more)

    for kind in (CSV, NDJSON):
        for name, text in {
            "nothing": b"",
            "a space": b" ",
            "blank lines": b"\n" * 1000,
            "blank lines of CRLF": b"\r\n" * 1000,
            "a BOM": b"\xef\xbb\xbf",
            "a BOM and a blank line": b"\xef\xbb\xbf\r\n",
        }.items():
            yield imported(f"{name}, {kind}", 400, text, kind)
        yield imported(f"a byte too many, {kind}", 413, b" " * (BATCH_LIMIT + 1), kind)
        yield imported(f"just as many bytes as allowed, {kind}", 400, b" " * BATCH_LIMIT, kind)
    for name, text in WRONG_HEADERS.items():
        yield imported(f"a header {name}", 400, text)
    yield imported("of a newer form", 400, b'{"record":"ledger","version":3}\n' + LINE, NDJSON)
    for kind in (
        *("application/json", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"),
        *("multipart/form-data; boundary=x", "application/jsonl", "application/ndjson", "text/csvx", "application/csv"),
        *("text/csv, application/x-ndjson", "text/*", "*/*", "", "\xff", "text/csv\xff", "application/gzip"),
        *("text/csv; charset=utf-16", "text/csv; charset=iso-8859-1", "text/csv;CHARSET=latin1", "text/csv; charset="),
        *('text/csv; charset="windows-1252"', "text/csv; header=present; charset=utf-7", "text/csv; charset=utf-8-sig"),
        "application/x-ndjson; charset=utf-32",
    ):
        yield imported(f"content type {kind!r}", 415, FILE, kind)
    yield imported("no content type", 415, FILE, None)
    yield imported("two content types", 400, FILE, CSV, headers=(("Content-Type", NDJSON),))
    for query in (
        *("create=1", "create=yes", "create=True", "create=TRUE", "create=true%20", "create=%00", "create=none"),
        *("dry_run=1", "dry_run=on", "dry_run=true&dry_run=false", "dry-run=true", "dryrun=true", "atomic=0"),
        *("atomic=false&atomic=false", "ATOMIC=true", "atomic[]=true", "atomic=" + "x" * 5000, "create=%ff"),
        *("rejects=/etc/passwd", "name=x.csv", "format=csv", "user_id=1", "create", "&&", "=", "\xff"),
    ):
        name = f"query {query[:40]!r} of an import"
        yield Hostile(name, 400, "POST", f"{IMPORT}?{query}", FILE, content_type=CSV)
    yield from _downloads()


def _downloads() -> Iterator[Hostile]:
    """Statements and exports that cannot be made."""
    forms = ("xlsx", "JSON", "json,csv", "jsonl%00", "json%20", "../json", "html%0d%0aX-A:%20b", "x" * 5000, "%ff")
    for form in forms:
        for path in (STATEMENT, EXPORT, EXPORT_ONE):
            yield Hostile(f"format {form[:20]} of {path}", 400, path=f"{path}?format={form}")
    for form in ("table", "jsonl", "hledger", "beancount"):
        yield Hostile(f"a statement as {form}", 400, path=f"{STATEMENT}?format={form}")
    for form in ("table", "json", "html", "pdf", "ledger"):
        yield Hostile(f"an export as {form}", 400, path=f"{EXPORT}?format={form}")
    for path in (EXPORT, EXPORT_ONE):
        for query in (
            "from=2024",
            "limit=5",
            "user_id=1",
            "format=csv&format=csv",
            "FORMAT=csv",
            "wallet=1/main",
            "&&",
        ):
            yield Hostile(f"query {query} of {path}", 400, path=f"{path}?{query}")
    for query in (
        *("from=someday", "from=2024-13", "from=2024-01-01%00", "from=" + "9" * 5000, "to=x", "to=2024-02-30"),
        *("from=2024-05&to=2024-04", "from=2024&from=2024", "limit=5", "cursor=1-1", "kind=credit", "at=2024", "&&"),
    ):
        for form in ("json", "csv", "html", "pdf"):
            name = f"query {query[:30]} of a statement as {form}"
            yield Hostile(name, 400, path=f"{STATEMENT}?format={form}&{query}")
    for path in ("/api/v1/wallet/statement", EXPORT):
        for ids, status in {
            "1": 404,
            "1/2": 404,
            "2/1": 404,
            "1/77": 404,
            "77/1": 404,
            "9223372036854775807/9223372036854775807": 404,
            "1/1/1": 404,
            "0/1": 400,
            "1/0": 400,
            "-1/1": 400,
            "1/1.0": 400,
            "1/main": 400,
            "1/%d9%a1": 400,
            "1/1%00": 400,
            "1/9223372036854775808": 400,
            "1/" + "9" * 5000: 400,
            "1/..%2f1": 404,
            "1/..": 400,
        }.items():
            yield Hostile(f"{path} of {ids[:50]}", status, path=f"{path}/{ids}")
    for path in (STATEMENT, EXPORT, EXPORT_ONE):
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            yield Hostile(f"{method} {path}", 405, method, path)
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        yield Hostile(f"{method} {IMPORT}", 405, method, IMPORT)


# --- paths and verbs ------------------------------------------------------------------------------------------------


def paths() -> Iterator[Hostile]:
    for path, status in {
        "/": 404,
        "//": 404,
        "/api": 404,
        "/api/v1": 404,
        "/api/v2/wallet/get/1/main": 404,
        "/API/V1/wallet/get/1/main": 404,
        "/api/v1//wallet/get/1/main": 404,
        "//api/v1/wallet/get/1/main": 404,
        "/api/v1/wallet/get//main": 404,
        "/api/v1/wallet/get/1/main/more": 404,
        "/api/v1/wallet/get/1/../1/main": 404,
        "/api/v1/../../../../etc/passwd": 404,
        "/..%2f..%2f..%2fetc%2fpasswd": 404,
        "/%2e%2e/%2e%2e/etc/passwd": 404,
        "/api/v1/wallet/get/1/..%2f..%2f..%2fetc%2fpasswd": 404,
        "/api/v1/wallet/get/1/..%5c..%5cwindows": 400,
        "/api/v1/wallet/get/1/ma%00in": 400,
        "/api/v1/wallet/get/1/main%00": 400,
        "/api/v1/wallet/get/1/main%0a": 400,
        "/api/v1/wallet/get/1/main%0d%0aSet-Cookie:x=1": 400,
        "/api/v1/wallet/get/1/%ff%fe": 400,
        "/api/v1/wallet/get/1/%zz": 400,
        "/api/v1/wallet/get/1/%": 400,
        "/api/v1/wallet/get/1/main;x=1": 400,
        "/api/v1/wallet/get/1/main'--": 400,
        "/api/v1/wallet/get/1/" + "x" * 33: 400,
        "/api/v1/wallet/get/1/" + "x" * 20_000: 400,
        "/api/v1/wallet/get/1/%c3%a9": 400,
        "/api/v1/wallet/get/1%00/main": 400,
        "/api/v1/wallet/get/1%20/main": 400,
        "/api/v1/wallet/get/%31%0a/main": 400,
        "/api/v1/wallet/get/-1/main": 400,
        "/api/v1/wallet/get/+1/main": 400,
        "/api/v1/wallet/get/0/main": 400,
        "/api/v1/wallet/get/0x1/main": 400,
        "/api/v1/wallet/get/1.0/main": 400,
        "/api/v1/wallet/get/1e0/main": 400,
        "/api/v1/wallet/get/1_0/main": 400,
        "/api/v1/wallet/get/%ef%bc%91/main": 400,
        "/api/v1/wallet/get/%d9%a1/main": 400,
        "/api/v1/wallet/get/9223372036854775808/main": 400,
        "/api/v1/wallet/get/" + "9" * 5000 + "/main": 400,
        "/api/v1/wallet/get/1%20OR%201=1/main": 400,
        "/api/v1/wallet/get/null/main": 400,
        "/api/v1/wallet/get/1/none": 404,
        "/api/v1/wallet/get/9223372036854775807/main": 404,
        "/api/v1/wallet/get/77": 404,
        "/api/v1/transactions/get/1/main": 400,
        "/api/v1/transactions/get/1/-1": 400,
        "/api/v1/transactions/get/1/1%27": 400,
        "/api/v1/transactions/get/1/77": 404,
        "/api/v1/transactions/get/77/1": 404,
        "/api/v1/transactions/get/1/1/0": 400,
        "/api/v1/transactions/get/1/1/-1": 400,
        "/api/v1/transactions/get/1/1/1.0": 400,
        "/api/v1/transactions/get/1/1/1-1": 400,
        "/api/v1/transactions/get/1/1/%d9%a1": 400,
        "/api/v1/transactions/get/1/1/1%00": 400,
        "/api/v1/transactions/get/1/1/9223372036854775808": 400,
        "/api/v1/transactions/get/1/1/" + "9" * 5000: 400,
        "/api/v1/transactions/get/1/1/2": 404,
        "/api/v1/transactions/get/1/1/9223372036854775807": 404,
        "/api/v1/transactions/get/1/2/1": 404,
        "/api/v1/transactions/get/1/1/1/1": 404,
        "/api/v1/holds/get/1": 404,
        "/api/v1/holds/get/1/main": 400,
        "/api/v1/holds/get/0/1": 400,
        "/api/v1/holds/get/1/9223372036854775808": 400,
        "/api/v1/holds/get/1/2": 404,
        "/api/v1/holds/get/77/1": 404,
        "/api/v1/users/0": 400,
        "/api/v1/users/9886977544": 404,
        "/api/v1/users/+919886977544": 400,
        "/api/v1/users/me": 400,
        "/api/v1/users/77": 404,
        "/api/v1/users/1/1": 404,
        "/api/v1/wallets/1": 404,
        "/.env": 404,
        "/.git/config": 404,
        "/wallet.db": 404,
        "/docs/../wallet.db": 404,
        "/docs/%2e%2e/wallet.db": 404,
        "/openapi.json%00": 404,
        "/metrics/../wallet.db": 404,
        "/healthz%2f..": 404,
        "/server-status": 404,
        "/%00": 404,
        "/" + "b" * 16_000: 404,
        "/" + "a" * 20_000: 400,
    }.items():
        yield Hostile(f"path {path[:70]}{'…' * (len(path) > 70)}", status, path=path)
    for query in (
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=+5",
        "limit=abc",
        "limit=1e2",
        "limit=99999",
        "limit=5.0",
        "limit=%31%30%00",
        "limit=5&limit=6",
        "limit=%ef%bc%95",
        "limit=" + "9" * 5000,
        "limit",
        "limit=5;cursor=1-1",
        "&&",
        "=",
        "LIMIT=5",
        "x=1",
        "cursor=x",
        "cursor=1",
        "cursor=1-",
        "cursor=1-0",
        "cursor=1-99",
        "cursor=2-1",
        "cursor=1-1&cursor=1-1",
        "cursor=%00",
        "cursor=%ff",
        "cursor=1-1%0a",
        "cursor=-1-1",
        "cursor=" + "9" * 5000 + "-1",
        "cursor=1-9223372036854775808",
        "cursor=' OR 1=1 --".replace(" ", "%20"),
        "limit[]=5",
        "\xff\xfe",
        "from=someday",
        "from=2024-13",
        "from=2024-01-01%00",
        "from=" + "9" * 5000,
        "to=x",
        "to=2024-02-30",
        "from=2024-05&to=2024-04",
        "kind=Credit",
        "kind=hold",
        "kind=credit,debit",
        "kind=credit&kind=debit",
        "kind=credit%27%20OR%201=1%20--",
        "kind[]=credit",
        "kind=" + "x" * 5000,
        "min=0",
        "min=-1",
        "min=0.001",
        "min=1e2",
        "min=NaN",
        "min=%ef%bc%95",
        "min=" + "9" * 5000,
        "max=0",
        "max=1%20",
        "max=1%00",
        "max=10000000000000.01",
        "min=2&max=1",
        "text=" + "x" * 1001,
        "&".join(f"a{number}=b" for number in range(51)),
        "text=%00",
        "text=%ed%a0%80",
        "text=a&text=b",
        "key=" + "k" * 256,
        "key=a%0ab",
        "key=%00",
        "note=x",
        "is_credit=true",
        "amount=5",
        "forced=true",
    ):
        yield Hostile(f"query {query[:60]!r}{'…' * (len(query) > 60)}", 400, path=f"{LIST}?{query}")
    for path in (USERS, WALLETS, HOLDS):
        for query in (
            *(
                "limit=0",
                "limit=1001",
                "limit=-1",
                "limit=x",
                "limit=%ef%bc%95",
                "limit=5&limit=5",
                "limit=" + "9" * 5000,
            ),
            *(
                "cursor=0",
                "cursor=-1",
                "cursor=x",
                "cursor=1-1",
                "cursor=1.0",
                "cursor=9223372036854775808",
                "cursor=%00",
            ),
            *("cursor=" + "9" * 5000, "cursor=1&cursor=1", "kind=credit", "from=2024", "user_id=1", "LIMIT=5", "&&"),
        ):
            yield Hostile(f"query {query[:40]} of {path}", 400, path=f"{path}?{query}")
    for path in (MINE, "/api/v1/wallet/get/1", SHOW, f"{USERS}/1"):
        yield Hostile(f"a query where there is none, {path}", 400, path=f"{path}?a=1")
    for path in (BATCH, *GOOD):
        methods = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
        for method in methods if path == USERS else ("GET", "HEAD", *methods):
            yield Hostile(f"{method} {path}", 405, method, path)
    for path in (
        SHOW,
        HOLDS,
        WALLETS,
        f"{USERS}/1",
        MINE,
        LIST,
        "/api/v1/wallet/get/1",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
    ):
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            yield Hostile(f"{method} {path}", 405, method, path)
    for method in ("PROPFIND", "MKCOL", "PURGE", "LINK", "SEARCH"):
        yield Hostile(f"{method} a wallet", 405, method)


# --- HTTP itself ----------------------------------------------------------------------------------------------------


def raw(name: str, status: int, request: bytes, *, finish: bool = False) -> Hostile:
    return Hostile(f"HTTP: {name}", status, raw=request, finish=finish)


def wire() -> Iterator[Hostile]:
    """What is not HTTP, or is HTTP that can be read in two ways."""
    good = json.dumps(transaction()).encode()
    size = b"%d" % len(good)
    host = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    auth = b"Authorization: Bearer {operator}\r\nContent-Type: application/json\r\n"
    line = b"POST /api/v1/transactions/create HTTP/1.1\r\n"
    top = line + host + auth
    get = b"GET /api/v1/wallet/get/1/main HTTP/1.1\r\n"

    def with_length(length: bytes, body: bytes = good) -> bytes:
        return top + b"Content-Length: " + length + b"\r\n\r\n" + body

    def chunked(body: bytes, coding: bytes = b"Transfer-Encoding: chunked\r\n") -> bytes:
        return top + coding + b"\r\n" + body

    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(good), good)
    for name, length in {
        "negative": b"-1",
        "with a sign": b"+" + size,
        "two in one": size + b", " + size,
        "hexadecimal": b"0x50",
        "empty": b"",
        "a fraction": size + b".0",
        "words": b"many",
        "of 30 digits": b"9" * 30,
        "2^64": b"18446744073709551616",
        "full-width": "５".encode(),
        "with a space": b"1 2",
    }.items():
        yield raw(f"Content-Length {name}", 400, with_length(length))
    for name, length in {
        "of a petabyte": b"1000000000000000",
        "of 65,537": b"65537",
        "of 2^63 - 1": b"9223372036854775807",
    }.items():
        yield raw(f"Content-Length {name}, and no body", 413, with_length(length, b""))
    yield raw("Content-Length too short", 400, with_length(b"10"))
    yield raw("Content-Length 0, and a body", 400, with_length(b"0"))
    yield raw("Content-Length too long, and the client leaves", 0, with_length(b"500"), finish=True)
    yield raw("two Content-Lengths that differ", 400, with_length(size + b"\r\nContent-Length: 3"))
    yield raw("two Content-Lengths that agree", 400, with_length(size + b"\r\nContent-Length: " + size))
    yield raw("Content-Length and chunks", 400, chunked(whole, b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"))
    yield raw("chunks and Content-Length", 400, chunked(whole, b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"))
    for name, coding in {
        "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n",
        "chunked and something": b"Transfer-Encoding: chunked, identity\r\n",
        "gzip": b"Transfer-Encoding: gzip\r\n",
        "xchunked": b"Transfer-Encoding: xchunked\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "identity and chunked": b"Transfer-Encoding: identity, chunked\r\n",
        "gzip and chunked": b"Transfer-Encoding: gzip, chunked\r\n",
        "chunked with a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
        "empty and chunked": b"Transfer-Encoding: ,chunked\r\n",
        "in two headers": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "in two headers, one of them identity": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "chunked, and TE with chunked": b"Transfer-Encoding: chunked\r\nTE: identity, chunked\r\n",
        "with a space before the colon": b"Transfer-Encoding : chunked\r\n",
        "with a tab before it": b"\tTransfer-Encoding: chunked\r\n",
    }.items():
        yield raw(f"Transfer-Encoding {name}", 400, chunked(whole, coding))
    for name, body in {
        "a size that is none": b"zz\r\n" + good,
        "a size of 20 digits": b"f" * 20 + b"\r\n" + good,
        "a negative size": b"-1\r\n" + good,
        "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
        "a size that is too small": b"3\r\n" + good + b"\r\n0\r\n\r\n",
        "no size": b"\r\n" + good,
        "a size and a space": b"3 5\r\n" + good,
        "a bare LF after a size": b"%x\n%s\n0\n\n" % (len(good), good),
    }.items():
        yield raw(f"chunks: {name}", 400, chunked(body))
    yield raw("chunks: cut, and the client leaves", 0, chunked(b"50\r\n" + good[:10]), finish=True)
    yield raw("chunks: one too large", 413, chunked(b"%x\r\n" % (BODY_LIMIT + 1) + b" " * (BODY_LIMIT + 1)))
    yield raw("chunks: without end, one byte each", 413, chunked(b"1\r\n \r\n" * (BODY_LIMIT + 10)))
    yield raw("chunks: an extension of 100,000 bytes", 400, chunked(b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"))
    yield raw("chunks: trailers of 100,000 bytes", 400, chunked(b"2\r\n{}\r\n0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"))
    sent = line.replace(b"transactions/create", b"import") + host + auth.replace(b"application/json", b"text/csv")
    yield raw("an import: cut, and the client leaves", 0, sent + b"Content-Length: 500\r\n\r\n" + FILE, finish=True)
    in_chunks = sent + b"Transfer-Encoding: chunked\r\n\r\n"
    part = b"%x\r\n%s\r\n" % (len(FILE), FILE)
    yield raw("an import: chunks, cut, and the client leaves", 0, in_chunks + part, finish=True)
    yield raw("an import: chunks, cut within one, and the client leaves", 0, in_chunks + part[:-5], finish=True)
    yield raw("an import: a chunk that is none", 400, in_chunks + part + b"zz\r\n")
    yield raw("an import: no chunks", 400, in_chunks + b"0\r\n\r\n")
    yield raw("an import: a petabyte, and no body", 413, sent + b"Content-Length: 1000000000000000\r\n\r\n")
    for name, text in {
        "a folded header": b"X-A: a\r\n b\r\n",
        "a folded Authorization": b"Authorization: Bearer\r\n {operator}\r\n",
        "NUL in a header": b"X-A: a\0b\r\n",
        "NUL in a header's name": b"X-\0A: a\r\n",
        "a bare CR in a header": b"X-A: a\rb\r\n",
        "a header with no colon": b"X-A\r\n",
        "a header with no name": b": a\r\n",
        "a header's name with a space": b"X A: a\r\n",
        "a header's name beyond ASCII": b"X-\xff: a\r\n",
        "a control character in a header": b"X-A: a\x01b\r\n",
        "a header of 40 KB": b"X-A: " + b"a" * 40_000 + b"\r\n",
        "a header's name of 40 KB": b"X-" + b"a" * 40_000 + b": b\r\n",
        "101 headers": b"X-A: b\r\n" * 99,
        "10,000 headers": b"X-A: b\r\n" * 10_000,
        "a token of 40 KB": b"Authorization: Bearer " + b"a" * 40_000 + b"\r\n",
        "a cookie of 1 MB": b"Cookie: " + b"a" * 1_000_000 + b"\r\n",
    }.items():
        yield raw(name, 400, get + host + text + b"\r\n")
    yield raw(
        "line ends of LF alone", 400, (get + host + b"Authorization: Bearer {operator}\r\n\r\n").replace(b"\r", b"")
    )
    yield raw("line ends of CR alone", 400, (get + host + b"\r\n").replace(b"\n", b"") + b"\r\n\r\n")
    yield raw("a path of 40 KB", 400, b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + host + b"\r\n")
    for name, start in {
        "of HTTP/0.9": b"GET /api/v1/wallet/get/1/main\r\n",
        "of HTTP/3.0": b"GET / HTTP/3.0\r\n",
        "of HTTP/1.9": b"GET / HTTP/1.9\r\n",
        "of HTTP/11": b"GET / HTTP/11\r\n",
        "of HTTX": b"GET / HTTX/1.1\r\n",
        "with no path": b"GET HTTP/1.1\r\n",
        "with a path of two words": b"GET /a b HTTP/1.1\r\n",
        "with a method in small letters": b"get / HTTP/1.1\r\n",
        "with a method of nobody": b"FROB / HTTP/1.1\r\n",
        "with no method": b" / HTTP/1.1\r\n",
        "with a tab": b"GET\t/\tHTTP/1.1\r\n",
        "with NUL": b"GET /\0 HTTP/1.1\r\n",
        "with a control character": b"GET /\x01 HTTP/1.1\r\n",
        "of 40,000 letters": b"G" * 40_000 + b" / HTTP/1.1\r\n",
        "with a path that has no slash": b"GET api/v1 HTTP/1.1\r\n",
        "of the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
        "of mail": b"EHLO localhost\r\n",
        "of rubbish": bytes(range(128, 256)) + b"\r\n",
    }.items():
        yield raw(f"a request line {name}", 400, start + host + b"\r\n")
    yield raw("a TLS greeting", 400, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 160)
    yield raw("an SSH greeting", 400, b"SSH-2.0-OpenSSH_9.0\r\n")
    yield raw("CONNECT", 400, b"CONNECT elsewhere.example:443 HTTP/1.1\r\n" + host + b"\r\n")
    yield raw("OPTIONS *", 404, b"OPTIONS * HTTP/1.1\r\n" + host + b"\r\n")
    yield raw("an absolute URI of another host", 400, b"GET http://elsewhere.example" + get[4:] + host + b"\r\n")
    yield raw("an absolute URI of nothing", 404, b"GET http://127.0.0.1/nothing HTTP/1.1\r\n" + host + b"\r\n")
    yield raw("an absolute URI of a file", 400, b"GET file:///etc/passwd HTTP/1.1\r\n" + host + b"\r\n")
    yield raw("an absolute URI of another port", 400, b"GET http://127.0.0.1:81" + get[4:] + host + b"\r\n")
    yield raw("an absolute URI with a user", 400, b"GET http://a@127.0.0.1" + get[4:] + host + b"\r\n")
    yield raw("an absolute URI of the same host and port", 401, b"GET HTTP://127.0.0.1:80" + get[4:] + host + b"\r\n")
    for name, lines in {
        "no Host": b"",
        "two Hosts": b"Host: 127.0.0.1\r\nHost: elsewhere.example\r\n",
        "two Hosts that agree": b"Host: 127.0.0.1\r\nhost: 127.0.0.1\r\n",
        "two hosts in a Host": b"Host: 127.0.0.1, elsewhere.example\r\n",
        "two hosts in a Host with no space": b"Host: 127.0.0.1,elsewhere.example\r\n",
        "a Host with a space in it": b"Host: 127.0.0.1 elsewhere.example\r\n",
        "an empty Host": b"Host:\r\n",
        "a Host of [": b"Host: [\r\n",
        "a Host of ]": b"Host: ]\r\n",
        "a Host of []": b"Host: []\r\n",
        "a Host of [::1": b"Host: [::1\r\n",
        "a Host of [:::::]": b"Host: [:::::]\r\n",
        "a Host of [127.0.0.1]": b"Host: [127.0.0.1]\r\n",
        "a Host with a user": b"Host: a@127.0.0.1\r\n",
        "a Host with a path": b"Host: 127.0.0.1/a\r\n",
        "a Host with a query": b"Host: 127.0.0.1?a\r\n",
        "a Host with a port of letters": b"Host: 127.0.0.1:http\r\n",
        "a Host with a port that is none": b"Host: 127.0.0.1:65536\r\n",
        "a Host with two ports": b"Host: 127.0.0.1:80:80\r\n",
        "a Host beyond ASCII": "Host: \u00fc\r\n".encode(),
        "a Host with %": b"Host: 127.0.0.1%00\r\n",
    }.items():
        yield raw(name, 400, get + lines + b"Authorization: Bearer {operator}\r\n\r\n")
    for version in (b"0.9", b"2.0", b"1.2", b"3.0", b"1.10"):
        yield raw(f"version {version.decode()}", 400, get.replace(b"1.1", version) + host + b"\r\n")
    old = line.replace(b"HTTP/1.1", b"HTTP/1.0") + auth
    yield raw("chunks in HTTP/1.0", 400, old + b"Transfer-Encoding: chunked\r\n\r\n" + whole)
    yield raw("line ends without end", 400, b"\r\n" * 400_000)
    yield raw(
        "trailers that are headers",
        401,
        line
        + host
        + b"Content-Type: application/json\r\n"
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + whole[:-2]
        + b"Authorization: Bearer {operator}\r\n\r\n",
    )
    upgrade = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    switch = b"Host: 127.0.0.1\r\nConnection: Upgrade\r\n"
    yield raw("an upgrade to WebSocket", 401, get + switch + upgrade + b"\r\n")
    yield raw("an upgrade to WebSocket, at no path", 404, b"GET /ws HTTP/1.1\r\n" + switch + upgrade + b"\r\n")
    yield raw("an upgrade to h2c", 401, get + switch + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
    yield raw("Expect: 100-continue, too large", 413, with_length(b"65537\r\nExpect: 100-continue", b""))
    yield raw("nothing, and the client leaves", 0, b"", finish=True)
    yield raw("half a request line, and the client leaves", 0, b"GET /api", finish=True)
    yield raw("half the headers, and the client leaves", 0, get + b"Host: x\r\nX-A", finish=True)
    smuggled = with_length(b"0", b"").replace(b"Connection: close\r\n", b"") + get + host + b"\r\n"
    yield raw("a second request behind an empty body", 400, smuggled)


def everything() -> list[Hostile]:
    """All of them."""
    groups = (
        tokens,
        authorizations,
        others,
        fields,
        amounts,
        moved_amounts,
        metas,
        business,
        bodies,
        files,
        paths,
        wire,
    )
    return [hostile for group in groups for hostile in group()]
