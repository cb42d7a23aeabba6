"""Photographs: decoded wholly, whatever is beside the picture left alone."""

from mmap import mmap
from typing import BinaryIO

import pillow_heif
from PIL import Image, ImageFile

from roadworthy.inspection.kinds import HEIC, JPEG, PNG, WEBP
from roadworthy.inspection.refusals import FileRefused, Reason

MOST_PIXELS = 64_000_000
"""The sharpest phones in common use take 50 megapixels; an A4 page at 600 dpi has 35."""

MOST_FRAMES = 1000

_FORMATS = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP", HEIC: "HEIF"}
_END_OF_PNG = b"IEND\xaeB\x60\x82"

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # ours is asked before anything is decoded
Image.init()  # a confined process can load nothing more
pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False)


def open_image(file: BinaryIO, kind: str) -> Image.Image:
    """The first picture of the file, its pixels not decoded yet, and not too many.

    Raises `FileRefused`, and whatever Pillow raises for what it cannot read.
    """
    image = Image.open(file, formats=(_FORMATS[kind],))
    if image.width * image.height > MOST_PIXELS:
        raise FileRefused(Reason.TOO_LARGE)
    if getattr(image, "n_frames", 1) > MOST_FRAMES:
        raise FileRefused(Reason.TOO_LARGE)
    return image


def check_image(file: BinaryIO, content: mmap, kind: str) -> None:
    """Decode it. Raises `FileRefused`, and whatever Pillow raises for a damaged one."""
    if kind == PNG and content.rfind(_END_OF_PNG) < 0:
        raise FileRefused(Reason.DAMAGED)
    open_image(file, kind).load()
