"""Files as drivers and attackers hand them in, made from nothing."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import pikepdf
import pillow_heif
from pikepdf import Array, Dictionary, Name, Pdf
from PIL import Image

pillow_heif.register_heif_opener()

PDF = "application/pdf"
JPEG = "image/jpeg"
PNG = "image/png"
HEIC = "image/heic"
WEBP = "image/webp"
DOC = "application/msword"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OPEN = "urn:oasis:names:tc:opendocument:xmlns"
HTML = b"<html><script>alert(1)</script></html>"


def picture(
    kind: str = "JPEG",
    size: tuple[int, int] = (120, 80),
    mode: str = "RGB",
    colour: str | int = "teal",
    **options: object,
) -> bytes:
    image = Image.new(mode, size, colour)
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def noise(side: int) -> bytes:
    """A JPEG that cannot be made much smaller."""
    content = io.BytesIO()
    Image.effect_noise((side, side), 100).convert("RGB").save(content, "JPEG", quality=95)
    return content.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    content = io.BytesIO()
    frames[0].save(content, kind, save_all=True, append_images=frames[1:])
    return content.getvalue()


def png_of(width: int, height: int, pixels: bytes) -> bytes:
    """A grey PNG whose header says what it likes."""
    header = struct.pack("!IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))
        for name, data in chunks
    )


def pdf(change: Callable[[Pdf], None] = lambda _: None, pages: int = 1, **options: object) -> bytes:
    """A PDF with an empty page, and what `change` does to it."""
    content = io.BytesIO()
    with pikepdf.new() as made:
        for _ in range(pages):
            made.add_blank_page(page_size=(595, 842))
        change(made)
        made.save(content, **options)  # type: ignore[arg-type]
    return content.getvalue()


def hidden(change: Callable[[Pdf], None]) -> bytes:
    """The same, all of it in compressed object streams."""
    return pdf(change, object_stream_mode=pikepdf.ObjectStreamMode.generate)


def raw_pdf(*objects: bytes, tail: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1, of which the first is the catalogue."""
    body = b"%PDF-1.7\n"
    places = []
    for number, each in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n" % (len(objects) + 1, len(body))
    return body + tail + table + trailer + b"%%EOF\n"


def action(kind: str, **keys: Any) -> Dictionary:
    return Dictionary(S=Name(kind), **keys)


def in_link(act: Dictionary) -> Callable[[Pdf], None]:
    """Done by whoever clicks on the page."""

    def change(made: Pdf) -> None:
        link = Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=Array([0, 0, 9, 9]), A=act)
        made.pages[0].Annots = Array([made.make_indirect(link)])

    return change


def in_annotation(kind: str, **keys: Any) -> Callable[[Pdf], None]:
    def change(made: Pdf) -> None:
        note = Dictionary(Type=Name.Annot, Subtype=Name(kind), Rect=Array([0, 0, 9, 9]), **keys)
        made.pages[0].Annots = Array([made.make_indirect(note)])

    return change


def in_root(key: str, make: Callable[[Pdf], object]) -> Callable[[Pdf], None]:
    def change(made: Pdf) -> None:
        made.Root[key] = make(made)

    return change


def flate_bomb(megabytes: int) -> Callable[[Pdf], None]:
    """A page whose content is a thousand times as large as the file."""

    def change(made: Pdf) -> None:
        made.pages[0].Contents = _stream(made, deflated_zeros(megabytes), Name.FlateDecode)

    return change


def faulty_streams(count: int, packed: bytes, *filters: Name) -> Callable[[Pdf], None]:
    """Streams that are decoded up to the fault behind what is packed."""

    def change(made: Pdf) -> None:
        made.Root.Streams = Array(
            [_stream(made, packed + b"%d" % each, Array(filters)) for each in range(count)]
        )

    return change


def deflated_zeros(megabytes: int, *, whole: bool = True) -> bytes:
    """Without its end, what follows is a fault."""
    squeeze = zlib.compressobj(9)
    megabyte = bytes(1024 * 1024)
    packed = b"".join(squeeze.compress(megabyte) for _ in range(megabytes))
    return packed + (squeeze.flush() if whole else squeeze.flush(zlib.Z_FULL_FLUSH) + b"\xff")


def _stream(made: Pdf, packed: bytes, filters: Name | Array) -> pikepdf.Stream:
    content = pikepdf.Stream(made, b"")
    content.write(packed, filter=filters)
    return content


def archive(parts: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, part in parts.items():
            made.writestr(zipfile.ZipInfo(name) if name == "mimetype" else name, part)
    return content.getvalue()


def archive_comment(content: bytes, comment: bytes) -> bytes:
    """The archive with a comment at its end."""
    return content[:-2] + struct.pack("<H", len(comment)) + comment


def docx(
    parts: Mapping[str, bytes] | None = None,
    body: str = "<w:p><w:r><w:t>Drives well</w:t></w:r></w:p>",
    relations: str = "",
    main: str = f"{DOCX}.main+xml",
    types: str = "",
) -> bytes:
    declared = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}"/>{types}</Types>'
    )
    return archive(
        {
            "[Content_Types].xml": declared.encode(),
            "_rels/.rels": relationship("officeDocument", "word/document.xml"),
            "word/document.xml": f'<w:document xmlns:w="{WORD}">{body}</w:document>'.encode(),
            "word/_rels/document.xml.rels": relationships(relations),
            **(parts or {}),
        }
    )


def relationships(inner: str) -> bytes:
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{package}">{inner}</Relationships>'.encode()


def relation(kind: str, target: str, mode: str = "External") -> str:
    return (
        f'<Relationship Id="r1" Type="{RELATIONS}/{kind}" Target="{target}" TargetMode="{mode}"/>'
    )


def relationship(kind: str, target: str) -> bytes:
    return relationships(relation(kind, target, "Internal"))


def odt(
    parts: Mapping[str, bytes] | None = None, inner: str = "<text:p>Drives well</text:p>"
) -> bytes:
    return archive(
        {
            "mimetype": ODT.encode(),
            "content.xml": (
                "<office:document-content"
                f' xmlns:office="{OPEN}:office:1.0" xmlns:text="{OPEN}:text:1.0"'
                f' xmlns:draw="{OPEN}:drawing:1.0" xmlns:script="{OPEN}:script:1.0"'
                ' xmlns:xlink="http://www.w3.org/1999/xlink">'
                f"<office:body><office:text>{inner}</office:text></office:body>"
                "</office:document-content>"
            ).encode(),
            "META-INF/manifest.xml": (
                b'<manifest xmlns="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
            ),
            **(parts or {}),
        }
    )


def doc(*names: str, flags: int = 0, mark: int = 0xA5EC, text: bytes = b"") -> bytes:
    """A compound file with a WordDocument, and other streams of these names."""
    document = _word_document(flags, mark, text)
    return compound({"WordDocument": document, **dict.fromkeys(names, b"")})


def short_doc(text: bytes = b"", ole: bytes = bytes(20)) -> bytes:
    """As LibreOffice writes it, its text in small sectors."""
    return compound({}, {"WordDocument": _word_document(text=text), "\1Ole": ole})


def _word_document(flags: int = 0, mark: int = 0xA5EC, text: bytes = b"") -> bytes:
    return struct.pack("<H8xH", mark, flags) + bytes(100) + text


def scattered(content: bytes) -> bytes:
    """A DOC of ours whose second and third sector of text lie in the other order."""
    table = list(struct.unpack_from("<128I", content, 512))
    start = next(at for at in range(1024, len(content), 512) if content[at : at + 2] == b"\xec\xa5")
    first = start // 512 - 1
    table[first], table[first + 2], table[first + 1] = first + 2, first + 1, table[first + 2]
    second, third = start + 512, start + 1024
    return (
        content[:512]
        + struct.pack("<128I", *table)
        + content[1024:second]
        + content[third : third + 512]
        + content[second:third]
        + content[third + 512 :]
    )


_END, _FREE, _TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def compound(streams: Mapping[str, bytes], small: Mapping[str, bytes] | None = None) -> bytes:
    """[MS-CFB], with sectors of 512 bytes: the table, the directory, each stream, the small ones.

    They have sectors of 64 bytes, and a table of their own.
    """
    small = small or {}
    table, entries, sectors = [_TABLE], list[bytes](), b""
    directory = -(-(len(streams) + len(small) + 1) // 4)
    table += [*range(2, directory + 1), _END]
    for name, content in streams.items():
        padded = content + bytes(-len(content) % 4096 or (4096 if not content else 0))
        entries.append(_entry(name, 2, len(table), len(padded)))
        table += _chain(len(table), len(padded) // 512)
        sectors += padded
    small_table, smalls = list[int](), b""
    for name, content in small.items():
        entries.append(_entry(name, 2, len(small_table), len(content)))
        padded = content + bytes(-len(content) % 64)
        small_table += _chain(len(small_table), len(padded) // 64)
        smalls += padded
    smalls_at = len(table) if smalls else _END
    smalls += bytes(-len(smalls) % 512)
    table += _chain(len(table), len(smalls) // 512)
    small_table_at = len(table) if smalls else _END
    if smalls:
        table.append(_END)
        smalls += struct.pack("<128I", *small_table, *[_FREE] * (128 - len(small_table)))
    entries.insert(0, _entry("Root Entry", 5, smalls_at, max(0, len(smalls) - 512)))
    entries += [bytes(128)] * (directory * 4 - len(entries))
    table += [_FREE] * (128 - len(table))
    header = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
        + struct.pack("<9I", 0, 1, 1, 0, 4096, small_table_at, bool(smalls), _END, 0)
        + struct.pack("<109I", 0, *[_FREE] * 108)
    )
    return header + struct.pack("<128I", *table) + b"".join(entries) + sectors + smalls


def _chain(first: int, count: int) -> list[int]:
    return [*range(first + 1, first + count), _END] if count else []


def _entry(name: str, kind: int, first: int, size: int) -> bytes:
    text = name.encode("utf-16-le")
    return (
        text.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(text) + 2, kind, 1, _FREE, _FREE, _FREE)
        + bytes(36)
        + struct.pack("<IQ", first, size)
    )
