"""Files: which are taken as what, and which are refused for which reason."""

import io
import zlib
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf, Stream, String

from roadworthy.inspection import Reason
from tests.support.files import (
    DOC,
    DOCX,
    HEIC,
    HTML,
    JPEG,
    ODT,
    PDF,
    PNG,
    WEBP,
    WORD,
    action,
    animated,
    archive,
    archive_comment,
    compound,
    deflated_zeros,
    doc,
    docx,
    faulty_streams,
    flate_bomb,
    hidden,
    in_annotation,
    in_link,
    in_root,
    odt,
    pdf,
    picture,
    png_of,
    raw_pdf,
    relation,
    relationships,
    scattered,
    short_doc,
)


class Taken(NamedTuple):
    name: str
    make: Callable[[], bytes]
    content_type: str


class Refused(NamedTuple):
    name: str
    make: Callable[[], bytes]
    reason: Reason


_AS_THEY_ARE: dict[str, Any] = {
    "compress_streams": False,
    "stream_decode_level": pikepdf.StreamDecodeLevel.none,
}
"""Streams as they were made."""

_WORDS_OF_XML = b"""<?xpacket begin=''?><x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='a'>
<rdf:RDF><rdf:Description rdf:about='' only='1' once='1' online='a'/></rdf:RDF></x:xmpmeta>
<v:shadow on='t'/><svg xmlns='http://www.w3.org/2000/svg'><image/></svg>"""

_JAVASCRIPT = action("/JavaScript", JS=String("app.alert(1)"))


def _links(made: Pdf) -> None:
    in_link(action("/URI", URI=String("https://www.gov.uk/")))(made)
    made.Root.Address = action("/URI", URI=String("file:///C:/Users/me/www.gov.uk.com"))
    made.Root.OpenAction = Array([made.pages[0].obj, Name.Fit])


def _font_named_aa(made: Pdf) -> None:
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    made.pages[0].Resources = Dictionary(Font=Dictionary(AA=font))


_COMMENT = '<?xml version="1.0"?><body xmlns="http://www.w3.org/1999/xhtml"><p>Signed.</p></body>'
_CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"
_PAGES = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
_IN_STREAMS: dict[str, Any] = {"object_stream_mode": pikepdf.ObjectStreamMode.generate}
_FOR_ALL = pikepdf.Encryption(owner="secret", user="")


def _notes(made: Pdf) -> object:
    return Array([made.make_indirect(Dictionary(Note=String(f"{number}"))) for number in range(50)])


def _saved_again() -> bytes:
    """As editors do: what changed, and a table of that, stand after all that was there."""
    before = hidden(_links)
    with pikepdf.open(io.BytesIO(before)) as made:
        root = made.Root.objgen[0]
    begins = int(before[before.rindex(b"startxref") + 9 :].split()[0])
    table = len(before) + len(b"98 0 obj\n<</Kept(x)>>\nendobj\n")
    return before + (
        b"98 0 obj\n<</Kept(x)>>\nendobj\nxref\n98 1\n%010d 00000 n \n"
        b"trailer\n<</Size 99/Root %d 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n"
        % (len(before), root, begins, table)
    )


def _for_owners_only() -> bytes:
    return pdf(encryption=pikepdf.Encryption(owner="secret", user=""))


def _theme() -> bytes:
    return archive(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": b"<Relationships/>",
            "theme/theme/theme1.xml": b"<a:theme/>",
        }
    )


_DEFINED = {
    "menu.xml": b'<!DOCTYPE a PUBLIC "-//OpenOffice.org//DTD Manifest 1.0//EN" "a.dtd"><a/>',
    "svg.xml": b'<!DOCTYPE a PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/a.dtd"><a/>',
}

_FIELDS_OUT = (
    ' INCLUDEPICTURE "http://example.com/a.png" \\d',
    ' INCLUDETEXT "\\\\\\\\example.com\\\\a"',
    ' LINK Excel.Sheet.8 "\\\\\\\\example.com\\\\a.xls" "A!R1C1" \\a',
    ' RD "\\\\\\\\example.com\\\\a.docx"',
)
_FIELDS_WITHIN = (
    ' INCLUDEPICTURE "https://example.com/a.png" \\* MERGEFORMATINET',
    ' INCLUDEPICTURE "C:\\\\Users\\\\me\\\\a.png" \\d',
    ' LINK Word.Document.12 "C:\\\\Users\\\\a.docx" \\a',
)


def _with_field(instruction: str) -> bytes:
    return docx(
        body=f"<w:p><w:fldChar/><w:instrText>{instruction[:24]}</w:instrText>"
        f"<w:instrText>{instruction[24:]}</w:instrText><w:fldChar/></w:p>"
    )


def _with_old_field(encoding: str, instruction: str) -> bytes:
    return doc(text=f"\x13{instruction}\x14\x15".encode(encoding))


TAKEN = [
    Taken("a JPEG", picture, JPEG),
    Taken("a progressive JPEG", lambda: picture(progressive=True), JPEG),
    Taken("a CMYK JPEG", lambda: picture(mode="CMYK", colour=0), JPEG),
    Taken("a PNG", lambda: picture("PNG"), PNG),
    Taken("a PNG with transparency", lambda: picture("PNG", mode="RGBA"), PNG),
    Taken("a PNG of 16 bits", lambda: picture("PNG", mode="I;16", colour=300), PNG),
    Taken("a PNG that moves", lambda: animated("PNG"), PNG),
    Taken("a WebP", lambda: picture("WEBP"), WEBP),
    Taken("a WebP that moves", lambda: animated("WEBP"), WEBP),
    Taken("a HEIC", lambda: picture("HEIF"), HEIC),
    Taken("a photograph with a film after it", lambda: picture() + b"\0\0\0\x18ftypmp42" * 9, JPEG),
    Taken("two photographs in one", lambda: picture() + picture(colour="red"), JPEG),
    Taken("a JPEG with words of XML", partial(picture, comment=_WORDS_OF_XML), JPEG),
    Taken("a PDF", pdf, PDF),
    Taken("a PDF in object streams", lambda: hidden(_links), PDF),
    Taken("a PDF with links to the web", lambda: pdf(_links), PDF),
    Taken(
        "a PDF that opens on its page",
        lambda: pdf(
            in_root(
                "/OpenAction", lambda made: action("/GoTo", D=Array([made.pages[0].obj, Name.Fit]))
            )
        ),
        PDF,
    ),
    Taken("a PDF with a font named AA", lambda: pdf(_font_named_aa), PDF),
    Taken("a PDF that nobody may print, and all may read", _for_owners_only, PDF),
    Taken("a PDF that was changed later", lambda: pdf() + b"\n% and so on\n%%EOF\n", PDF),
    Taken(
        "a PDF with a comment by Acrobat",
        lambda: pdf(in_annotation("/Text", RC=String(_COMMENT), Contents=String("a"))),
        PDF,
    ),
    Taken(
        "a PDF with a link in wide letters",
        lambda: pdf(in_link(action("/URI", URI=String("https://example.com/\u4e2d")))),
        PDF,
    ),
    Taken(
        "a PDF with links to a site of its own",
        lambda: pdf(in_root("/URI", lambda _: Dictionary(Base=String("https://example.com/")))),
        PDF,
    ),
    Taken("a PDF that was saved again, with what was before", _saved_again, PDF),
    Taken(
        "a PDF without a table",
        lambda: (
            b"%%PDF-1.4\n1 0 obj%bendobj\n2 0 obj%bendobj\n3 0 obj%bendobj\n"
            b"trailer<</Root 1 0 R/Size 4>>\n%%%%EOF\n" % (_CATALOGUE, _PAGES, _PAGE)
        ),
        PDF,
    ),
    Taken(
        "a PDF that refers to numbers and the like",
        lambda: raw_pdf(_CATALOGUE, _PAGES, _PAGE, b"12", b"true", b"null", b"1.5", b"(text)"),
        PDF,
    ),
    Taken(
        "a PDF in object streams that opens on its page",
        lambda: raw_pdf(
            _CATALOGUE,
            _PAGES,
            _PAGE,
            b"<</S/GoTo/D[3 0 R/Fit]>>",
            tail=_stream_of_objects(
                {20: b"<</Type/Catalog/OpenAction 4 0 R>>", 21: b"1", 22: b"1", 23: b"<</Note(a)>>"}
            ),
        ),
        PDF,
    ),
    Taken(
        "a PDF with an object that is nothing", lambda: raw_pdf(_CATALOGUE, _PAGES, _PAGE, b""), PDF
    ),
    Taken(
        "a PDF with names and texts in letters of long ago",
        lambda: raw_pdf(
            _CATALOGUE, _PAGES, _PAGE, b"<</S/#DCberschrift/T<EFBBBFFF>/#DC/Colour#23185>>"
        ),
        PDF,
    ),
    Taken(
        "a PDF with a font named AA in an object stream",
        lambda: raw_pdf(
            _CATALOGUE,
            _PAGES,
            _PAGE,
            tail=_stream_of_objects(
                {
                    9: b"<</Font<</AA 10 0 R/AB<</Type/Font/FontDescriptor 2 0 R>>>>>>",
                    10: b"<</S/Transparency/Type/Font/FontDescriptor 11 0 R>>",
                }
            ),
        ),
        PDF,
    ),
    Taken(
        "a PDF with rights to files in it",
        lambda: raw_pdf(_CATALOGUE, _PAGES, _PAGE, b"<</Type/TransformParams/EF[/Create/Delete]>>"),
        PDF,
    ),
    *(
        Taken(f"a PDF {name}", partial(pdf, in_root("/Notes", _notes), **options), PDF)
        for name, options in {
            "for the web": {"linearize": True},
            "for the web, in object streams": {"linearize": True, **_IN_STREAMS},
            "for its owner": {"encryption": _FOR_ALL},
            "for its owner, in object streams": {"encryption": _FOR_ALL, **_IN_STREAMS},
            "for its owner and the web": {
                "encryption": _FOR_ALL,
                "linearize": True,
                **_IN_STREAMS,
            },
            "for its owner as of old": {
                "encryption": pikepdf.Encryption(owner="a", user="", R=3, aes=False, metadata=False)
            },
        }.items()
    ),
    Taken(
        "a PDF with a stream that ends in a fault",
        lambda: pdf(
            faulty_streams(1, deflated_zeros(1, whole=False), Name.FlateDecode), **_AS_THEY_ARE
        ),
        PDF,
    ),
    Taken("a DOCX", docx, DOCX),
    Taken(
        "a DOCX with a link to the web",
        lambda: docx(relations=relation("hyperlink", "https://example.com/")),
        DOCX,
    ),
    Taken(
        "a DOCX made from a template on somebody's computer",
        lambda: docx(
            {
                "word/_rels/settings.xml.rels": relationships(
                    relation("attachedTemplate", "file:///C:\\Users\\me\\CV.dotx")
                )
            }
        ),
        DOCX,
    ),
    Taken(
        "a DOCX with a picture that was once in a mail",
        lambda: docx(
            body='<v:imagedata xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="a" o:href="cid:b"/>'
        ),
        DOCX,
    ),
    Taken(
        "a DOCX with a link to a file",
        lambda: docx(relations=relation("hyperlink", "file:///C:\\Users\\me\\CV.docx")),
        DOCX,
    ),
    Taken("a DOCX with a picture", lambda: docx({"word/media/image1.png": picture("PNG")}), DOCX),
    Taken(
        "a DOCX with a printer's settings",
        lambda: docx(
            {"word/printerSettings/printerSettings1.bin": b"\\\0\\\0p\0"},
            types='<Default Extension="bin" ContentType="application/vnd.openxmlformats-'
            'officedocument.wordprocessingml.printerSettings"/>',
        ),
        DOCX,
    ),
    Taken("a DOCX with a field", lambda: docx(body="<w:instrText>PAGE</w:instrText>"), DOCX),
    Taken("an ODT", odt, ODT),
    Taken("an ODT with definitions of old", partial(odt, _DEFINED), ODT),
    Taken(
        "an ODT with a link to the web",
        lambda: odt(inner='<text:a xlink:href="https://example.com/">x</text:a>'),
        ODT,
    ),
    Taken(
        "an ODT with the empty file of LibreOffice",
        lambda: odt({"Configurations2/accelerator/current.xml": b""}),
        ODT,
    ),
    Taken("a DOC", doc, DOC),
    Taken("a DOC that is short", lambda: short_doc(b"I drive well" * 200), DOC),
    Taken("a DOC with the theme of Word 2007", partial(doc, text=_theme()), DOC),
    Taken("a DOC in scattered sectors", lambda: scattered(doc(text=b"I drive well")), DOC),
    *(
        Taken(f"a DOCX with the field{field}", partial(_with_field, field), DOCX)
        for field in _FIELDS_WITHIN
    ),
    *(
        Taken(
            f"a DOC with the field{field} in {encoding}",
            partial(_with_old_field, encoding, field),
            DOC,
        )
        for field in _FIELDS_WITHIN
        for encoding in ("ascii", "utf-16-le")
    ),
    Taken("a DOC that speaks of HTML", lambda: doc(text=b"I wrote <html> once"), DOC),
]

_ENDS = b"\xfe\xff\xff\xff" * 2  # of the chains of two streams
_TWO = Reason.TWO_KINDS
_TYPE = Reason.NOT_TAKEN
_LARGE = Reason.TOO_LARGE
_ACTIVE = Reason.ACTIVE
_DAMAGED = Reason.DAMAGED

OTHER_TYPES = [
    Refused("nothing", lambda: b"", Reason.EMPTY),
    Refused("one byte", lambda: b"%", _TYPE),
    Refused("text", lambda: b"I drive well", _TYPE),
    Refused("an SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', _TYPE),
    Refused("HTML", lambda: HTML, _TYPE),
    Refused("a GIF", lambda: picture("GIF"), _TYPE),
    Refused("a TIFF", lambda: picture("TIFF"), _TYPE),
    Refused("an AVIF", lambda: picture("AVIF"), _TYPE),
    Refused("a film", lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", _TYPE),
    Refused("a program", lambda: b"\x7fELF" + bytes(100), _TYPE),
    Refused("RTF", lambda: b"{\\rtf1 I drive well}", _TYPE),
    Refused("a ZIP", lambda: archive({"a": b"b"}), _TYPE),
    Refused(
        "a ZIP that says so like an ODT", lambda: archive({"mimetype": b"application/zip"}), _TYPE
    ),
    Refused(
        "a spreadsheet",
        lambda: docx(
            main="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
        ),
        _TYPE,
    ),
    Refused("an old spreadsheet", lambda: compound({"Workbook": b"x"}), _TYPE),
    Refused("a DOC of before Word 97", lambda: doc(mark=0xA5DC), _TYPE),
    Refused(
        "a DOCX whose document is not there",
        lambda: archive({"[Content_Types].xml": b"<Types/>"}),
        _TYPE,
    ),
]


def _in_sectors(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


POLYGLOTS = [
    Refused("a JPEG, and HTML", lambda: picture() + HTML, _TWO),
    Refused("a PNG, and HTML", lambda: picture("PNG") + b"<ScRiPt >", _TWO),
    Refused("a JPEG with HTML in its comment", lambda: picture(comment=HTML), _TWO),
    Refused("a WebP, and a ZIP", lambda: picture("WEBP") + archive({"a": b"b"}), _TWO),
    Refused("a HEIC, and HTML", lambda: picture("HEIF") + HTML, _TWO),
    Refused("a JPEG, and a PDF", lambda: picture() + pdf(), _TWO),
    *(
        Refused(
            f"a PNG, and a PDF that begins with {start!r}",
            lambda start=start: picture("PNG") + pdf().replace(b"%PDF-1.", start, 1),  # type: ignore[misc]
            _TWO,
        )
        for start in (b"%PDF-3.", b"%PDF-1,", b"%PDF-\n", b"%!PS-Adobe-3.0 PDF-1.")
    ),
    Refused("HTML, and a PDF", lambda: HTML + pdf(), _TYPE),
    Refused("a PDF after a line", lambda: b"\n" + pdf(), _TYPE),
    Refused(
        "a PDF with HTML in a comment", lambda: pdf().replace(b"\n", b"\n%" + HTML + b"\n", 1), _TWO
    ),
    Refused("a PDF, and HTML", lambda: pdf() + HTML, _TWO),
    Refused("a PDF, and a ZIP", lambda: pdf() + archive({"a": b"b"}), _TWO),
    *(
        Refused(f"a JPEG with {html!r} in its comment", partial(picture, comment=html), _TWO)
        for html in (
            b"<img src=x onerror=alert(1)>",
            b"<svg/onload=alert(1)>",
            b"<details open title='>'ontoggle = alert(1)>",
            b"<a href=' JavaScript:alert(1)'>",
            b"<embed src=a>",
        )
    ),
    Refused(
        "a PDF with HTML that acts in a comment",
        lambda: pdf() + b"%<svg onload=alert(1)>\n%%EOF\n",
        _TWO,
    ),
    Refused(
        "a DOCX with HTML that acts in its comment",
        lambda: archive_comment(docx(), b"<svg onload=alert(1)>"),
        _TWO,
    ),
    Refused("a DOC, and a ZIP", lambda: _in_sectors(doc() + archive({"a.class": b"b"})), _TWO),
    Refused("a DOC with a ZIP in it", lambda: doc(text=archive({"a.class": b"b"})), _TWO),
    Refused("a DOC, and a PDF", lambda: _in_sectors(doc() + pdf()), _TWO),
    Refused("a DOCX, and HTML", lambda: HTML.join((docx()[:30], docx()[30:])), _TWO),
]


def _embedded(made: Pdf) -> None:
    made.attachments["a.exe"] = b"MZ"


def _file(made: Pdf) -> object:
    return made.make_stream(b"MZ", Type=Name.EmbeddedFile)


def _data_elsewhere(made: Pdf) -> None:
    made.pages[0].Contents = Stream(made, b"", F=String("\\\\example.com\\a"))


def _kept_names(_: Pdf) -> object:
    return Dictionary(JavaScript=Dictionary(Names=Array([String("a"), _JAVASCRIPT])))


ACTIVE_PDFS: list[tuple[str, Callable[[Pdf], None]]] = [
    ("JavaScript at opening", in_root("/OpenAction", lambda _: _JAVASCRIPT)),
    ("JavaScript by name", in_root("/Names", _kept_names)),
    (
        "JavaScript after going to a page",
        in_root("/OpenAction", lambda _: action("/GoTo", D=String("a"), Next=_JAVASCRIPT)),
    ),
    ("JavaScript on a link", in_link(_JAVASCRIPT)),
    (
        "JavaScript after a link",
        in_link(action("/URI", URI=String("https://a"), Next=Array([_JAVASCRIPT]))),
    ),
    (
        "a visit to a page at opening",
        in_root("/OpenAction", lambda _: action("/URI", URI=String("https://a"))),
    ),
    (
        "something as a page is seen",
        in_annotation("/Link", AA=Dictionary(PV=action("/URI", URI=String("https://a")))),
    ),
    (
        "something before it is saved",
        in_root("/AA", lambda _: Dictionary(WS=action("/Named", N=Name.Print))),
    ),
    ("a program started", in_link(action("/Launch", F=String("cmd.exe")))),
    ("a form sent", in_link(action("/SubmitForm", F=String("https://a")))),
    ("data read", in_link(action("/ImportData", F=String("a.fdf")))),
    ("another file opened", in_link(action("/GoToR", F=String("a.pdf")))),
    ("an embedded file opened", in_link(action("/GoToE", D=String("a")))),
    ("a film started", in_link(action("/Movie"))),
    ("a sound made", in_link(action("/Sound"))),
    ("a rendition", in_link(action("/Rendition", OP=0))),
    ("an attached file", _embedded),
    ("an embedded file that nothing names", in_root("/Hidden", _file)),
    ("a file on the page", in_annotation("/FileAttachment")),
    ("rich media", in_annotation("/RichMedia")),
    ("a film", in_annotation("/Movie")),
    ("a sound", in_annotation("/Sound")),
    ("a screen", in_annotation("/Screen")),
    ("a model", in_annotation("/3D")),
    (
        "an XFA form",
        in_root("/AcroForm", lambda _: Dictionary(Fields=Array([]), XFA=String("<xdp/>"))),
    ),
    ("data in another file", _data_elsewhere),
    *(
        (f"a link to {target}", in_link(action("/URI", URI=String(target))))
        for target in (
            "file:///c:/a/calc.exe",
            "file:///c:/a/calc.exe. .",
            "file:///c:/a.exe::$DATA",
            "file:///a.SH?b",
            "c:\\a.exe",
            "\\\\host\\share\\a.settingcontent-ms",
            "file:///c:/a.exe\0.txt",
            "file:///c:/a.exe%00.txt",
            "file:///c:/a.exeabc\x04",
            "java\x1ben\x1bscript:a",
            "../a.exe",
            "url:javascript:a",
            "search:query=\u4e2d",
            "data:text/html,a",
            "view-source:javascript:a",
        )
    ),
    ("a link to a place in a program", in_link(action("/URI", URI=String("file:///c:/a.exe#a")))),
    (
        "a link with no letter in it",
        in_link(action("/URI", URI=String(b"\xef\xbb\xbfjavascript:\xff"))),
    ),
    (
        "links that a folder is put before",
        in_root("/URI", lambda _: Dictionary(Base=String("file:///c:/"))),
    ),
    (
        "links that a script is put before",
        in_root("/URI", lambda _: Dictionary(Base=String("javascript:"))),
    ),
    ("a link to a script", in_link(action("/URI", URI=String("java\tscript:alert(1)")))),
    ("a thread of another file", in_link(action("/Thread", F=String("a.pdf"), D=0))),
    (
        "a page of another file",
        in_root("/Form", lambda _: Dictionary(Ref=Dictionary(F=String("a.pdf"), Page=0))),
    ),
]

_SUPERSEDED = b"9 0 obj\n<</S /J#61vaScript /JS(app.alert\\(1\\))>>\nendobj\n"


_AT_OPENING = b"1 0 obj\n<</Type/Catalog/Pages 2 0 R/OpenAction 9 0 R>>\nendobj\n"
_SCRIPT = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"


def _after(*pieces: bytes) -> bytes:
    """A PDF that is whole, and more after it that its table, which is the last, does not list."""
    return raw_pdf(_CATALOGUE, _PAGES, _PAGE) + b"".join(pieces) + b"startxref\nzzz\n%%EOF\n"


def _beside(*pieces: bytes) -> bytes:
    """A PDF whose table does not list them."""
    return raw_pdf(_CATALOGUE, _PAGES, _PAGE, tail=b"".join(pieces))


def _stream_of_objects(held: dict[int, bytes], number: int = 50) -> bytes:
    places, packed = b"", b""
    for each, content in held.items():
        places += b"%d %d " % (each, len(packed))
        packed += content + b" "
    content = zlib.compress(places + packed)
    says = b"<</Type/ObjStm/N %d/First %d/Filter/FlateDecode/Length %d>>" % (
        len(held),
        len(places),
        len(content),
    )
    return b"%d 0 obj\n%b\nstream\n%b\nendstream\nendobj\n" % (number, says, content)


def _twice(entry: bytes, again: bytes) -> bytes:
    """A link that says twice what it does, of which most readers see but one."""
    link = b"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<<%b%b>>>>" % (entry, again)
    return raw_pdf(_CATALOGUE, _PAGES, _PAGE[:-2] + b"/Annots[%b]>>" % link)


BESIDE_THE_TABLE = {
    "JavaScript": _after(_AT_OPENING, b"9 0 obj\n", _SCRIPT, b"\nendobj\n"),
    "JavaScript with a comment between": _after(
        _AT_OPENING, b"9 0 obj\n<</S%x\n/JavaScript/JS(a)>>\nendobj\n"
    ),
    "JavaScript with a NUL between": _after(
        _AT_OPENING, b"9 0 obj\n<</S\0/JavaScript/JS(a)>>\nendobj\n"
    ),
    "JavaScript by a name elsewhere": _after(
        _AT_OPENING, b"8 0 obj\n/JavaScript\nendobj\n9 0 obj\n<</S 8 0 R/Next 7 0 R>>\nendobj\n"
    ),
    "JavaScript in a stream of objects": _after(
        _stream_of_objects({1: b"<</Type/Catalog/Pages 2 0 R/OpenAction 9 0 R>>", 9: _SCRIPT})
    ),
    "a visit to a page at opening": _beside(
        _stream_of_objects({1: b"<</Type/Catalog/Pages 2 0 R/OpenAction 9 0 R>>"}),
        _stream_of_objects({9: b"<</S/URI/URI(https://a)>>"}, number=51),
    ),
    "something before it is saved": _beside(
        _stream_of_objects({1: b"<</Type/Catalog/Pages 2 0 R/AA 9 0 R>>"}),
        b"9 0 obj\n<</WS<</S/Named/N/Print>>>>\nendobj\n",
    ),
    "a visit to a page at opening, spelt in numbers": _beside(
        b"1 0 obj\n<</Type/Catalog/Pages 2 0 R/Open#41ction 9 0 R>>\nendobj\n",
        b"9 0 obj\n<</S/URI/URI(https://a)>>\nendobj\n",
    ),
    "a program started by a text": _beside(b"9 0 obj\n<</S(Launch)/F(a)>>\nendobj\n"),
    "something as a page is seen": _beside(
        b"8 0 obj\n<</Type/Page/AA 9 0 R>>\nendobj\n",
        _stream_of_objects({9: b"<</O 10 0 R>>", 10: b"<</S/URI/URI(https://a)>>"}),
    ),
    "a page of another file": _beside(
        b"8 0 obj\n<</Subtype/Form/Ref 9 0 R>>\nendobj\n",
        _stream_of_objects({9: b"<</F(a.pdf)/Page 0>>"}),
    ),
    "JavaScript in its trailer": _after(b"trailer\n<</Size 4/Root 1 0 R/Info<</JS(a)>>>>\n"),
    "a file": _after(
        b"1 0 obj\n<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<<>>>>>>\nendobj\n"
    ),
    "a file in a stream": _after(
        b"8 0 obj\n<</Type/EmbeddedFile/Length 2>>\nstream\nMZ\nendstream\nendobj\n"
    ),
    "a link to a script, elsewhere": _after(b"8 0 obj\n(javascript:alert\\(1\\))\nendobj\n"),
    "a program started, and then said again": _twice(b"/S/Launch/F(a)", b"/S/URI/URI(https://a)"),
}


def _holding(says: bytes, content: bytes) -> bytes:
    """One with a stream of objects."""
    head = b"50 0 obj\n<</Type/ObjStm%b/Length %d>>\n" % (says, len(content))
    return raw_pdf(
        _CATALOGUE, _PAGES, _PAGE, tail=head + b"stream\n%b\nendstream\nendobj\n" % content
    )


_PACKED = b"9 0 <<>>"
_ONE = b"/N 1/First 4"
_GARBAGE = b" foo" * 40

READ_IN_TWO_WAYS = {
    "a number too high": _after(b"99999999999999 0 obj\n<<>>\nendobj\n"),
    "an object nobody can read to its end": _after(
        b"9 0 obj\n<</Fields[]%b>>\nendobj\n" % _GARBAGE
    ),
    "a header of blanks": _after(b"9" + b" " * 5000 + b"0 obj\n<<>>\nendobj\n"),
    "a name cut by a NUL": raw_pdf(_CATALOGUE[:-2] + b"/Names<</A#00x 1>>>>", _PAGES, _PAGE),
    "a name spelt with no number": raw_pdf(_CATALOGUE[:-2] + b"/Names<</A#7g 1>>>>", _PAGES, _PAGE),
    "a table at no number": raw_pdf(_CATALOGUE, _PAGES, _PAGE) + b"startxref\n166x\n%%EOF\n",
    "objects by a number elsewhere": _holding(b"/N 21 0 R/First 4", _PACKED),
    "objects unpacked by one key or another": _holding(
        _ONE + b"/Filter/FlateDecode/DP<</Predictor 12>>", zlib.compress(_PACKED)
    ),
    "objects unpacked by some of the lists": _holding(
        _ONE + b"/Filter[/FlateDecode]/DecodeParms<</Predictor 12>>", zlib.compress(_PACKED)
    ),
    "objects unpacked in another way": _holding(_ONE + b"/Filter/ASCIIHexDecode", b"3920>"),
    "fewer objects than are said": _holding(b"/N 2/First 4", _PACKED),
    "objects within an object": _holding(b"/N 2/First 8", b"9 0 8 0 <<>>"),
    "a comment among the places": _holding(b"/N 1/First 8", b"%99 99\n9 0 <<>>"),
    "something where no object is": _holding(b"/N 0/First 4", _PACKED),
    "an object with a comment in its header": _beside(b"9 % and so on\n0 obj\n<<>>\nendobj\n"),
    "an object with a long comment in its header": _beside(
        b"9 0%" + b"x" * 100 + b"\nobj\n<<>>\nendobj\n"
    ),
    **{
        f"a header that is {header!r}": _beside(header + b"\n<<>>\nendobj\n")
        for header in (
            *(b"9 +0 obj", b"9- 0 obj", b"9 0.0 obj", b"9. 0 obj", b"9 0obj"),
            *(b"9\xff0 obj", b"9 0\x80obj", b"9 0 ob#6a", b"9 0 #6f#62j"),
        )
    },
    "a text of wrong letters before an entry": raw_pdf(
        _CATALOGUE[:-2] + b"/X<z/Y(>/OpenAction<</S/Named/N/Print>>%)\n>>", _PAGES, _PAGE
    ),
    "a key given twice": raw_pdf(
        _CATALOGUE, _PAGES, _PAGE[:-2] + b"/Annots[<</A<</URI(a)/URI(b)>>>>]>>"
    ),
    "a key with what some take for a blank": raw_pdf(
        _CATALOGUE[:-2] + b"/Names<</JavaScript\x80<<>>>>>>", _PAGES, _PAGE
    ),
    "a name with what some take for a blank": raw_pdf(
        _CATALOGUE[:-2] + b"/A<</S/Launch\xff/F(a)>>>>", _PAGES, _PAGE
    ),
    "an object that is a reference": raw_pdf(_CATALOGUE, _PAGES, _PAGE, b"3 0 R"),
    "a type that is elsewhere": _beside(
        b"62 0 obj\n/ObjStm\nendobj\n50 0 obj\n<</Type 62 0 R/N 1/First 4/Length 9>>\n"
        b"stream\n9 0 <<>> \nendstream\nendobj\n62 0 obj\nnull\nendobj\n"
    ),
    "an object after a very long comment": _beside(
        b"9 0%" + b"x" * 5000 + b"\nobj\n<<>>\nendobj\n"
    ),
    **{
        f"an opening by the number {number!r}": _beside(
            b"8 0 obj\n<</Type/Catalog/Pages 2 0 R/OpenAction %b 0 R>>\nendobj\n" % number
        )
        for number in (b"00000000009", b"+9", b"9.0")
    },
    "what is on a page given twice": raw_pdf(
        _CATALOGUE, _PAGES, _PAGE[:-2] + b"/Annots[]/Annots[]>>"
    ),
    "objects in a stream that is longer than it says": _beside(
        b"50 0 obj\n<</Type/ObjStm/N 1/First 4/Length 7>>\nstream\n9 0 <<>>\nendstream\nendobj\n"
    ),
    "a trailer without the file's encryption": (
        pdf(encryption=_FOR_ALL) + b"trailer<</Root 1 0 R/Size 9>>\n%%EOF\n"
    ),
    "a stream of objects that calls itself a table": _beside(
        b"50 0 obj\n<</Type/XRef/Size 4/N 1/First 4/Length 8>>\n"
        b"stream\n9 0 <<>>\nendstream\nendobj\n"
    ),
    "a table that does not say it is one": _beside(
        b"50 0 obj\n<</W[1 1 1]/Root 1 0 R/Length 3>>\nstream\nabc\nendstream\nendobj\n"
    ),
    "a table that says so in numbers": _beside(
        b"50 0 obj\n<</Type/X#52ef/W[1 1 1]/Root 1 0 R/Length 3>>\nstream\nabc\nendstream\nendobj\n"
    ),
    **{
        f"ciphers by {cf!r}": pdf(encryption=_FOR_ALL).replace(b"/CFM /AESV3", cf)
        for cf in (b"/CFM /V2   ", b"/CFM(AESV3)", b"/XFM /AESV3")
    },
    "what is ciphered by no filter": pdf(encryption=_FOR_ALL).replace(
        b"/StrF /StdCF", b"/StrF(StdCF)"
    ),
    "what is ciphered for another generation": pdf(encryption=_FOR_ALL).replace(
        b"\n3 0 obj", b"\n3 1 obj"
    ),
    "a place whose last number is cut": _holding(
        b"/N 2/First 7", b"7 0 8 1" + b"5 (xxxxxxxxxxxx<<>>)"
    ),
    "a number too high, in a stream of objects": _holding(b"/N 1/First 13", b"4294967304 0 <<>>"),
    "objects unpacked by a number elsewhere": _beside(
        _stream_of_objects({9: b"<<>>"}).replace(
            b"/FlateDecode", b"/FlateDecode/DecodeParms<</Columns 8 0 R>>"
        )
    ),
    "a catalogue outside any object": _beside(b"<</Root<</Type/Catalog>>>>\n"),
    "an encryption outside any trailer": _beside(b"<</Encrypt 9 0 R>>\n"),
    "a comment before what opens it": _beside(
        b"1 0 obj\n<</Type/Catalog/OpenAction%\n9 0 R>>\nendobj\n"
    ),
    "objects in what is no stream of objects": _beside(
        b"50 0 obj\n<</Type/XRef/N 1/First 4/Length 9>>\nstream\n9 0 <<>> \nendstream\nendobj\n"
    ),
    "something before its first object": _holding(b"/N 1/First 4", b"9 3 <> <<>>"),
    "a trailer after a comment": _after(b"trailer%\n<</Size 4/Root 1 0 R>>\n"),
    "an encryption of another trailer": _after(b"trailer<</Size 4/Root 1 0 R/Encrypt<<>>>>\n"),
}


def _locked() -> bytes:
    return pdf(encryption=pikepdf.Encryption(owner="secret", user="secret"))


def _vast(side: int | Decimal, made: Pdf) -> None:
    made.Root.Picture = made.make_stream(b"", Subtype=Name.Image, Width=side, Height=side)


PDFS = [
    *(Refused(f"a PDF with {name}", partial(pdf, change), _ACTIVE) for name, change in ACTIVE_PDFS),
    *(
        Refused(f"a PDF with {name}, in an object stream", partial(hidden, change), _ACTIVE)
        for name, change in ACTIVE_PDFS
    ),
    Refused(
        "a PDF with JavaScript that its table leaves out",
        lambda: raw_pdf(_CATALOGUE, _PAGES, _PAGE, tail=_SUPERSEDED),
        _ACTIVE,
    ),
    Refused(
        "a PDF with JavaScript spelt otherwise",
        lambda: raw_pdf(
            b"<</Type/Catalog/Pages 2 0 R/Open#41ction<</#53/J#61vaScript>>>>", _PAGES, _PAGE
        ),
        _ACTIVE,
    ),
    *(
        Refused(f"a PDF with {name}, beside its table", lambda made=made: made, _ACTIVE)  # type: ignore[misc]
        for name, made in BESIDE_THE_TABLE.items()
    ),
    Refused(
        "a PDF that says twice what a link does, in an object stream",
        lambda: raw_pdf(
            _CATALOGUE,
            _PAGES,
            _PAGE,
            tail=_stream_of_objects({9: b"<</S/Launch/F(a)/S/URI/URI(https://a)>>"}),
        ),
        _ACTIVE,
    ),
    Refused(
        "a PDF with a stream of objects that cannot be read, beside its table",
        lambda: _after(b"50 0 obj\n<</Type/ObjStm/N 2/First 9>>\nstream\nx\nendstream\nendobj\n"),
        _DAMAGED,
    ),
    Refused(
        "a PDF that others take for an encrypted one",
        lambda: _after(b"trailer\n<</Size 4/Root 1 0 R/Encrypt 9 0 R>>\n"),
        _DAMAGED,
    ),
    *(
        Refused(f"a PDF that readers may see otherwise: {name}", lambda made=made: made, _DAMAGED)  # type: ignore[misc]
        for name, made in READ_IN_TWO_WAYS.items()
    ),
    Refused(
        "a PDF of more objects than there can be", lambda: _beside(b"endobj " * 200_001), _LARGE
    ),
    Refused("a PDF that asks for a password", _locked, Reason.ENCRYPTED),
    Refused("a PDF without a page", lambda: pdf(pages=0), _DAMAGED),
    Refused("a PDF with too many pages", lambda: pdf(pages=301), Reason.TOO_MANY_PAGES),
    Refused(
        "a PDF whose pages are their own",
        lambda: raw_pdf(_CATALOGUE, b"<</Type/Pages/Count 1/Kids[2 0 R]>>"),
        _DAMAGED,
    ),
    Refused("a PDF that is nothing but its first line", lambda: b"%PDF-1.7\n%%EOF\n", _DAMAGED),
    Refused("a PDF that unpacks to 300 MB", lambda: pdf(flate_bomb(300)), _LARGE),
    Refused(
        "a PDF that unpacks to 1200 MB, all of it in vain",
        lambda: pdf(
            faulty_streams(6, deflated_zeros(200, whole=False), Name.FlateDecode), **_AS_THEY_ARE
        ),
        _LARGE,
    ),
    Refused(
        "a PDF whose streams are in vain after being unpacked twice",
        lambda: pdf(
            faulty_streams(
                1,
                zlib.compress(deflated_zeros(200, whole=False)),
                Name.FlateDecode,
                Name.FlateDecode,
            ),
            **_AS_THEY_ARE,
        ),
        _DAMAGED,
    ),
    *(
        Refused(
            f"a PDF with a picture {side} pixels wide and high",
            partial(pdf, partial(_vast, side)),
            _LARGE,
        )
        for side in (90_000, Decimal("90000.0"))
    ),
    Refused(
        "a PDF nested without end",
        lambda: raw_pdf(_CATALOGUE, _PAGES, _PAGE, b"[" * 200_000),
        _LARGE,
    ),
]

IMAGES = [
    Refused("a PNG of 50000 by 50000", lambda: png_of(50_000, 50_000, bytes(1000)), _LARGE),
    Refused("a PNG with fewer rows than it says", lambda: png_of(100, 100, bytes(1000)), _DAMAGED),
    Refused("a PNG of no size", lambda: png_of(0, 0, b""), _DAMAGED),
    Refused("a JPEG that only begins like one", lambda: b"\xff\xd8\xff\xe0" + bytes(100), _DAMAGED),
    Refused(
        "a WebP that only begins like one", lambda: b"RIFF\x10\0\0\0WEBPVP8 " + bytes(100), _DAMAGED
    ),
    Refused(
        "a HEIC that only begins like one", lambda: picture("HEIF")[:64] + bytes(100), _DAMAGED
    ),
]

_ENTITIES = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'


def _flagged_encrypted() -> bytes:
    content = bytearray(docx())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _dde_in_dat(types: str) -> bytes:
    field = f'<w:fldSimple xmlns:w="{WORD}" w:instr="DDEAUTO c:\\a.exe"/>'
    return docx({"word/a.dat": field.encode()}, types=types)


OFFICE = [
    Refused(
        "a DOCX with macros",
        lambda: docx(main="application/vnd.ms-word.document.macroEnabled.main+xml"),
        _ACTIVE,
    ),
    Refused(
        "a DOCX with a macro project",
        lambda: docx({"word/vbaProject.bin": compound({"VBA": b"x"})}),
        _ACTIVE,
    ),
    Refused(
        "a DOCX with what is called a macro project",
        lambda: docx({"other/VBAProject.bin": b"x"}),
        _ACTIVE,
    ),
    Refused(
        "a DOCX that asks a database",
        lambda: docx(body='<w:fldSimple w:instr=" DATABASE \\\\d a"/>'),
        _ACTIVE,
    ),
    Refused(
        "a DOCX that is merged with a database",
        lambda: docx(body='<w:mailMerge><w:connectString w:val="Provider=a"/></w:mailMerge>'),
        _ACTIVE,
    ),
    Refused(
        "a DOCX with an embedded spreadsheet",
        lambda: docx({"word/embeddings/a.xlsx": archive({"a": b"b"})}),
        _ACTIVE,
    ),
    Refused("a DOCX with a control", lambda: docx({"word/activeX/a.xml": b"<a/>"}), _ACTIVE),
    Refused("a DOCX with an archive", lambda: docx({"a.bin": archive({"a": b"b"})}), _ACTIVE),
    Refused("a DOCX with a program", lambda: docx({"a.png": b"MZ" + bytes(99)}), _ACTIVE),
    Refused(
        "a DOCX whose template is elsewhere",
        lambda: docx(
            {
                "word/_rels/settings.xml.rels": relationships(
                    relation("attachedTemplate", "https://example.com/a.dotm")
                )
            }
        ),
        _ACTIVE,
    ),
    Refused(
        "a DOCX whose template is on a share",
        lambda: docx(relations=relation("attachedTemplate", "\\\\example.com\\a.dotm")),
        _ACTIVE,
    ),
    Refused(
        "a DOCX whose template is on a share, as a file",
        lambda: docx(relations=relation("attachedTemplate", "file://example.com/a.dotm")),
        _ACTIVE,
    ),
    Refused(
        "a DOCX whose template is on a share, with more strokes",
        lambda: docx(relations=relation("attachedTemplate", "file:////example.com/a.dotm")),
        _ACTIVE,
    ),
    *(
        Refused(
            f"a DOCX whose template is at {target}",
            partial(docx, relations=relation("attachedTemplate", target)),
            _ACTIVE,
        )
        for target in (
            "file:///%5c%5cexample.com/a.dotm",
            "file://a:@example.com/a.dotm",
            "ht&#9;tp://example.com/a.dotm",
        )
    ),
    *(
        Refused(
            f"a DOCX with a link to {what}",
            partial(docx, relations=relation("hyperlink", target)),
            _ACTIVE,
        )
        for what, target in (
            ("a script", "javascript:alert(1)"),
            ("a search of Windows", "search-ms:query=x"),
            ("a troubleshooter of Windows", "ms-msdt:/id x"),
        )
    ),
    Refused(
        "a DOCX whose old picture is elsewhere",
        lambda: docx(
            body='<v:imagedata xmlns:v="urn:schemas-microsoft-com:vml" src="http://example.com/a"/>'
        ),
        _ACTIVE,
    ),
    Refused(
        "a DOCX whose picture is elsewhere",
        lambda: docx(relations=relation("image", "http://example.com/a.png")),
        _ACTIVE,
    ),
    Refused(
        "a DOCX with an object",
        lambda: docx(relations=relation("oleObject", "a.bin", "Internal")),
        _ACTIVE,
    ),
    Refused(
        "a DOCX with HTML in it",
        lambda: docx(relations=relation("aFChunk", "a.html", "Internal")),
        _ACTIVE,
    ),
    Refused(
        "a DOCX that asks another program",
        lambda: docx(body='<w:fldSimple w:instr=" DDEAUTO c:\\a.exe"/>'),
        _ACTIVE,
    ),
    Refused(
        "a DOCX that asks another program, in pieces",
        lambda: docx(
            body="<w:fldChar/><w:instrText> DD</w:instrText>"
            "<w:r><w:instrText>EAUTO a</w:instrText></w:r>"
        ),
        _ACTIVE,
    ),
    *(
        Refused(
            f"a DOCX that asks another program, as {types}", partial(_dde_in_dat, types), _ACTIVE
        )
        for types in (
            '<Override PartName="/word/a.dat" ContentType="application/vnd.x+xml"/>',
            '<Default Extension="DAT" ContentType="application/xml; charset=utf-8"/>',
        )
    ),
    Refused(
        "a DOCX whose XML is defined elsewhere",
        lambda: docx({"word/a.xml": b'<!DOCTYPE a SYSTEM "http://example.com/a"><a/>'}),
        _ACTIVE,
    ),
    Refused("a DOCX with entities", lambda: docx({"word/document.xml": _ENTITIES}), _ACTIVE),
    Refused(
        "a DOCX that unpacks to 250 MB",
        lambda: docx({"word/a.xml": b" " * (250 * 1024 * 1024)}),
        _LARGE,
    ),
    Refused(
        "a DOCX that unpacks to 1000 times its size",
        lambda: docx({"word/a.bin": bytes(20 * 1024 * 1024)}),
        _LARGE,
    ),
    Refused(
        "a DOCX of 3000 parts",
        lambda: docx({f"word/{number}.bin": b"" for number in range(3000)}),
        _LARGE,
    ),
    Refused("a DOCX with a part above it", lambda: docx({"../../a": b"b"}), _DAMAGED),
    Refused("a DOCX with a part at the root", lambda: docx({"/etc/a": b"b"}), _DAMAGED),
    Refused("a DOCX with a part twice", lambda: docx({"word/Document.xml": b"<a/>"}), _DAMAGED),
    Refused("a DOCX whose parts are encrypted", _flagged_encrypted, Reason.ENCRYPTED),
    Refused(
        "a DOCX with a password",
        lambda: compound({"EncryptedPackage": b"x", "EncryptionInfo": b"x"}),
        Reason.ENCRYPTED,
    ),
    Refused("a DOCX with XML that is none", lambda: docx({"word/a.xml": b"<a>"}), _DAMAGED),
    Refused("an ODT with Basic", lambda: odt({"Basic/Standard/a.xml": b"<a/>"}), _ACTIVE),
    Refused("an ODT with scripts", lambda: odt({"Scripts/python/a.py": b""}), _ACTIVE),
    Refused(
        "an ODT that acts by itself",
        lambda: odt(inner='<script:event-listener xlink:href="a"/>'),
        _ACTIVE,
    ),
    Refused("an ODT that asks another program", lambda: odt(inner="<office:dde-source/>"), _ACTIVE),
    Refused("an ODT with an object", lambda: odt(inner="<draw:object-ole/>"), _ACTIVE),
    Refused(
        "an ODT whose picture is elsewhere",
        lambda: odt(inner='<draw:image xlink:href="https://example.com/a"/>'),
        _ACTIVE,
    ),
    *(
        Refused(f"an ODT with {inner}", partial(odt, inner=inner), _ACTIVE)
        for inner in (
            '<text:section-source xlink:href="file:///etc/passwd"/>',
            '<text:a xlink:href="vnd.sun.star.script:a?language=Python"/>',
            '<draw:a xlink:href="macro:///Standard.a"/>',
            '<instance xmlns="http://www.w3.org/2002/xforms" src="http://example.com/"/>',
            '<submission xmlns="http://www.w3.org/2002/xforms" action="http://example.com/"/>',
        )
    ),
    Refused(
        "an ODT whose menu runs a script",
        lambda: odt({"Configurations2/menubar/a.xml": b'<a id="vnd.sun.star.script:a"/>'}),
        _ACTIVE,
    ),
    Refused(
        "an ODT with a password",
        lambda: odt({"META-INF/manifest.xml": b'<a xmlns="b"><encryption-data/></a>'}),
        Reason.ENCRYPTED,
    ),
    Refused("a DOC with macros", lambda: doc("Macros", "VBA"), _ACTIVE),
    Refused("a DOC with an object", lambda: doc("ObjectPool", "_1234567890"), _ACTIVE),
    Refused("a DOC with an early object", lambda: doc("ObjectPool", "_1"), _ACTIVE),
    Refused("a DOC linked to another file", lambda: short_doc(ole=bytes(60)), _ACTIVE),
    Refused(
        "a DOC that is short and asks another program",
        lambda: short_doc(b"I drive" * 200 + b"\x13DDEAUTO c:\\a.exe\x14"),
        _ACTIVE,
    ),
    Refused(
        "a DOC that is short and has lost its small sectors",
        lambda: short_doc().replace(b"\1\0\0\0" + _ENDS, b"\x99\0\0\0" + _ENDS),
        _DAMAGED,
    ),
    Refused("an ODT with nothing in it", lambda: odt({"content.xml": b""}), _DAMAGED),
    Refused("a DOC that asks a database", lambda: doc(text=b"\x13DATABASE \\d a\x14"), _ACTIVE),
    Refused(
        "a DOC that asks a database, in two bytes a letter",
        lambda: doc(text="\x13 DATABASE a".encode("utf-16-le")),
        _ACTIVE,
    ),
    Refused(
        "a DOC that asks another program", lambda: doc(text=b"\x13DDEAUTO c:\\a.exe\x14"), _ACTIVE
    ),
    Refused(
        "a DOC that asks another program, in wide letters",
        lambda: doc(text="\x13 DDE a".encode("utf-16-le")),
        _ACTIVE,
    ),
    Refused(
        "a DOC that asks another program, across scattered sectors",
        lambda: scattered(doc(text=bytes(512 - 112 - 4) + b"\x13 DDEAUTO c:\\a.exe\x14")),
        _ACTIVE,
    ),
    *(
        Refused(f"a DOCX with the field{field}", partial(_with_field, field), _ACTIVE)
        for field in _FIELDS_OUT
    ),
    *(
        Refused(
            f"a DOC with the field{field} in {encoding}",
            partial(_with_old_field, encoding, field),
            _ACTIVE,
        )
        for field in _FIELDS_OUT
        for encoding in ("ascii", "utf-16-le")
    ),
    Refused("a DOC with a password", lambda: doc(flags=0x0100), Reason.ENCRYPTED),
    Refused("a DOC that only begins like one", lambda: doc()[:512], _DAMAGED),
    Refused(
        "a DOC whose table leads in circles",
        lambda: doc().replace(b"\xfe\xff\xff\xff", b"\x02\0\0\0", 99),
        _DAMAGED,
    ),
]

REFUSED = [*OTHER_TYPES, *POLYGLOTS, *PDFS, *IMAGES, *OFFICE]
