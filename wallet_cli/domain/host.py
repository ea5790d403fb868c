"""Names and addresses of machines."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from wallet_cli.errors import InvalidInput, shown

PORTS = {"https": 443, "http": 80}
_PLACE = r"(\[[0-9a-zA-Z:.%]+\]|[\w.\-]+)(:[0-9]*)?"


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_encrypted(url: str) -> None:
    """Raises InvalidInput for the URL of a server to which a token would be sent unencrypted."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InvalidInput(
            f"http:// to {shown(parts.hostname or '')} would send the token unencrypted",
            hint="use https://, or a tunnel to this machine",
        )


def host_of(url: str) -> str | None:
    """The host and port of an http or https URL, such as `example.org:443`; None where there is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # as the resolver has it
    except ValueError:
        return None
    # urlsplit reads `a[::1]b` as `::1`, and accepts any text as a name: not the host that is called.
    if not host or parts.scheme not in PORTS or not re.fullmatch(_PLACE, parts.netloc.rpartition("@")[2]):
        return None
    return f"{f'[{host}]' if ':' in host else host}:{port if port is not None else PORTS[parts.scheme]}"
