"""Pages as pictures, for those who look at a file without opening it."""

from typing import BinaryIO

import pypdfium2

from roadworthy.inspection.kinds import IMAGES, PDF
from roadworthy.inspection.photographs import VIEWED, jpeg, upright
from roadworthy.inspection.refusals import FileRefused, Reason


def render(file: BinaryIO, kind: str, number: int) -> bytes:
    """The page of that number, from 1, of a PDF, or the one photograph, as a JPEG.

    Raises `FileRefused` where there is none, and what Pillow and pypdfium2 raise for a damaged one.
    """
    if kind == PDF:
        return _render_pdf(file, number)
    if kind not in IMAGES:
        raise FileRefused(Reason.NOT_TAKEN)
    if number != 1:
        raise FileRefused(Reason.NO_SUCH_PAGE)
    side, quality = VIEWED
    return jpeg(upright(file, kind, side), quality).content


def _render_pdf(file: BinaryIO, number: int) -> bytes:
    side, quality = VIEWED
    with pypdfium2.PdfDocument(file) as document:
        if not 1 <= number <= len(document):
            raise FileRefused(Reason.NO_SUCH_PAGE)
        page = document[number - 1]
        scale = side / max(1.0, *page.get_size())
        return jpeg(page.render(scale=scale).to_pil().convert("RGB"), quality).content
