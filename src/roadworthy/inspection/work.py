"""What is done in a process of its own, with the files it was handed."""

import codecs
from collections.abc import Callable, Mapping
from mmap import ACCESS_READ, mmap
from typing import Any, BinaryIO

from roadworthy.inspection.images import check_image
from roadworthy.inspection.kinds import ARCHIVE, DOC, IMAGES, kind_of, refuse_second_kind
from roadworthy.inspection.office import check_archive
from roadworthy.inspection.pages import render
from roadworthy.inspection.pdf import check_pdf
from roadworthy.inspection.photographs import join
from roadworthy.inspection.refusals import FileRefused, Reason
from roadworthy.inspection.word import check_word

Answer = dict[str, Any]

_START = 512

_ENCODINGS = ("ascii", "cp437", "cp1252", "iso8859-1", "utf-8-sig", "utf-16", "utf-16-le")
for _encoding in _ENCODINGS:
    codecs.lookup(_encoding)  # a confined process can load nothing more


def answer_to(task: str, files: list[BinaryIO], number: int) -> Answer:
    """What `Inspector` asked for, or why the file is refused. Never raises an `Exception`.

    The number is of a page, or of bytes, for who wants one.
    """
    try:
        return _TASKS[task](files, number)
    except FileRefused as refused:
        return {"refused": refused.reason.name}
    except MemoryError:
        return {"refused": Reason.TOO_LARGE.name}
    except Exception as error:  # noqa: BLE001 -- parsers raise whatever they like
        return {"refused": Reason.DAMAGED.name, "raised": type(error).__name__}


def _inspect(files: list[BinaryIO], number: int) -> Answer:  # noqa: ARG001
    (file,) = files
    kind = _kind(file)
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        refuse_second_kind(file, content, kind)
        file.seek(0)
        if kind in IMAGES:
            check_image(file, content, kind)
        elif kind == ARCHIVE:
            kind = check_archive(file)
        elif kind == DOC:
            check_word(content)
        else:
            check_pdf(file, content)
    return {"type": kind}


def _join(files: list[BinaryIO], most_bytes: int) -> Answer:
    *photographs, target = files
    join([(file, _kind(file)) for file in photographs], target, most_bytes)
    target.flush()
    return {}


def _page(files: list[BinaryIO], number: int) -> Answer:
    file, target = files
    target.write(render(file, _kind(file), number))
    target.flush()
    return {}


def _kind(file: BinaryIO) -> str:
    kind = kind_of(file.read(_START))
    file.seek(0)
    return kind


_TASKS: Mapping[str, Callable[[list[BinaryIO], int], Answer]] = {
    "inspect": _inspect,
    "join": _join,
    "page": _page,
}
