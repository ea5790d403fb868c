"""The folder where workers keep their counts: their parent makes and removes it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wallet_cli.errors import StorageError, hint_of
from wallet_cli.web.log import log
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


def forget_gauges(pid: int) -> None:
    """Forget what was under way in a worker that has died; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def make_again(folder: str) -> None:
    """Make the folder again if it is gone, as where a cleaner of temporary files runs. Raises StorageError if that is
    not possible, or another user has made it since.
    """
    try:
        with suppress(FileExistsError):
            Path(folder).mkdir(0o700)
            log("warning", message=f"{folder} was removed: the counts of a worker are lost until it is started again")
        found = os.lstat(folder)
    except OSError as error:
        raise StorageError(
            f"the folder of the counts cannot be made: {error.strerror}: {folder}",
            hint=hint_of(error, "set TMPDIR to a folder that is not cleaned, and restart the server"),
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise StorageError(f"the folder of the counts is another user's: {folder}", hint="restart the server")
