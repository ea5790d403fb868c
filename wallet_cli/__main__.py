"""The `wallet` command as the shell starts it; `python -m wallet_cli` is the same."""

import gc
import os
import sys


def start() -> None:
    """Run the command line in `sys.argv` and end the process with its exit code.

    A command lives for a tenth of a second, of which the collector's passes over fresh imports and the interpreter's
    tidying-up at the end would take a fifth. The ledger is closed by then; what is left is memory.
    """
    gc.set_threshold(100_000, 50, 50)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by the caller. Filled again before the ledger could be opened in its place.
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown as an escape.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from wallet_cli.cli.app import main

        code = main()
    except KeyboardInterrupt:  # before main() could take care of it
        code = 130
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1  # main() has said what it could
    os._exit(code)


if __name__ == "__main__":
    start()
