"""The `wallet` command as the shell starts it; `python -m wallet_cli` is the same."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress

from wallet_cli.errors import Interrupted, was_interrupted


def start() -> None:
    """Run the command line in `sys.argv` and end the process with its exit code.

    A command lives for a tenth of a second, of which the collector's passes over fresh imports and the interpreter's
    tidying-up at the end would take a fifth. The ledger is closed by then; what is left is memory.
    """
    try:
        gc.set_threshold(100_000, 50, 50)
        sys.unraisablehook = _unraisable
        _fill_closed_streams()
        from wallet_cli.cli.app import main

        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done: too late to stop
    except BaseException as error:
        if not was_interrupted(error):
            raise
        code = Interrupted.exit_code  # before main() could take care of it, or after
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # main() has said what it could
            stream.flush()
    os._exit(code)


def _fill_closed_streams() -> None:
    """Put something in the place of streams that the caller closed, before the ledger could be opened there."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown as an escape.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _unraisable(problem: sys.UnraisableHookArgs) -> None:
    """Ctrl-C within a callback of the interpreter's own has nowhere to go; it is not worth a traceback."""
    if not isinstance(problem.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(problem)


if __name__ == "__main__":
    start()
