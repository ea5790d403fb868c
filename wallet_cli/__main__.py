"""The `wallet` command as the shell starts it; `python -m wallet_cli` is the same."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress

from wallet_cli.errors import InternalError, Interrupted, StorageError, was_interrupted


def start() -> None:
    """Run the command line in `sys.argv` and end the process with its exit code.

    A command lives for a tenth of a second, of which the collector's passes over fresh imports and the interpreter's
    tidying-up at the end would take a fifth. The ledger is closed by then; what is left is memory.
    """
    try:
        gc.set_threshold(100_000, 50, 50)
        sys.unraisablehook = _unraisable
        _fill_closed_streams()
        if "_WALLET_COMPLETE" in os.environ:
            from wallet_cli.cli import completing

            completing.run(os.environ["_WALLET_COMPLETE"], sys.argv[1:])
        from wallet_cli.cli.app import main
        from wallet_cli.cli.stdout import watch_stdout

        watch_stdout()
        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done: too late to stop
    except BaseException as error:
        # Before main() could take care of it, or after.
        code = Interrupted.exit_code if was_interrupted(error) else _cannot_start(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # main() has said what it could
            stream.flush()
    os._exit(code)


def _fill_closed_streams() -> None:
    """Put something in the place of streams that the caller closed, before the ledger could be opened there.

    What is for stderr is not missed. Stdout gets what cannot be written to: an answer that nobody gets is an error.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            access = os.O_RDONLY if name == "stdout" else os.O_RDWR
            stream = open(os.open(os.devnull, access), "r" if name == "stdin" else "w")  # noqa: PTH123, SIM115
            setattr(sys, name, stream)
            # Kept, as the interpreter keeps its own: once it is closed, a connection could get its number.
            setattr(sys, f"__{name}__", stream)
    for output in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown as an escape.
        output.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _cannot_start(error: BaseException) -> int:
    """A part of the program or of a library is missing, or cannot be read: nothing has been done yet."""
    if os.environ.get("WALLET_DEBUG") == "1":
        raise error
    with suppress(OSError, ValueError):
        print(f"error: wallet cannot start: {error or type(error).__name__}", file=sys.stderr)
    return StorageError.exit_code if isinstance(error, OSError) else InternalError.exit_code


def _unraisable(problem: sys.UnraisableHookArgs) -> None:
    """Ctrl-C within a callback of the interpreter's own has nowhere to go; it is not worth a traceback."""
    if not isinstance(problem.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(problem)


if __name__ == "__main__":
    start()
