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

    A command runs for a tenth of a second. Garbage collection over fresh imports and the interpreter's cleanup at the
    end would take a fifth of that. The ledger is closed by then; only memory is left.
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
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done: too late to interrupt
    except BaseException as error:
        # Before main() could handle it, or after.
        code = Interrupted.exit_code if was_interrupted(error) else _cannot_start(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # main() has reported what it could
            stream.flush()
    os._exit(code)


def _fill_closed_streams() -> None:
    """Replace streams that the caller closed, before the ledger could be opened under their file numbers.

    Output to a closed stderr is lost. A closed stdout gets a stream that refuses writes: an answer that nobody can read
    is an error.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            access = os.O_RDONLY if name == "stdout" else os.O_RDWR
            stream = open(os.open(os.devnull, access), "r" if name == "stdin" else "w")  # noqa: PTH123, SIM115
            setattr(sys, name, stream)
            # Keep a reference, as the interpreter does: once closed, its number could go to a connection.
            setattr(sys, f"__{name}__", stream)
    for output in (sys.stdout, sys.stderr):
        # Characters that the terminal's encoding lacks are shown as escapes.
        output.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _cannot_start(error: BaseException) -> int:
    """A part of the program or of a library is missing or unreadable: nothing was done yet."""
    if os.environ.get("WALLET_DEBUG") == "1":
        raise error
    reason = "there is not enough memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
    with suppress(OSError, ValueError):
        print(f"error: wallet cannot start: {reason}", file=sys.stderr)
    return StorageError.exit_code if isinstance(error, OSError) else InternalError.exit_code


def _unraisable(problem: sys.UnraisableHookArgs) -> None:
    """Ctrl-C in one of the interpreter's callbacks cannot be raised anywhere; do not print a traceback."""
    if not isinstance(problem.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(problem)


if __name__ == "__main__":
    start()
