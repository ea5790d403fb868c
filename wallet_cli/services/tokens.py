"""User tokens: short-lived JWTs that let one user read their wallets and take money out of them.

One algorithm, chosen here and never by the token; issuer, audience, type, expiry and subject are required. The secret
comes from the settings, or is made once and kept in a file of its own (RFC 8725 is the checklist followed).
"""

from __future__ import annotations

import os
import secrets
import time
import warnings
from pathlib import Path

import jwt

from wallet_cli.domain.address import parse_id
from wallet_cli.errors import InvalidInput, StorageError, Unauthenticated
from wallet_cli.settings import Settings, check_expires_minutes, data_folder

ALGORITHM = "HS256"
ISSUER = "wallet"
AUDIENCE = "wallet-api"
TOKEN_TYPE = "user"  # noqa: S105  (a claim, not a secret)
MIN_SECRET_BYTES = 32
MAX_TOKEN_CHARS = 4096
DEVELOPMENT = "development"

# Printed in the original application's README, and so known to everybody.
SAMPLE_SECRET = "ScuqXHWTSBlzE6Zlp3jE2iExBqrRSTm8KbWw+IbA/oc="  # noqa: S105


class Tokens:
    """Issues and reads user tokens with one secret."""

    def __init__(self, secret: str, expires_minutes: int) -> None:
        self._secret = secret
        self._expires_minutes = expires_minutes

    def issue(self, user_id: int, expires_minutes: int | None = None) -> str:
        """A token for a user, good for `expires_minutes` (default: the setting). Raises InvalidInput."""
        minutes = check_expires_minutes(self._expires_minutes if expires_minutes is None else expires_minutes)
        now_s = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "type": TOKEN_TYPE,
            "iat": now_s,
            "exp": now_s + minutes * 60,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def user_of(self, token: str) -> int:
        """The id of the user that a token speaks for; raises Unauthenticated."""
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthenticated("the token is too long")
        try:
            decoded = jwt.decode_complete(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "type"], "strict_aud": True},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired", hint="ask for a new one") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthenticated("the token is not valid") from None
        header, claims = decoded["header"], decoded["payload"]
        # A key that the token itself brings or names is never looked at; one that tries is refused.
        if set(header) - {"alg", "typ"} or claims["type"] != TOKEN_TYPE:
            raise Unauthenticated("the token is not valid")
        try:
            return parse_id(claims["sub"])
        except InvalidInput:
            raise Unauthenticated("the token is not valid") from None


def open_tokens(settings: Settings) -> tuple[Tokens, str | None]:
    """The tokens of these settings, and a warning if their secret is only fit for development.

    Raises InvalidInput for a public or short secret in any other environment than `development`.
    """
    text = settings.jwt_secret_key
    warning = None
    secret = _kept_secret(data_folder() / "jwt_secret_key") if text is None else text
    wrong = _weakness(secret)
    if wrong is not None:
        # Said below, in this program's words.
        warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)
        if settings.env != DEVELOPMENT:
            raise InvalidInput(
                f"the setting jwt_secret_key {wrong}",
                hint="set JWT_SECRET_KEY to 32 random bytes or more, or leave it out and one is made;"
                " FLASK_ENV=development accepts it for local work",
            )
        warning = f"jwt_secret_key {wrong}: fit for development only"
    return Tokens(secret, settings.jwt_access_token_expires_minutes), warning


def _weakness(secret: str) -> str | None:
    if secret == SAMPLE_SECRET:
        return "is the sample from the original README, which everybody knows"
    if len(secret.encode()) < MIN_SECRET_BYTES:
        return f"is shorter than {MIN_SECRET_BYTES} bytes"
    return None


def _kept_secret(path: Path) -> str:
    """The secret kept at `path`, made once: written under another name first, so that no reader sees half of it."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.{os.getpid()}")
            fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(secrets.token_urlsafe(MIN_SECRET_BYTES))
                file.flush()
                os.fsync(fd)
            try:
                os.link(new, path)  # fails if another process was first, whose secret then holds
            except FileExistsError:
                pass
            finally:
                new.unlink()
        return path.read_text("utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot keep the token secret: {error.strerror}: {path}", hint="set JWT_SECRET_KEY"
        ) from None
