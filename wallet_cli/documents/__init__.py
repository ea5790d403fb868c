"""A statement as a document: one HTML file, or a PDF, for the command line and the server.

Each needs a Statement whose ledger is open (operations/statements.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from wallet_cli.operations.statements import Statement

HTML_TYPE = "text/html; charset=utf-8"
PDF_TYPE = "application/pdf"


def as_html(statement: Statement) -> Iterator[str]:
    """The page in parts, in constant memory: no script, no external content, printable.

    Raises StorageError, before the first part, if the lines do not add up.
    """
    from wallet_cli.documents.html import parts

    return parts(statement)


def as_pdf(statement: Statement) -> bytes:
    """The same as PDF: equal bytes for equal statements, if the same fonts are installed.

    Raises InvalidInput if its package is not installed, or if there are too many lines; StorageError as `as_html`
    does.
    """
    from wallet_cli.documents.pdf import drawn

    return drawn(statement)
