"""A statement as a document: one HTML file, or a PDF, for the command line and the server.

Each needs a Statement whose ledger is open (operations/statements.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wallet_cli.operations.statements import Statement

HTML_TYPE = "text/html; charset=utf-8"
PDF_TYPE = "application/pdf"

MOST_SHOWN = 20
"""How many characters without a font are told."""


def as_html(statement: Statement) -> Iterator[str]:
    """The page in parts, in constant memory: no script, no external content, printable.

    Raises StorageError, before the first part, if the lines do not add up.
    """
    from wallet_cli.documents.html import parts

    return parts(statement)


def as_pdf(statement: Statement, notify: Callable[[str], None] = lambda _: None) -> bytes:
    """The same as PDF: equal bytes for equal statements, if the same fonts are installed.

    `notify` is told which characters no font has: they are written as `\\u0938`. Raises InvalidInput if its package is
    not installed, or if there are too many lines; StorageError as `as_html` does.
    """
    from wallet_cli.documents.fonts import Shelf
    from wallet_cli.documents.pdf import drawn

    shelf = Shelf()
    pdf = drawn(statement, shelf)
    if shelf.lacking:
        some = "".join(sorted(shelf.lacking)[:MOST_SHOWN])
        notify(
            f"no installed font has these characters, so the PDF has their numbers: {some}; install a font for them"
            " (on Debian: fonts-noto-core, fonts-droid-fallback), or use -o html"
        )
    return pdf
