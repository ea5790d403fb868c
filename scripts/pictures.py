"""Draw docs/pictures: what a terminal shows of a session that is really run, as SVG.

    python scripts/pictures.py            write all of them
    python scripts/pictures.py --check    say which show something else than the program prints now

Times are given in the commands, and the ledger's time zone and the locale are fixed, so that a picture is the same
whenever it is drawn.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from xml.sax.saxutils import escape

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"

CELL, LINE, SIZE = 8.4, 20, 14
"""The width of a cell, the height of a line and of the letters, in pixels."""
MARGIN = 16

THEME = TerminalTheme(
    (250, 250, 248),
    (36, 41, 47),
    [
        (36, 41, 47),
        (176, 32, 36),
        (17, 99, 41),
        (125, 86, 0),
        (9, 80, 174),
        (130, 80, 223),
        (27, 108, 120),
        (87, 96, 106),
    ],
    [
        (87, 96, 106),
        (176, 32, 36),
        (17, 99, 41),
        (125, 86, 0),
        (9, 80, 174),
        (130, 80, 223),
        (27, 108, 120),
        (36, 41, 47),
    ],
)
BY_ASHA = (
    "import time; time.time_ns = lambda: 1_795_780_800 * 10**9;"
    " from wallet_cli.domain import actors; actors.by_terminal = lambda _: 'terminal asha';"
    " from wallet_cli.__main__ import start; start()"
)
"""The program, run by Asha on any machine and any day, at noon of 2026-11-27 (UTC)."""

PROMPT = Style.parse("bold green")


class Picture(NamedTuple):
    """Command lines as a terminal of so many columns shows them, on the ledger that those before have made."""

    columns: int
    before: tuple[str, ...]
    shown: tuple[str, ...]
    environ: Mapping[str, str] = MappingProxyType({})


SHOP = (
    "wallet register 9886977544 --name 'Asha Rao' -q",
    "wallet create 1 --minimum-balance 20 -q",
    "wallet register 9845012345 --name Ravi -q",
    "wallet create 2 --minimum-balance -1000 -q",
    "wallet credit 1 2500 --note Salary --at 2026-11-02T10:15+05:30 -q",
    "wallet debit 1 120.50 --note 'Rice, lentils' --at 2026-11-03T17:40+05:30 -q",
    "wallet debit 2 650 --note 'Monthly groceries' --at 2026-11-05T09:00+05:30 -q",
    "wallet debit 1 49.90 --note 'Phone bill' --key bill-1041 --at 2026-11-09T18:05+05:30 -q",
)
SCREENS = {
    "balance": "wallet balance 1",
    "transactions": "wallet tx list 1",
    "wallets": "wallet list",
    "statement": "wallet statement 1 --from 2026-11 --to 2026-11",
    "chart": "wallet chart 1 --from 2026-11-01 --to 2026-11-09",
}
ELSEWHERE = {
    "germany": {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "TZ": "Europe/Berlin"},
    "dumb": {"TERM": "dumb"},
}
PICTURED = {
    "session": Picture(
        80,
        (),
        (
            "wallet register 9886977544 --name Asha -q",
            "wallet create 9886977544 --minimum-balance 20 -q",
            "wallet credit 1 2500 --note Salary --at 2026-11-02T10:15 -q",
            "wallet debit 1 120.50 --note Groceries --at 2026-11-03T17:40",
            "wallet debit 1 2400",
            "wallet tx list 1",
            "wallet balance 1",
            "wallet verify",
        ),
    ),
    **{
        f"{name}-{columns}": Picture(columns, SHOP, (command,))
        for name, command in SCREENS.items()
        for columns in (40, 80, 200)
    },
    **{
        f"transactions-{name}": Picture(80, SHOP, (SCREENS["transactions"],), environ)
        for name, environ in ELSEWHERE.items()
    },
}


class Shop:
    """A folder with a ledger, and a terminal in it."""

    def __init__(self, folder: str, before: tuple[str, ...]) -> None:
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "HOME": folder,
            "WALLET_DB": f"{folder}/shop.db",
            "WALLET_TIMEZONE": "Asia/Kolkata",
            "WALLET_PAGER": "cat",
            "TZ": "Asia/Kolkata",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
        }
        for command in before:
            self.run(command, 80, {})

    def run(self, command: str, columns: int, environ: Mapping[str, str]) -> str:
        """What a terminal gets from a command line, stdout and stderr together."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", BY_ASHA, *shlex.split(command)[1:]],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=self.environ | environ,
            cwd=self.folder,
        )
        os.close(follower)
        written = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # how Linux says that nobody has the terminal any more
                break
            if not part:
                break
            written += part
        os.close(leader)
        process.wait()
        return written.decode().replace("\r\n", "\n").replace(self.folder, "…")

    def lines(self, picture: Picture) -> list[Text]:
        """What the terminal shows, a line each."""
        lines: list[Text] = []
        for command in picture.shown:
            lines.append(Text.assemble(("$ ", PROMPT), (command, Style(bold=True))))
            lines += AnsiDecoder().decode(self.run(command, picture.columns, picture.environ).strip("\n"))
        return lines


def spans(line: Text) -> Iterator[tuple[str, Style]]:
    """The parts of a line that look alike."""
    for segment in line.render(Console(width=1000)):
        if segment.text and not segment.control:
            yield segment.text, segment.style or Style()


def css(color: Color) -> str:
    return color.get_truecolor(THEME).hex


def drawn(lines: list[Text]) -> str:
    """An SVG of the lines. Each part says how wide it is, so that columns stay aligned in whatever font is there."""
    columns = max(cell_len(line.plain) for line in lines)
    width, height = columns * CELL + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    shapes = []
    for row, line in enumerate(lines):
        column = 0
        for text, style in spans(line):
            look = f' fill="{css(style.color)}"' if style.color and not style.color.is_default else ""
            look += ' font-weight="bold"' if style.bold else ""
            look += ' opacity="0.65"' if style.dim else ""
            look += ' text-decoration="underline"' if style.underline else ""
            for words in re.finditer(r"\S+(?: \S+)*", text):
                at = column + cell_len(text[: words.start()])
                shapes.append(
                    f'<text x="{MARGIN + at * CELL:.1f}" y="{MARGIN + (row + 0.75) * LINE:.1f}"'
                    f' textLength="{cell_len(words[0]) * CELL:.1f}"{look}>{escape(words[0])}</text>'
                )
            column += cell_len(text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height}" width="{width:.1f}"'
        f' height="{height}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{THEME.background_color.hex}" stroke="#d0d7de"/>\n'
        f'<g font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="{SIZE}"'
        f' fill="{THEME.foreground_color.hex}">\n' + "\n".join(shapes) + "\n</g>\n</svg>\n"
    )


def pictures() -> Iterator[tuple[str, str]]:
    """The name and the SVG of each picture."""
    for before in dict.fromkeys(picture.before for picture in PICTURED.values()):
        with tempfile.TemporaryDirectory() as folder:
            shop = Shop(folder, before)
            for name, picture in PICTURED.items():
                if picture.before == before:
                    yield name, drawn(shop.lines(picture))


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    stale = [f"docs/pictures/{file.name} is of nothing" for file in PICTURES.iterdir() if file.stem not in PICTURED]
    for name, svg in pictures():
        file = PICTURES / f"{name}.svg"
        if "--check" not in sys.argv:
            file.write_text(svg, "utf-8")
        elif not file.is_file() or file.read_text("utf-8") != svg:
            stale.append(f"docs/pictures/{name}.svg is stale: run python scripts/pictures.py")
    if stale:
        sys.exit("\n".join(stale))
