"""What a disk could hold after a power cut, given what a program did to the files of a folder: see recorder.c.

What was synced is there. Of what was not, there is nothing, all, a part in order with its last write torn, or any
sectors; a file that grew may hold other data where nothing of it came. The names of a folder are those of its last
sync, and any of what came since, or what came first of it.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from wallet_cli.engine.write_lock import LAST_COMMIT_AT
from wallet_cli.storage.in_place import identity_of
from wallet_cli.storage.last_commit import LastCommit

SECTOR_BYTES = 512
"""What a disk writes whole or not at all. Bytes beside those that are written stay, as SQLite assumes too."""

HEAD = struct.Struct("=IIQQQ")
SOURCE = Path(__file__).with_name("recorder.c")

Names = dict[str, "File"]
"""The files below the folder, by path."""


class Note(NamedTuple):
    """One step of a program: `kind` is a letter, see recorder.c."""

    pid: int
    kind: str
    inode: int
    number: int
    data: bytes


class Recorder:
    """Has programs record what they do below `root`, which is there already; `log` is elsewhere."""

    def __init__(self, root: Path, log: Path, library: Path) -> None:
        self.root = root
        self.log = log
        self.environ = {"LD_PRELOAD": str(library), "RECORD_ROOT": str(root), "RECORD_LOG": str(log)}
        self.before = {path: (found.stat().st_ino, read(found)) for path, found in below(root)}
        self.top = root.stat().st_ino

    def notes(self) -> list[Note]:
        data = self.log.read_bytes()
        notes = []
        at = 0
        while at < len(data):
            length, pid, kind, inode, number = HEAD.unpack_from(data, at)
            notes.append(Note(pid, chr(kind), inode, number, data[at + HEAD.size : at + length]))
            at += length
        return notes


def build(folder: Path) -> Path:
    """Compile the recorder; skips the test where that cannot be."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler, cc")
    library = folder / "recorder.so"
    made = folder / f"recorder-{os.getpid()}.so"
    done = subprocess.run(
        [compiler, "-Wall", "-O1", "-shared", "-fPIC", "-o", made, SOURCE, "-ldl", "-lpthread"], capture_output=True
    )
    if done.returncode and not Path("/usr/include/dlfcn.h").exists():
        pytest.skip("needs the headers of the C library, libc6-dev")
    assert done.returncode == 0, done.stderr.decode()
    made.replace(library)
    return library


def below(root: Path) -> Iterator[tuple[str, Path]]:
    """Everything below a folder, by its path there; folders before what is in them."""
    for path in sorted(root.rglob("*")):
        yield str(path.relative_to(root)), path


def read(path: Path) -> bytes | None:
    """What is in a file; None for a folder."""
    return None if path.is_dir() else path.read_bytes()


class Change(NamedTuple):
    """A change of a file that may be lost: data at an offset, or, with None, a size."""

    at: int
    offset: int
    data: bytes | None


class File:
    """A file or a folder: what of it is durable, and what has been changed since. A folder has no content."""

    def __init__(self, content: bytes = b"", *, is_folder: bool = False) -> None:
        self.is_folder = is_folder
        self.durable = bytearray(content)
        self.pending: list[Change] = []

    def sync(self, before: int) -> None:
        """Make durable what was changed before a step."""
        for change in self.pending:
            if change.at < before:
                apply(self.durable, change)
        self.pending = [change for change in self.pending if change.at >= before]

    def now(self) -> bytes:
        """As programs read it."""
        content = bytearray(self.durable)
        for change in self.pending:
            apply(content, change)
        return bytes(content)

    def after_a_cut(self, drawn: random.Random) -> bytes:
        content = bytearray(self.durable)
        how = drawn.choice(("nothing", "all", "first", "any", "any"))
        if how == "nothing":
            return bytes(content)
        if how == "all":
            return self.now()
        if how == "first":
            kept = drawn.randint(0, len(self.pending))
            for change in self.pending[:kept]:
                apply(content, change)
            if kept < len(self.pending):
                pieces = list(sectors(self.pending[kept]))
                for piece in pieces[: drawn.randrange(len(pieces) + 1)]:
                    apply(content, piece)
            return bytes(content)
        return self._any(content, drawn)

    def _any(self, content: bytearray, drawn: random.Random) -> bytes:
        """Any sectors of what was written, but nothing of what followed a size that was lost."""
        sizes = [number for number, change in enumerate(self.pending) if change.data is None]
        last = drawn.choice([*sizes, len(self.pending)])
        kept = drawn.choice((0.1, 0.5, 0.9))
        filler = drawn.choice((b"\0", b"\xa5"))
        for change in self.pending[:last]:
            if change.data is None:
                apply(content, change)
                continue
            for piece in sectors(change):
                assert piece.data is not None
                end = piece.offset + len(piece.data)
                if drawn.random() < kept:
                    apply(content, piece, filler)
                elif len(content) < end and drawn.random() < 0.5:
                    apply(content, piece._replace(data=filler * len(piece.data)), filler)
        return bytes(content)


def apply(content: bytearray, change: Change, filler: bytes = b"\0") -> None:
    offset = change.offset
    if change.data is None:
        del content[offset:]
    if len(content) < offset:
        content.extend(filler * (offset - len(content)))
    if change.data is not None:
        content[offset : offset + len(change.data)] = change.data


def sectors(change: Change) -> Iterator[Change]:
    """A write, in the pieces that a disk may or may not have written."""
    if change.data is None:
        yield change
        return
    done = 0
    while done < len(change.data):
        length = min(SECTOR_BYTES - (change.offset + done) % SECTOR_BYTES, len(change.data) - done)
        yield Change(change.at, change.offset + done, change.data[done : done + length])
        done += length


class Naming(NamedTuple):
    """A change of the names of a folder that may be lost: `file` is now called `new`, or nothing, and `old` is gone."""

    at: int
    old: str | None
    new: str | None
    file: File


def rename(names: Names, naming: Naming) -> None:
    if naming.old is not None and (naming.new is None or names.get(naming.old) is naming.file):
        names.pop(naming.old, None)
    if naming.new is not None:
        names[naming.new] = naming.file


def reachable(names: Names) -> Names:
    """Without what is in a folder that was lost."""
    return {path: file for path, file in names.items() if {*map(str, Path(path).parents)} <= {*names, "."}}


class Disk:
    """Follows a recorded program step by step."""

    def __init__(self, recorder: Recorder) -> None:
        self.steps = 0
        self.root = recorder.root
        self.names: Names = {}
        """As programs see them."""
        self.durable: Names = {}
        self.pending: list[Naming] = []
        self._of_inode: dict[int, File] = {recorder.top: File(is_folder=True)}
        self._top = self._of_inode[recorder.top]
        self._syncs: dict[int, int] = {}
        for path, (inode, content) in recorder.before.items():
            self._of_inode[inode] = self.names[path] = File(content or b"", is_folder=content is None)
        self.durable.update(self.names)

    def step(self, note: Note) -> None:
        at = self.steps
        self.steps += 1
        match note.kind:
            case "w":
                self._of_inode[note.inode].pending.append(Change(at, note.number, note.data))
            case "t":
                self._of_inode[note.inode].pending.append(Change(at, note.number, None))
            case "f":
                self._syncs[note.number] = at
            case "F":
                self._sync(self._of_inode[note.inode], self._syncs.pop(note.number))
            case "c" | "d":
                self._of_inode[note.inode] = file = File(is_folder=note.kind == "d")
                self._name(Naming(at, None, note.data.decode(), file))
            case "u":
                self._name(Naming(at, note.data.decode(), None, self._of_inode[note.inode]))
            case "r" | "l":
                old, new = note.data.decode().split("\0")
                self._name(Naming(at, old if note.kind == "r" else None, new, self._of_inode[note.inode]))
            case "a":
                pass
            case _:
                raise AssertionError(f"what is {note.kind!r}?")

    def _name(self, naming: Naming) -> None:
        rename(self.names, naming)
        self.pending.append(naming)

    def _sync(self, file: File, before: int) -> None:
        file.sync(before)
        if not file.is_folder:
            return
        there = [naming for naming in self.pending if naming.at < before and file in self._folders(naming)]
        for naming in there:
            rename(self.durable, naming)
        self.pending = [naming for naming in self.pending if naming not in there]

    def _folders(self, naming: Naming) -> list[File]:
        paths = [path for path in (naming.old, naming.new) if path is not None]
        return [self.names.get(path.rpartition("/")[0], self._top) for path in paths]

    def write(self, drawn: random.Random | None = None) -> None:
        """Make the folder what it is after a power cut here; as it is without one, where nothing is `drawn`.

        What is made anew has another inode than when it was recorded, and a lock notes that of the ledger beside it: so
        the notes are told the new ones.
        """
        names = reachable(self.names if drawn is None else self._after_a_cut(drawn))
        for path, found in reversed(list(below(self.root))):
            if path not in names:
                found.rmdir() if found.is_dir() else found.unlink()
        contents: dict[File, bytes] = {}
        for path in sorted(names):
            file, where = names[path], self.root / path
            if file.is_folder:
                where.mkdir(mode=0o700, exist_ok=True)
                continue
            if file not in contents:
                contents[file] = file.now() if drawn is None else file.after_a_cut(drawn)
            where.write_bytes(contents[file])
            where.chmod(0o600)
        paths = {id(file): self.root / path for path, file in names.items()}
        now = {inode: paths[id(file)] for inode, file in self._of_inode.items() if id(file) in paths}
        for path in names:
            if path.endswith(".lock"):
                _name_anew(self.root / path, now)

    def _after_a_cut(self, drawn: random.Random) -> Names:
        names = dict(self.durable)
        kept = list(self.pending)
        how = drawn.choice(("nothing", "all", "first", "any"))
        if how == "nothing":
            kept = []
        elif how == "first":
            kept = kept[: drawn.randint(0, len(kept))]
        elif how == "any":
            kept = [naming for naming in kept if drawn.random() < 0.5]
        for naming in kept:
            rename(names, naming)
        return names


def _name_anew(lock: Path, now: dict[int, Path]) -> None:
    """Have the note in a lock name files by the inodes that they have now."""
    content = lock.read_bytes()
    note = LastCommit.unpacked(content[LAST_COMMIT_AT:])
    if note is None or note.file[1] not in now:
        return
    told = note._replace(lock=identity_of(lock.stat()), file=identity_of(now[note.file[1]].stat())).packed()
    lock.write_bytes(content[:LAST_COMMIT_AT] + told)
