"""`wallet` in the lines of a shell: a small program in its place hands all that it was given to the nursery.

It costs 10 ms of a processor and the fork 30, where the real executable costs 200. That is started by tests of what a
process has to itself, such as transcripts/test_surroundings.py.
"""

from __future__ import annotations

import atexit
import marshal
import os
import socket
import sys
import threading
from functools import cache
from pathlib import Path

from support import postgres, processes

LENGTH_BYTES = 4

CLIENT = """\
#!{python} -IS
import _socket, marshal, posix, sys
asked = marshal.dumps((sys.argv[1:], posix.getcwd(), posix.environ))
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
nursery = _socket.socket(_socket.AF_UNIX)
nursery.connect({socket!r})
length = len(asked).to_bytes({length}, "little")
nursery.sendmsg([length], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
nursery.sendall(asked)
code = int(nursery.recv(16))
posix._exit(code if code >= 0 else 128 - code)
"""


@cache
def folder() -> Path:
    """The folder of the small program, which is to come first on the PATH."""
    made = postgres.run_folder() / f"bin-{os.getpid()}"
    made.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(made / "socket"))
    listener.listen()
    atexit.register(listener.close)
    threading.Thread(target=_listen, args=(listener,), daemon=True).start()
    program = made / "wallet"
    program.write_text(CLIENT.format(python=sys.executable, socket=str(made / "socket"), length=LENGTH_BYTES))
    program.chmod(0o755)
    return made


def _listen(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the process ends
            return
        threading.Thread(target=_run, args=(connection,), daemon=True).start()


def _run(connection: socket.socket) -> None:
    """One command: from what it was given to its exit code."""
    with connection:
        head, streams, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 3)
        try:
            with connection.makefile("rb") as rest:
                arguments, cwd, environ = marshal.loads(rest.read(int.from_bytes(head, "little")))
            known = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
            child = processes.nursery().fork(arguments, streams, Path(cwd), known)
        finally:
            for each in streams:
                os.close(each)
        connection.sendall(b"%d" % child.wait())
