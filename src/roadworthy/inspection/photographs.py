"""Photographs made ready to be read by people: upright, of moderate size, several as one PDF."""

import io
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

import pikepdf
from PIL import Image, ImageOps

from roadworthy.inspection.images import open_image
from roadworthy.inspection.kinds import IMAGES
from roadworthy.inspection.refusals import FileRefused, Reason

MOST_JOINED_BYTES = 18 * 1024 * 1024
"""However much we take: it shall be read on a phone."""
PAGE_BYTES = 4096
"""What a PDF has for a page beside its picture, and more than that."""

PAGE_POINTS = 842  # the longer side of A4

_GRADES = ((3000, 85), (2200, 80), (1600, 75), (1100, 60), (800, 50))
"""Pixels of the longer side, and JPEG quality: the first with which it is small enough."""


VIEWED = (2000, 85)
"""Pixels of the longer side, and JPEG quality, of what is made to be looked at."""


class Picture(NamedTuple):
    """A JPEG."""

    width: int
    height: int
    colours: str
    content: bytes


def upright(file: BinaryIO, kind: str, side: int) -> Image.Image:
    """The photograph as it was meant to be seen, at most `side` pixels long, grey or RGB.

    Raises `FileRefused`, and whatever Pillow raises for a damaged one.
    """
    if kind not in IMAGES:
        raise FileRefused(Reason.NOT_A_PHOTOGRAPH)
    image = open_image(file, kind)
    image.draft("RGB", (side, side))  # a JPEG is made smaller as it is decoded
    image.load()
    image = _in_colours(image)
    image.thumbnail((side, side))
    return _on_white(ImageOps.exif_transpose(image))


def _in_colours(image: Image.Image) -> Image.Image:
    """In 8 bits of grey or of colours, which can be made smaller."""
    if image.mode.startswith("I"):
        return image.point(lambda level: level / 256).convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in {"L", "RGB"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image).convert("RGB")


def jpeg(image: Image.Image, quality: int) -> Picture:
    """It as a JPEG, without anything that a camera wrote beside the picture."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality, exif=b"", icc_profile=None)
    return Picture(image.width, image.height, image.mode, content.getvalue())


def join(photographs: Sequence[tuple[BinaryIO, str]], target: BinaryIO, most_bytes: int) -> None:
    """Make one PDF of them, a page each, of at most `most_bytes`: the same of the same.

    Raises `FileRefused`.
    """
    share = min(MOST_JOINED_BYTES, most_bytes) // len(photographs) - PAGE_BYTES
    with pikepdf.new() as pdf:
        for file, kind in photographs:
            _add_page(pdf, _within(share, file, kind))
        pdf.save(target, deterministic_id=True)


def _within(most_bytes: int, file: BinaryIO, kind: str) -> Picture:
    image = upright(file, kind, _GRADES[0][0])
    for side, quality in _GRADES:
        image.thumbnail((side, side))
        picture = jpeg(image, quality)
        if len(picture.content) <= most_bytes:
            return picture
    raise FileRefused(Reason.TOO_LARGE)


def _add_page(pdf: pikepdf.Pdf, picture: Picture) -> None:
    scale = PAGE_POINTS / max(picture.width, picture.height)
    width, height = (max(3.0, round(side * scale, 2)) for side in picture[:2])
    page = pdf.add_blank_page(page_size=(width, height))
    image = pikepdf.Stream(
        pdf,
        picture.content,
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=picture.width,
        Height=picture.height,
        ColorSpace=pikepdf.Name.DeviceGray if picture.colours == "L" else pikepdf.Name.DeviceRGB,
        BitsPerComponent=8,
        Filter=pikepdf.Name.DCTDecode,
    )
    page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Picture=image))
    page.Contents = pdf.make_stream(f"q {width} 0 0 {height} 0 0 cm /Picture Do Q".encode())
