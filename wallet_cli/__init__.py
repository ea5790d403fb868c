"""Stored value that people can trust: a wallet in one command.

Only the version is here, so that importing a part of the package costs only that part.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (for runs from source; pip refuses to install it)
    raise SystemExit("wallet needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])  # noqa: UP031

__version__ = "0.1.0"
