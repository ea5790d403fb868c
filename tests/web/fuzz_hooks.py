"""What schemathesis has to be told: how a body is written that is no JSON. It is loaded in its own process."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson", "text/csv")
def as_it_is(_context: Any, value: Any) -> bytes:
    """Text goes out as it is. Another JSON type, which is to be refused, has no form in a file: nothing goes out."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""
