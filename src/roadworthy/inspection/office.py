"""Word and OpenDocument text: what they hold, and what in it acts by itself or reaches out."""

import re
from typing import BinaryIO

from roadworthy.inspection.archive import MOST_TEXT, Archive, Visitor
from roadworthy.inspection.kinds import DOCX, ODT
from roadworthy.inspection.references import acts, field_reaches_out, reaches_out
from roadworthy.inspection.refusals import FileRefused, Reason

_TYPES_PART = "[Content_Types].xml"
_MAIN_TYPE = f"{DOCX}.main+xml"
_XML_TYPE = re.compile(r"\s*(?!image/)[^;]*[/+]xml\s*(?:;.*)?", re.DOTALL)
_ACTIVE_TYPES = ("macroenabled", "vbaproject", "vbadata", "activex", "oleobject", "keymap")
_ACTIVE_RELATIONSHIPS = frozenset(
    {"oleobject", "package", "control", "afchunk", "vbaproject", "subdocument", "customization"}
)
_ACTIVE_WORD_FOLDERS = ("word/embeddings/", "word/activex/")
_ACTIVE_ODT_FOLDERS = ("basic/", "scripts/", "dialogs/")

_WORD = re.compile(
    r"http://(?:schemas\.openxmlformats\.org|purl\.oclc\.org/ooxml)/wordprocessingml/"
)
_VML = "urn:schemas-microsoft-com:vml"
_VML_PICTURES = frozenset({"imagedata", "fill", "stroke", "image"})
_VML_REFERENCES = frozenset({"src", "href", "althref"})
_DDE = re.compile(r"\s*(?:DDE(?:AUTO)?|DATABASE)\b", re.IGNORECASE)
_CONNECTION = "connectString"
_MACROS = "vbaproject.bin"

_XLINK_HREF = "http://www.w3.org/1999/xlink href"
_XFORMS = "http://www.w3.org/2002/xforms"
_MANIFEST_PART = "META-INF/manifest.xml"
_ACTIVE_ELEMENTS = frozenset(
    {
        "event-listener",
        "dde-source",
        "dde-connection-decl",
        "object-ole",
        "applet",
        "plugin",
        "floating-frame",
    }
)


def check_archive(file: BinaryIO) -> str:
    """The content type, when the archive is a text that we take.

    Raises `FileRefused`, and what `zipfile` and `expat` raise for a damaged one.
    """
    archive = Archive(file)
    if _TYPES_PART in archive.names:
        _check_docx(archive)
        return DOCX
    if archive.names[:1] == ["mimetype"] and archive.read("mimetype", 256) == ODT.encode():
        _check_odt(archive)
        return ODT
    raise FileRefused(Reason.NOT_TAKEN)


def _check_docx(archive: Archive) -> None:
    if _any_within(archive, _ACTIVE_WORD_FOLDERS) or any(
        name.casefold().endswith(_MACROS) for name in archive.names
    ):
        raise FileRefused(Reason.ACTIVE)
    types = _ContentTypes()
    visitors: dict[str, Visitor] = {
        name: _Relationships() if name.casefold().endswith(".rels") else _Fields()
        for name in archive.names
    }
    archive.visit(_TYPES_PART, types)
    archive.check(visitors, types.xml_among(archive.names))
    if not types.mains & {f"/{name}" for name in archive.names}:
        raise FileRefused(Reason.NOT_TAKEN)


def _any_within(archive: Archive, folders: tuple[str, ...]) -> bool:
    return any(name.casefold().startswith(folders) for name in archive.names)


class _ContentTypes(Visitor):
    """ECMA-376, part 2, 10.1.2: which part is of which type."""

    def __init__(self) -> None:
        self.mains: set[str] = set()
        self._xml: set[str] = set()

    def xml_among(self, names: list[str]) -> set[str]:
        """Those that are XML whatever they are called."""
        return {
            name
            for name in names
            if not self._xml.isdisjoint({f"/{name}".casefold(), _extension(name)})
        }

    def element(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        content_type = attributes.get("ContentType", "").casefold()
        if any(active in content_type for active in _ACTIVE_TYPES):
            raise FileRefused(Reason.ACTIVE)
        if content_type == _MAIN_TYPE:
            self.mains.add(attributes.get("PartName", ""))
        if _XML_TYPE.fullmatch(content_type):
            self._xml.add(
                (attributes.get("PartName") or attributes.get("Extension", "")).casefold()
            )


def _extension(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[2].casefold()


class _Relationships(Visitor):
    """ECMA-376, part 2, 9.3: what the document is made of, within and without."""

    def element(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        kind = attributes.get("Type", "").rpartition("/")[2].casefold()
        if kind in _ACTIVE_RELATIONSHIPS:
            raise FileRefused(Reason.ACTIVE)
        target = attributes.get("Target", "")
        if acts(target) or (kind != "hyperlink" and reaches_out(target)):
            raise FileRefused(Reason.ACTIVE)


class _Fields(Visitor):
    """ECMA-376, part 1, 17.16: fields, of which DDE and DDEAUTO start other programs, and DATABASE
    asks one; 17.14.8: so does what a mail merge connects to.
    """

    def __init__(self) -> None:
        self._instruction = ""
        self._in_instruction = False

    def element(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if namespace == _VML and local in _VML_PICTURES:
            _refuse_elsewhere(attributes)
        if not _WORD.match(namespace):
            self._in_instruction = False
            return
        if local == _CONNECTION:
            raise FileRefused(Reason.ACTIVE)
        self._in_instruction = local == "instrText"
        if local == "fldChar":
            _refuse_field(self._instruction)
            self._instruction = ""
        if local == "fldSimple":
            _refuse_dde(attributes.get(f"{namespace} instr", ""))
            _refuse_field(attributes.get(f"{namespace} instr", ""))

    def text(self, text: str) -> None:
        if self._in_instruction:
            self._instruction = (self._instruction + text)[:MOST_TEXT]
            _refuse_dde(self._instruction)


def _refuse_elsewhere(attributes: dict[str, str]) -> None:
    for name, value in attributes.items():
        if name.rpartition(" ")[2] in _VML_REFERENCES and reaches_out(value):
            raise FileRefused(Reason.ACTIVE)


def _refuse_dde(instruction: str) -> None:
    if _DDE.match(instruction):
        raise FileRefused(Reason.ACTIVE)


def _refuse_field(instruction: str) -> None:
    if field_reaches_out(instruction):
        raise FileRefused(Reason.ACTIVE)


def _check_odt(archive: Archive) -> None:
    if _any_within(archive, _ACTIVE_ODT_FOLDERS):
        raise FileRefused(Reason.ACTIVE)
    visitors: dict[str, Visitor] = {name: _OpenDocument() for name in archive.names}
    archive.check({**visitors, _MANIFEST_PART: _Manifest()})
    if "content.xml" not in archive.names:
        raise FileRefused(Reason.DAMAGED)


class _Manifest(Visitor):
    def element(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        if name.endswith(" encryption-data"):
            raise FileRefused(Reason.ENCRYPTED)


class _OpenDocument(Visitor):
    """OpenDocument 1.2, part 1. A link (`a`) is followed by a person; other references are not."""

    def element(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        target = attributes.get(_XLINK_HREF, "")
        if (
            local in _ACTIVE_ELEMENTS
            or any(acts(value) for value in attributes.values() if ":" in value)
            or (local == "section-source" and target)  # another file is shown as part of this
            or (local != "a" and reaches_out(target))
            or (name.startswith(_XFORMS) and any(map(reaches_out, attributes.values())))
        ):
            raise FileRefused(Reason.ACTIVE)
