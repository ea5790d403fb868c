"""Stored value that people can trust: a wallet in one command.

Only the version stands here, so that importing a part of the package costs that part alone.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (for who runs it from its source; pip refuses to install it)
    raise SystemExit("wallet needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])  # noqa: UP031

__version__ = "0.1.0"
