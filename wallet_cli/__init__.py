"""Stored value that people can trust: a wallet in one command.

Only the version stands here, so that importing a part of the package costs that part alone.
"""

__version__ = "0.1.0"
