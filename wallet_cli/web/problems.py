"""Errors that only HTTP has; the rest of the tree is in wallet_cli/errors.py.

::

    WalletError
    └── RequestProblem
        ├── NoSuchRoute           not_found                404
        ├── MethodNotAllowed      method_not_allowed       405
        ├── TooSlow               request_timeout          408    retryable
        ├── BodyTooLarge          too_large                413
        └── UnsupportedMediaType  unsupported_media_type   415
"""

from __future__ import annotations

from wallet_cli.errors import WalletError


class RequestProblem(WalletError):
    exit_code = 2


class NoSuchRoute(RequestProblem):
    code = "not_found"
    http_status = 404


class MethodNotAllowed(RequestProblem):
    code = "method_not_allowed"
    http_status = 405


class TooSlow(RequestProblem):
    code = "request_timeout"
    http_status = 408
    retryable = True


class BodyTooLarge(RequestProblem):
    code = "too_large"
    http_status = 413


class UnsupportedMediaType(RequestProblem):
    code = "unsupported_media_type"
    http_status = 415
