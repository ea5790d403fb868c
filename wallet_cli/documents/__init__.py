"""A statement as a document: one file of HTML, or a PDF. Both faces give them out.

Each takes a Statement while its snapshot is open (operations/statements.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from wallet_cli.operations.statements import Statement

HTML_TYPE = "text/html; charset=utf-8"
PDF_TYPE = "application/pdf"


def as_html(statement: Statement) -> Iterator[str]:
    """The page in parts as they come, in constant memory: no script, nothing from elsewhere, fit for paper.

    Raises StorageError, before the first part, where the lines do not add up.
    """
    from wallet_cli.documents.html import parts

    return parts(statement)


def as_pdf(statement: Statement) -> bytes:
    """The same as PDF: equal bytes for equal statements, as long as the same fonts are installed.

    Raises InvalidInput where the package for it is not installed, or where there are too many lines; StorageError as
    `as_html` does.
    """
    from wallet_cli.documents.pdf import drawn

    return drawn(statement)
