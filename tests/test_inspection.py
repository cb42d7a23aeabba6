"""Inspection: what is taken, what is refused, and that no file harms who looks into it."""

import asyncio
import io
import os
import signal
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pikepdf
import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from roadworthy.inspection import (
    TYPES,
    FileRefused,
    Inspector,
    InspectorBusy,
    Limits,
    Reason,
)
from roadworthy.inspection import (
    inspector as inspector_module,
)
from roadworthy.inspection.parser import ParserEnded, understood
from roadworthy.storage import NotStored
from tests.conftest import SOAK
from tests.scenarios.files import ACTIVE_PDFS, REFUSED, TAKEN, Refused, Taken
from tests.support.files import PDF, PNG, docx, noise, pdf, picture, png_of, raw_pdf
from tests.support.processes import descendants

T = TypeVar("T")

MEGABYTE = 1024 * 1024


class Looking(NamedTuple):
    """An inspector at work, and a folder for its files."""

    inspector: Inspector
    runner: asyncio.Runner
    folder: Path
    not_ours: frozenset[int]

    @property
    def processes(self) -> frozenset[int]:
        return parsing_processes() - self.not_ours

    def wait(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    def file(self, content: bytes, name: str = "file") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def inspect(self, content: bytes) -> str:
        return self.wait(self.inspector.inspect(self.file(content)))

    def refusal(self, content: bytes) -> Reason | None:
        try:
            self.inspect(content)
        except FileRefused as refused:
            return refused.reason
        return None


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looking]:
    yield from _looking(tmp_path_factory.mktemp("looking"))


def _looking(folder: Path, **limits: Any) -> Iterator[Looking]:
    with asyncio.Runner() as runner:
        looking = Looking(
            Inspector(limits=Limits(**limits), at_once=2), runner, folder, parsing_processes()
        )
        yield looking
        looking.inspector.close()
    assert not looking.processes


def parsing_processes() -> frozenset[int]:
    """Those that this process started."""
    return frozenset(int(each.name) for each in descendants(os.getpid(), b"parsing.py"))


@pytest.mark.parametrize("row", TAKEN, ids=[row.name for row in TAKEN])
def test_a_file_is_what_its_bytes_say(looking: Looking, row: Taken) -> None:
    assert looking.inspect(row.make()) == row.content_type


def test_blanks_after_the_end_of_a_pdf_do_no_harm(looking: Looking) -> None:
    assert looking.inspect(pdf() + bytes(4096)) == "application/pdf"


@pytest.mark.parametrize("row", REFUSED, ids=[row.name for row in REFUSED])
def test_a_file_is_refused(looking: Looking, row: Refused) -> None:
    assert looking.refusal(row.make()) == row.reason


def test_every_type_is_taken_from_somebody() -> None:
    assert {row.content_type for row in TAKEN} == TYPES


def test_every_reason_is_somebodys() -> None:
    elsewhere = {Reason.HARMFUL, Reason.NOT_A_PHOTOGRAPH, Reason.NO_SUCH_PAGE}
    assert {row.reason for row in REFUSED} == set(Reason) - elsewhere


WHOLE_WITHOUT_ITS_END = {
    "a photograph with a film after it",
    "two photographs in one",
    "a PDF that was changed later",
    "a PDF that was saved again, with what was before",
}
NEEDED_TO_ITS_END = [row for row in TAKEN if row.name not in WHOLE_WITHOUT_ITS_END]


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("row", NEEDED_TO_ITS_END, ids=[row.name for row in NEEDED_TO_ITS_END])
def test_a_file_cut_short_is_refused(looking: Looking, row: Taken, kept: float) -> None:
    whole = row.make()

    assert looking.refusal(whole[: min(int(len(whole) * kept), len(whole) - 8)]) is not None


def test_what_is_hidden_is_hidden() -> None:
    """Else the rows with object streams would prove nothing."""
    name, change = ACTIVE_PDFS[0]
    assert b"JavaScript" in pdf(change), name
    assert b"JavaScript" not in pdf(change, object_stream_mode=pikepdf.ObjectStreamMode.generate), (
        name
    )


def test_a_name_tells_nothing(looking: Looking) -> None:
    path = looking.file(picture("PNG"), "certificate.pdf")

    assert looking.wait(looking.inspector.inspect(path)) == PNG


def _slow_pdf() -> bytes:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
    pages = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
    return raw_pdf(b"<</Type/Catalog/Pages 2 0 R>>", pages, page, b"[" + b"[]" * 4_000_000 + b"]")


BOMBS = [
    ("memory", {"memory_bytes": 150 * 1024 * 1024}, lambda: png_of(8000, 8000, bytes(8001 * 8000))),
    ("processor time", {"cpu_seconds": 1}, _slow_pdf),
    ("time", {"seconds": 0.3}, _slow_pdf),
]


@pytest.mark.parametrize(("what", "limits", "bomb"), BOMBS, ids=[row[0] for row in BOMBS])
def test_a_bomb_kills_only_who_looks_at_it(
    tmp_path: Path, what: str, limits: dict[str, Any], bomb: Any
) -> None:
    for looking in _looking(tmp_path, **limits):
        assert looking.inspect(picture()) == "image/jpeg"
        (process,) = looking.processes

        assert looking.refusal(bomb()) == Reason.TOO_LARGE, what

        assert looking.inspect(picture()) == "image/jpeg"
        assert looking.processes == {process}


def test_a_process_that_is_killed_is_started_again(looking: Looking) -> None:
    looking.inspect(picture())
    (process,) = looking.processes
    os.kill(process, signal.SIGKILL)

    assert looking.inspect(pdf()) == PDF
    assert looking.processes != {process}


def test_who_closes_it_waits_for_no_file(tmp_path: Path) -> None:
    for looking in _looking(tmp_path, seconds=200):
        looking.inspect(picture())
        (process,) = looking.processes
        os.kill(process, signal.SIGSTOP)

        async def close_while_it_looks(looking: Looking = looking) -> None:
            work = asyncio.create_task(looking.inspector.inspect(looking.file(pdf())))
            await asyncio.sleep(0.2)
            async with asyncio.timeout(100):
                await asyncio.to_thread(looking.inspector.close)
            with pytest.raises(InspectorBusy):
                await work

        looking.wait(close_while_it_looks())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"refused": "TOO_LARGE"}\n0', Reason.TOO_LARGE),
        (b'{"refused": "no reason of ours"}\n0', Reason.DAMAGED),
        (b'{"refused": {}}\n0', Reason.DAMAGED),
        (b"5\n0", Reason.DAMAGED),
        (b"[]\n0", Reason.DAMAGED),
        (b"[" * 60_000 + b"\n0", Reason.DAMAGED),
        (b"no JSON\n0", Reason.DAMAGED),
        (b"\n0", Reason.DAMAGED),
        (b'{"type": "application/pdf"}\n1', Reason.DAMAGED),
        (b'{"type": "application/pdf"}\n-9', Reason.TOO_LARGE),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else str(value[:30]),
)
def test_a_process_that_a_file_took_over_is_not_believed(answer: bytes, reason: Reason) -> None:
    with pytest.raises(FileRefused) as refused:
        understood(answer)
    assert refused.value.reason == reason


@pytest.mark.parametrize("answer", [b"", b"{}", b"{}\n", b"{}\nx", b"{}\n" + b"9" * 5000])
def test_who_does_not_say_how_it_ended_has_not_answered(answer: bytes) -> None:
    with pytest.raises(ParserEnded):
        understood(answer)


def test_twenty_at_once(looking: Looking) -> None:
    rows = (TAKEN * 2)[:18]
    bad = looking.file(b"x", "bad")

    async def all_at_once() -> list[str | BaseException]:
        paths = [looking.file(row.make(), f"{number}") for number, row in enumerate(rows)]
        return await asyncio.gather(
            *(looking.inspector.inspect(path) for path in (*paths, bad, bad)),
            return_exceptions=True,
        )

    found = looking.wait(all_at_once())

    assert found[:18] == [row.content_type for row in rows]
    assert all(isinstance(each, FileRefused) for each in found[18:])


def test_more_than_can_wait_are_told_to_come_back(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector_module, "MOST_WAITING", 3)
    path = looking.file(picture())

    async def all_at_once() -> list[str | BaseException]:
        return await asyncio.gather(
            *(looking.inspector.inspect(path) for _ in range(5)), return_exceptions=True
        )

    found = looking.wait(all_at_once())

    assert found[:3] == ["image/jpeg"] * 3
    assert all(isinstance(each, InspectorBusy) for each in found[3:]), found


def test_nobody_waits_forever(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector_module, "WAIT_SECONDS", 0.01)
    slow = looking.file(noise(3000), "slow")

    async def all_at_once() -> list[str | BaseException]:
        return await asyncio.gather(
            *(looking.inspector.inspect(slow) for _ in range(6)), return_exceptions=True
        )

    found = looking.wait(all_at_once())

    assert found[0] == "image/jpeg"
    assert isinstance(found[-1], InspectorBusy)


def test_one_place_holds_up_no_other(looking: Looking) -> None:
    done = list[str]()

    async def inspect(path: Path, place: str) -> None:
        await looking.inspector.inspect(path, place)
        done.append(place)

    async def all_at_once() -> None:
        slow, quick = looking.file(noise(2000), "slow"), looking.file(picture(), "quick")
        many = [asyncio.ensure_future(inspect(slow, "a")) for _ in range(12)]
        await asyncio.sleep(0)
        await inspect(quick, "b")
        await asyncio.gather(*many)

    looking.wait(all_at_once())

    assert "b" in done[:6], done


def test_more_of_one_place_than_can_wait_are_told_to_come_back(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector_module, "MOST_OF_ONE", 2)
    path = looking.file(picture())

    async def all_at_once() -> list[str | BaseException]:
        places = ("a", "a", "a", "b")
        return await asyncio.gather(
            *(looking.inspector.inspect(path, place) for place in places), return_exceptions=True
        )

    found = looking.wait(all_at_once())

    assert isinstance(found[2], InspectorBusy)
    assert [*found[:2], found[3]] == ["image/jpeg"] * 3


def test_the_process_knows_none_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADWORTHY_SECRET_KEY", "swordfish")
    for looking in _looking(tmp_path):
        looking.inspect(picture())
        (process,) = looking.processes
        assert b"swordfish" not in Path(f"/proc/{process}/environ").read_bytes()


class TestJoining:
    def join(self, looking: Looking, *photographs: bytes, most_bytes: int = 20 * MEGABYTE) -> bytes:
        paths = [looking.file(each, f"photograph-{n}") for n, each in enumerate(photographs)]
        target = looking.file(b"what was there before" * 10_000, "joined")
        looking.wait(looking.inspector.join(paths, target, most_bytes))
        assert looking.wait(looking.inspector.inspect(target)) == PDF
        return target.read_bytes()

    def seen(self, looking: Looking, content: bytes) -> list[Image.Image]:
        with pypdfium2.PdfDocument(content) as document:
            count = len(document)
        return [viewed(looking, content, number) for number in range(1, count + 1)]

    def test_each_is_a_page_in_its_order(self, looking: Looking) -> None:
        colours = ("red", "lime", "blue", "black")
        photographs = [
            picture(kind, colour=colour)
            for kind, colour in zip(("JPEG", "PNG", "HEIF", "WEBP"), colours, strict=True)
        ]

        pages = self.seen(looking, self.join(looking, *photographs))

        assert [nearest(page) for page in pages] == [*colours]

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
    def test_each_stands_upright(self, looking: Looking, kind: str) -> None:
        """Taken with the phone turned: the right of the sensor is up (EXIF orientation 8)."""
        photograph = Image.new("RGB", (200, 100), "blue")
        photograph.paste("red", (150, 0, 200, 100))
        exif = Image.Exif()
        exif[0x0112] = 8
        content = io.BytesIO()
        photograph.save(content, kind, exif=exif.tobytes())

        (page,) = self.seen(looking, self.join(looking, content.getvalue()))

        assert page.height > page.width
        assert nearest(page.crop((0, 0, page.width, page.height // 8))) == "red"
        assert nearest(page.crop((0, page.height // 2, page.width, page.height))) == "blue"

    @pytest.mark.parametrize(
        ("mode", "colour", "seen"),
        [
            ("RGBA", (255, 0, 0, 0), "white"),
            ("LA", (0, 0), "white"),
            ("P", 0, "black"),
            ("1", 1, "white"),
            ("L", 255, "white"),
            ("I;16", 65_535, "white"),
            ("I;16", 300, "black"),
        ],
    )
    def test_every_kind_of_colour(
        self, looking: Looking, mode: str, colour: Any, seen: str
    ) -> None:
        (page,) = self.seen(looking, self.join(looking, picture("PNG", mode=mode, colour=colour)))

        assert nearest(page) == seen

    @pytest.mark.parametrize("most_bytes", [20 * MEGABYTE, MEGABYTE])
    def test_it_is_no_larger_than_what_we_take(self, looking: Looking, most_bytes: int) -> None:
        photographs = [noise(2400)] * 8 if most_bytes > MEGABYTE else [noise(900)] * 3
        joined = self.join(looking, *photographs, most_bytes=most_bytes)

        assert most_bytes / 10 < len(joined) <= most_bytes

    def test_where_and_with_what_it_was_taken_stays_out_of_it(self, looking: Looking) -> None:
        exif = Image.Exif()
        exif[0x010F] = "Camera of a driver"

        assert b"Camera of" in picture(exif=exif)
        assert b"Camera of" not in self.join(looking, picture(exif=exif))

    @pytest.mark.parametrize(
        ("other", "reason"),
        [
            (pdf(), Reason.NOT_A_PHOTOGRAPH),
            (docx(), Reason.NOT_A_PHOTOGRAPH),
            (b"x", Reason.NOT_TAKEN),
            (picture()[:-300], Reason.DAMAGED),
            (png_of(50_000, 50_000, b""), Reason.TOO_LARGE),
        ],
    )
    def test_what_is_no_photograph_is_refused(
        self, looking: Looking, other: bytes, reason: Reason
    ) -> None:
        with pytest.raises(FileRefused, match=reason.value):
            self.join(looking, picture(), other)

    @pytest.mark.parametrize("count", [0, 21])
    def test_too_few_or_too_many(self, looking: Looking, count: int) -> None:
        with pytest.raises(FileRefused):
            self.join(looking, *[picture()] * count)


class TestPages:
    def test_a_photograph_is_one(self, looking: Looking) -> None:
        page = viewed(looking, picture("HEIF", colour="red", size=(3000, 30)), 1)

        assert nearest(page) == "red"
        assert page.size == (2000, 20)

    def test_each_of_a_pdf(self, looking: Looking) -> None:
        def widths(made: pikepdf.Pdf) -> None:
            for number, page in enumerate(made.pages, start=1):
                page.MediaBox = pikepdf.Array([0, 0, 100 * number, 1000])

        content = pdf(widths, pages=3)
        assert [viewed(looking, content, number).width for number in (1, 2, 3)] == [200, 400, 600]

    @pytest.mark.parametrize(
        ("content", "number"), [(pdf(pages=2), 0), (pdf(pages=2), 3), (picture(), 2)]
    )
    def test_there_is_none_of_another_number(
        self, looking: Looking, content: bytes, number: int
    ) -> None:
        with pytest.raises(FileRefused, match=Reason.NO_SUCH_PAGE.value):
            viewed(looking, content, number)

    def test_a_vast_page_is_a_small_picture(self, looking: Looking) -> None:
        def vast(made: pikepdf.Pdf) -> None:
            made.pages[0].MediaBox = pikepdf.Array([0, 0, 1_000_000, 2])

        page = viewed(looking, pdf(vast), 1)
        assert max(page.size) <= 2000

    @pytest.mark.parametrize("content", [docx(), b"", b"%PDF-1.7 and no more", picture()[:-300]])
    def test_others_have_none(self, looking: Looking, content: bytes) -> None:
        with pytest.raises(FileRefused):
            viewed(looking, content, 1)


def test_a_file_that_was_removed_while_it_waited(looking: Looking) -> None:
    inspector, gone = looking.inspector, looking.folder / "gone"
    target = looking.file(b"", "joined")
    for work in (
        inspector.inspect(gone),
        inspector.join([looking.file(picture()), gone], target, MEGABYTE),
        inspector.page(gone, target, 1),
    ):
        with pytest.raises(NotStored):
            looking.wait(work)


def viewed(looking: Looking, content: bytes, number: int) -> Image.Image:
    path, target = looking.file(content, "viewed"), looking.file(b"", "rendered")
    looking.wait(looking.inspector.page(path, target, number))
    return Image.open(io.BytesIO(target.read_bytes()))


COLOURS = {
    "red": (255, 0, 0),
    "lime": (0, 255, 0),
    "blue": (0, 0, 255),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
}


def nearest(image: Image.Image) -> str:
    """What one sees from afar."""
    seen = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(seen, tuple)
    return min(
        COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], seen, strict=True))
    )


_WHOLE = [row.make() for row in TAKEN]
_BEGINNINGS = [whole[:16] for whole in _WHOLE]
_EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8)), max_size=6)


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(_WHOLE)))
    for place, piece in draw(_EDITS):
        at = int(place * len(content))
        content[at : at + len(piece)] = piece
    return bytes(content)


@settings(
    max_examples=5000 if SOAK else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.one_of(
        st.binary(max_size=2000),
        st.builds(bytes.__add__, st.sampled_from(_BEGINNINGS), st.binary(max_size=500)),
        edited(),
    )
)
def test_whatever_it_is_it_is_a_type_or_refused(looking: Looking, content: bytes) -> None:
    if looking.refusal(content) is None:
        assert looking.inspect(content) in TYPES
