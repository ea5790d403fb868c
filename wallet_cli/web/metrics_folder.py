"""The folder where workers keep their counts: their parent makes and removes it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from wallet_cli.errors import StorageError, hint_of
from wallet_cli.web.supervisor import METRICS_FOLDER_VARIABLE

PREFIX = "wallet-metrics-"


@contextmanager
def metrics_folder() -> Iterator[None]:
    """Make the folder for the length of a `with` block, and name it in the environment. Raises StorageError.

    One that stays after a kill is left: nothing tells it surely from that of a server that runs.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=PREFIX)
    except OSError as error:
        raise StorageError(
            f"several workers need a folder for temporary files, and it cannot be made: {error.strerror}",
            hint=hint_of(error, "set TMPDIR to a folder that can be written"),
        ) from None
    with folder as name:
        os.environ[METRICS_FOLDER_VARIABLE] = name
        yield
