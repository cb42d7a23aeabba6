"""Pages of files: what cannot be shown is found out once, and nobody waits for it for ever."""

import asyncio
from pathlib import Path

import pikepdf
import pytest

from roadworthy.documents import rooms
from roadworthy.documents.access import Viewer
from roadworthy.documents.pages import Pages
from roadworthy.inspection import Inspector, Limits
from roadworthy.storage import new_key, open_storage
from roadworthy.wire import NotFound, ServiceUnavailable
from tests.support.files import pdf

VIEWER, ANOTHER = Viewer("driver", 1), Viewer("driver", 2)


class Counting(Inspector):
    """One that knows how often it was asked for a page."""

    asked = 0

    async def page(self, path: Path, target: Path, number: int, place: str = "") -> None:
        self.asked += 1
        await super().page(path, target, number, place)


def _laborious(document: pikepdf.Pdf) -> None:
    """Small, and soon seen to be harmless; to draw it takes many seconds."""
    document.pages[0].Contents = document.make_stream(b"0 0 m 200 100 l S " * 1_000_000)


def test_a_page_that_takes_too_long_is_tried_once(tmp_path: Path) -> None:
    async def work() -> None:
        storage = open_storage(f"file://{tmp_path}/files", tmp_path / "incoming")
        inspector = Counting(limits=Limits(cpu_seconds=4))
        pages, key = Pages(storage, inspector), new_key()
        async with storage.spool.empty() as path:
            path.write_bytes(pdf(_laborious, compress_streams=True))
            await storage.put(key, path)
        for viewer in (VIEWER, VIEWER, ANOTHER):
            with pytest.raises(NotFound):
                await pages.page(viewer, key, 1, "")
        assert inspector.asked == 1
        with pytest.raises(NotFound):
            await pages.page(VIEWER, key, 2, "")
        assert inspector.asked == 2
        inspector.close()
        await storage.close()

    asyncio.run(work())


def test_who_waits_for_what_they_asked_before_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "WAIT_SECONDS", 0.01)

    async def work() -> None:
        turns = rooms.OneByOne[int]()
        async with turns.one(1):
            with pytest.raises(ServiceUnavailable):
                async with turns.one(1):
                    pass
            async with turns.one(2):
                pass
        async with turns.one(1):
            pass

    asyncio.run(work())
