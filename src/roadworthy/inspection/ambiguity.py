"""Where qpdf, by which we look at PDFs, warns that it made something of what it could not read.

Other readers may make something else of it: after a text of wrong letters, say, they see an entry
where qpdf sees a text. Warnings of what misleads no reader are let pass, any other is a refusal.
"""

import re

from pikepdf import Pdf

from roadworthy.inspection.refusals import FileRefused, Reason

_OF_THE_TABLE = (
    "file is damaged",
    "Attempting to reconstruct",
    "xref not found",
    "can't find startxref",
    "can't find PDF header",
    "startxref was more than 1024 bytes before end of file",
    "lacks /Size key",
    r"invalid xref entry \(obj=",
    "accepting invalid xref table entry",
    "whitespace seen before xref",
    "reported number of objects",
    "a common error handled correctly by qpdf and most other applications",
    "Cross-reference stream data has the wrong size",
    "expected (?:[0-9]+ [0-9]+|n n) obj",
    "not found in file after regenerating",
    "loop detected following xref tables",
)
_OF_STREAMS_AND_PAGES = (
    "expected endstream",
    "attempting to recover stream length",
    "recovered stream length",
    "input stream is complete",
    "error decoding stream data",
    "Resources is missing",
    "MediaBox is undefined",
    "is direct; converting to indirect",
    "appears more than once in the pages tree",
    "treating bad indirect reference",
    "empty object treated as null",
)
HARMLESS_AS_LISTED = re.compile("|".join((*_OF_THE_TABLE, *_OF_STREAMS_AND_PAGES)))
"""What qpdf may say of a file: its table is not relied on, nor where streams end."""
HARMLESS = re.compile("|".join(_OF_STREAMS_AND_PAGES))
"""And of one with a table of ours."""
HARMLESS_BEFORE_MORE = re.compile("|".join((*_OF_STREAMS_AND_PAGES, "expected endobj")))
"""And of one where more may follow an object."""
_TWICE = re.compile("dictionary has duplicated key (/[^;]*);")
_HARMLESS_TWICE = frozenset(
    f"/{name}"
    for name in (
        *("PageMode", "PageLayout", "Lang", "Title", "Author", "Subject", "Keywords"),
        *("Creator", "Producer", "CreationDate", "ModDate"),
    )
)


def refuse_ambiguous(pdf: Pdf, harmless: re.Pattern[str]) -> None:
    """Raise `FileRefused` where qpdf made of what it has read what others may not: a text of wrong
    letters, say, after which it takes for a text what others take for an entry.
    """
    for warning in map(str, pdf.get_warnings()):
        twice = _TWICE.search(warning)
        if twice[1] not in _HARMLESS_TWICE if twice else not harmless.search(warning):
            raise FileRefused(Reason.DAMAGED)
