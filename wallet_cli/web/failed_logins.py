"""A limit for those who send wrong keys and tokens: a bucket of tokens for each client address.

Each failure takes one token; a bucket holds BURST, and gets one back every REFILL_S. As long as an address has none
left, further failures are told to wait. Who sends a right key is never held up, whatever others behind the same
address do. A bucket is one number, the time at which it will be full again (the idea is that of GCRA).
"""

from __future__ import annotations

import time
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

BURST = 20
REFILL_S = 1.0

MAX_ADDRESSES = 10_000
"""How many addresses are remembered, those that failed last."""

IPV6_NETWORK_BYTES = 8
"""One client has a whole network of IPv6 addresses, so that is one address here."""


class FailedLogins:
    """The failures of each address in the last time."""

    def __init__(self) -> None:
        self._full_at_s: dict[str, float] = {}

    def wait_s(self, address: str) -> float:
        """For how long an address has no token left; 0 if it has one."""
        full_at_s = self._full_at_s.get(_client(address), 0.0)
        return max(0.0, full_at_s - time.monotonic() - (BURST - 1) * REFILL_S)

    def count(self, address: str) -> None:
        """Take a token from an address that has one."""
        client, now_s = _client(address), time.monotonic()
        # Again at the end: what is first has not failed for the longest time.
        full_at_s = self._full_at_s.pop(client, 0.0)
        if len(self._full_at_s) >= MAX_ADDRESSES:
            del self._full_at_s[next(iter(self._full_at_s))]
        self._full_at_s[client] = max(now_s, full_at_s) + REFILL_S


@lru_cache(MAX_ADDRESSES)
def _client(address: str) -> str:
    """The address, or the network of an IPv6 address."""
    try:
        found = ip_address(address)
    except ValueError:  # a socket's path, or none
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return found.packed[:IPV6_NETWORK_BYTES].hex()
