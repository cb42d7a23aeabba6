"""Pages as pictures, for those who look at a file without opening it."""

from collections.abc import Iterator
from typing import BinaryIO

import pypdfium2

from roadworthy.inspection.kinds import IMAGES, PDF
from roadworthy.inspection.photographs import VIEWED, jpeg, upright
from roadworthy.inspection.refusals import FileRefused, Reason


def render(file: BinaryIO, kind: str, most: int) -> Iterator[bytes]:
    """The first `most` pages of a PDF, or the one photograph, as JPEGs.

    Raises `FileRefused`, and what Pillow and pypdfium2 raise for a damaged one.
    """
    side, quality = VIEWED
    if kind in IMAGES:
        yield jpeg(upright(file, kind, side), quality).content
    elif kind == PDF:
        yield from _render_pdf(file, most)
    else:
        raise FileRefused(Reason.NOT_TAKEN)


def _render_pdf(file: BinaryIO, most: int) -> Iterator[bytes]:
    side, quality = VIEWED
    with pypdfium2.PdfDocument(file) as document:
        for number in range(min(most, len(document))):
            page = document[number]
            scale = side / max(1.0, *page.get_size())
            yield jpeg(page.render(scale=scale).to_pil().convert("RGB"), quality).content
            page.close()
