"""User tokens: short-lived JWTs that let one user read their wallets and take money out of them.

The algorithm is fixed here and never chosen by the token. Issuer, audience, type, expiry and subject are required. The
audience is the ledger's id, so a token is valid for one ledger, even if others have the same secret. A token that an
operator asked for names the operator's key, and ends with it. The secret comes from the settings, or is created once
and kept in a separate file (RFC 8725 is the checklist).
"""

from __future__ import annotations

import secrets
import time
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jwt

from wallet_cli.domain.ids import check_operator_name, parse_id
from wallet_cli.errors import InvalidInput, Unauthenticated
from wallet_cli.operations.private_files import kept_secret
from wallet_cli.settings import Settings, check_expires_minutes, jwt_secret_path

ALGORITHM = "HS256"
ISSUER = "wallet"
TOKEN_TYPE = "user"  # noqa: S105  (a claim, not a secret)
MIN_SECRET_BYTES = 32
MAX_TOKEN_CHARS = 4096
MAX_TIME_S = 253_402_300_799
"""The last second of the year 9999."""

LEEWAY_S = 5
"""By how much the clock of another server with the same secret may be ahead."""

DEVELOPMENT = "development"

# Printed in the original application's README, and so known to everybody.
SAMPLE_SECRET = "ScuqXHWTSBlzE6Zlp3jE2iExBqrRSTm8KbWw+IbA/oc="  # noqa: S105


class Bearer(NamedTuple):
    """The user of a token, and the name of the operator key that asked for it, if any."""

    user_id: int
    operator: str | None


class Tokens:
    """Issues and reads user tokens with one secret, for the ledger `ledger_id`."""

    def __init__(self, secret: str, expires_minutes: int, max_minutes: int) -> None:
        self._secret = secret
        self._expires_minutes = expires_minutes
        self._max_minutes = max_minutes

    def issue(
        self, ledger_id: str, user_id: int, expires_minutes: int | None = None, operator: str | None = None
    ) -> str:
        """A token for a user, valid for `expires_minutes` (default: the setting). Raises InvalidInput.

        `operator` is the name of the key that asks for it.
        """
        minutes = self._expires_minutes if expires_minutes is None else expires_minutes
        check_expires_minutes(minutes, self._max_minutes)
        now_s = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": ledger_id,
            "sub": str(user_id),
            "type": TOKEN_TYPE,
            "iat": now_s,
            "exp": now_s + minutes * 60,
            "jti": secrets.token_hex(8),
        }
        if operator is not None:
            claims["key"] = operator
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def bearer_of(self, token: str, ledger_id: str) -> Bearer:
        """The bearer of a token. Raises Unauthenticated. The caller must check whether the key was revoked."""
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthenticated("the token is too long")
        try:
            decoded = jwt.decode_complete(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=ledger_id,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub", "type"],
                    "strict_aud": True,
                    # Checked below, as whole numbers only: the library also accepts text, fractions and infinity as
                    # times.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthenticated("the token is not valid") from None
        header, claims = decoded["header"], decoded["payload"]
        # A key that the token itself brings or names is never used; such a token is refused.
        if set(header) - {"alg", "typ"} or claims["type"] != TOKEN_TYPE:
            raise Unauthenticated("the token is not valid")
        self._check_times(claims)
        operator = claims.get("key")
        try:
            return Bearer(_subject(claims), operator if operator is None else check_operator_name(operator))
        except (InvalidInput, TypeError):
            raise Unauthenticated("the token is not valid") from None

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """Raises Unauthenticated for a token that is not valid now, or valid for longer than is allowed."""
        issued_s, expires_s, begins_s = claims["iat"], claims["exp"], claims.get("nbf", 0)
        for moment in (issued_s, expires_s, begins_s):
            if type(moment) is not int or not 0 <= moment <= MAX_TIME_S:
                raise Unauthenticated("the token is not valid")
        now_s = time.time()
        if expires_s <= now_s:
            raise Unauthenticated("the token has expired", hint="ask for a new one")
        if max(issued_s, begins_s) > now_s + LEEWAY_S or not 0 < expires_s - issued_s <= self._max_minutes * 60:
            raise Unauthenticated("the token is not valid")


def _subject(claims: Mapping[str, Any]) -> int:
    """The id of the user whom a token is for. Raises InvalidInput."""
    subject = claims["sub"]
    if not isinstance(subject, str):  # JSON may have anything there
        raise InvalidInput("the subject is not a text")
    return parse_id(subject)


def subject_of(token: str) -> str:
    """The subject that a token claims, without a check of its signature: an id, or `?`."""
    try:
        claims = jwt.decode(token[:MAX_TOKEN_CHARS], options={"verify_signature": False})
        return str(_subject(claims))
    except (jwt.PyJWTError, InvalidInput, ValueError, RecursionError, LookupError, TypeError, OverflowError):
        return "?"


def open_tokens(settings: Settings) -> tuple[Tokens, str | None]:
    """The tokens of these settings, and a warning if their secret is good enough for development only.

    Raises InvalidInput for a public or short secret in any other environment than `development`.
    """
    text = settings.jwt_secret_key
    warning = None
    secret = kept_secret(jwt_secret_path(), _new_secret, "set JWT_SECRET_KEY") if text is None else text
    weak, exposed_by = weakness(secret), settings.exposed("jwt_secret_key")
    wrong = weak or exposed_by
    if wrong is not None:
        # The check below has a clearer message.
        warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)
        if settings.env != DEVELOPMENT:
            raise InvalidInput(
                f"the setting jwt_secret_key {wrong}",
                hint=f"{HOW_TO_SET if weak else settings.how_to_shut('jwt_secret_key')}"
                "; FLASK_ENV=development accepts it for local work",
            )
        warning = f"jwt_secret_key {wrong}: use it for development only"
    expires_minutes, max_minutes = settings.jwt_access_token_expires_minutes, settings.jwt_max_token_expires_minutes
    return Tokens(secret, expires_minutes, max_minutes), warning


HOW_TO_SET = "set JWT_SECRET_KEY to 32 random bytes or more, or leave it unset: one is created"


def weakness(secret: str) -> str | None:
    """Why a secret is good for development only; None if it is good."""
    if secret == SAMPLE_SECRET:
        return "is the sample from the original README, which everybody knows"
    if len(secret.encode()) < MIN_SECRET_BYTES:
        return f"is shorter than {MIN_SECRET_BYTES} bytes"
    return None


def _new_secret() -> str:
    return secrets.token_urlsafe(MIN_SECRET_BYTES)
