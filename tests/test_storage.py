"""Every storage keeps the same promises: a folder, a bucket, a bucket that keeps versions."""

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.storage import (
    Credentials,
    Download,
    NotStored,
    Spool,
    Storage,
    StorageAway,
    TooLong,
    Upload,
    new_key,
    open_storage,
    require_storage,
)
from roadworthy.storage.arriving import BLOCK_BYTES, BUFFER_BYTES, Arriving
from roadworthy.storage.local import BATCH
from roadworthy.storage.s3 import WHOLE_BYTES
from roadworthy.storage.spool import Stranded
from roadworthy.storage.threads import WAITING, Threads
from tests.support.blobs import checksum, fetch
from tests.support.buckets import BUCKET, Server
from tests.support.ports import free_port

T = TypeVar("T")
Use = Callable[[Callable[[Storage], Awaitable[T]]], T]

CONTENT = bytes(range(256)) * 1000

_LONG_AGO = datetime(2020, 2, 20, tzinfo=UTC)
_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(params=["folder", "bucket", "versions"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty storage is."""
    if request.param == "folder":
        return f"file://{tmp_path}/files"
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server.url(tmp_path.name.replace("_", "-"))


@pytest.fixture
def use(url: str, tmp_path: Path) -> Use[Any]:
    """Opens the storage for a piece of work, and closes it."""

    def run(work: Callable[[Storage], Awaitable[T]]) -> T:
        return _with(open_storage(url, tmp_path / "incoming"), work)

    return run


def _with(storage: Storage, work: Callable[[Storage], Awaitable[T]]) -> T:
    async def unit() -> T:
        try:
            return await work(storage)
        finally:
            await storage.close()

    return asyncio.run(unit())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """On its way into storage."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def _leave(*paths: Path) -> None:
    """What has been lying there for long."""
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left")
        os.utime(path, (_LONG_AGO.timestamp(), _LONG_AGO.timestamp()))


async def _read(storage: Storage, key: str, start: int, stop: int) -> bytes:
    return b"".join([piece async for piece in storage.read(key, start, stop)])


async def _keys(storage: Storage) -> list[str]:
    return [stored.key async for batch in storage.batches() for stored in batch]


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, len(CONTENT)), (0, 1), (5, 70_000), (100_000, 100_001), (255_990, len(CONTENT))],
)
def test_what_is_put_is_read(use: Use[Any], file: Path, start: int, stop: int) -> None:
    async def work(storage: Storage) -> None:
        key = new_key()
        await storage.put(key, file)
        assert await storage.size(key) == len(CONTENT)
        assert await _read(storage, key, start, stop) == CONTENT[start:stop]
        async with storage.fetched(key) as path:
            assert path.read_bytes() == CONTENT
        assert await _keys(storage) == [key]

    use(work)


def test_what_is_deleted_is_gone(use: Use[Any]) -> None:
    async def work(storage: Storage) -> None:
        kept, gone = new_key(), new_key()
        for key in (kept, gone):
            async with storage.spool.receive(_parts(CONTENT), len(CONTENT)) as spooled:
                await storage.put(key, spooled.path)
        await storage.delete(gone)
        await storage.delete(gone)
        assert await storage.size(gone) is None
        assert await _keys(storage) == [kept]
        with pytest.raises(NotStored):
            await _read(storage, gone, 0, 1)
        with pytest.raises(NotStored):
            async with storage.fetched(gone):
                pass

    use(work)


@pytest.mark.parametrize(
    "key", ["", "k", "../" + "a" * 29, "a" * 31, "a" * 33, "A" * 32, "a/" * 16]
)
def test_a_key_is_never_a_path(use: Use[Any], file: Path, key: str) -> None:
    async def work(storage: Storage) -> None:
        for attempt in (storage.put(key, file), storage.size(key), storage.delete(key)):
            with pytest.raises(ValueError, match="no key of ours"):
                await attempt

    use(work)


def test_keys_are_not_guessed() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(len(key) == 32 and key.isalnum() and key == key.lower() for key in keys)


def test_a_bucket_takes_what_was_signed_and_nothing_else(
    bucket_server: Server, tmp_path: Path
) -> None:
    storage = open_storage(bucket_server.url("direct"), tmp_path / "incoming")

    async def work(storage: Storage) -> None:
        key = new_key()
        upload = Upload("image/png", len(CONTENT), checksum(CONTENT))
        direct = storage.direct_upload(key, upload)
        assert direct is not None
        assert direct.headers == {"Content-Type": "image/png", "Content-MD5": checksum(CONTENT)}
        other = CONTENT[:-1] + b"x"
        for headers, body in (
            (direct.headers, other),
            (direct.headers, CONTENT + b"x"),
            (direct.headers, CONTENT[:-1]),
            ({**direct.headers, "Content-MD5": checksum(other)}, other),
            ({**direct.headers, "Content-Type": "text/html"}, CONTENT),
            ({"Content-Type": "image/png"}, CONTENT),
            ({**direct.headers, "x-amz-acl": "public-read"}, CONTENT),
        ):
            assert fetch(direct.url, "PUT", headers, body).status in {400, 403}
        for method in ("GET", "DELETE", "HEAD"):
            assert fetch(direct.url, method, direct.headers).status == 403
        assert await storage.accept(key) is None
        assert fetch(direct.url, "PUT", direct.headers, CONTENT).status == 200

        accepted = await storage.accept(key)
        assert accepted is not None
        assert accepted != key, "the client can still write there"
        assert await _read(storage, accepted, 0, len(CONTENT)) == CONTENT
        assert sorted(await _keys(storage)) == sorted([key, accepted])
        await storage.delete(key)
        assert await _keys(storage) == [accepted]

        url = storage.direct_download(accepted, Download("image/png", 'attachment; filename="a"'))
        assert url is not None
        answer = fetch(url)
        assert (answer.status, answer.body) == (200, CONTENT)
        assert answer.header("content-disposition") == 'attachment; filename="a"'
        assert answer.header("content-type") == "image/png"
        assert "X-Amz-Expires=60&" in url
        assert "X-Amz-Expires=300&" in direct.url
        for edited in (url.replace("image%2Fpng", "text%2Fhtml"), url[:-1] + "x"):
            assert fetch(edited).status == 403

    _with(storage, work)


@pytest.mark.parametrize(
    "versioning",
    [
        [None],
        ["Enabled"],
        [None, "Enabled"],
        ["Enabled", "Suspended"],
        [None, "Enabled", "Suspended"],
    ],
    ids=str,
)
def test_versions_go_with_the_file(
    versioning: list[str | None], versions_server: Server, tmp_path: Path, file: Path
) -> None:
    """Whatever the bucket kept when each of them came."""
    server = versions_server.with_bucket(f"versions-{new_key()}")
    storage = open_storage(server.url("prefix"), tmp_path / "incoming")

    async def work(storage: Storage) -> None:
        gone, kept = new_key(), new_key()
        for status in versioning:
            server.keep_versions(status)
            await storage.put(gone, file)
            await storage.put(gone, file)
            await storage.put(kept, file)
            server.client.delete_object(Bucket=server.bucket, Key=f"prefix/{gone}")
            await storage.put(gone, file)
        await storage.delete(gone)
        found = server.client.list_object_versions(Bucket=server.bucket)
        assert {each["Key"] for each in found["Versions"]} == {f"prefix/{kept}"}
        assert "DeleteMarkers" not in found

    _with(storage, work)


def test_what_is_deleted_meanwhile_is_not_listed(tmp_path: Path) -> None:
    async def work(storage: Storage) -> None:
        keys = sorted(f"aaaa{new_key()[4:]}" for _ in range(BATCH + 1))
        folder = tmp_path / "files" / "aa" / "aa"
        folder.mkdir(parents=True)
        for key in keys:
            (folder / key).touch()
        batches = storage.batches()
        found = {stored.key for stored in await anext(batches)}
        for key in set(keys) - found:
            (folder / key).unlink()
        assert len(found) == BATCH
        assert [batch async for batch in batches] == []

    _with(open_storage(f"file://{tmp_path}/files", tmp_path / "incoming"), work)


def test_parts_of_what_was_never_sent_whole_go(
    versions_server: Server, tmp_path: Path, file: Path
) -> None:
    """As when we end while we send. What others send in parts is theirs."""
    server = versions_server.with_bucket(f"parts-{new_key()}")
    storage = open_storage(server.url("prefix"), tmp_path / "incoming")

    async def work(storage: Storage) -> None:
        key, theirs = new_key(), "prefix/their-file"
        for name in (f"prefix/{key}", theirs):
            begun = server.client.create_multipart_upload(Bucket=server.bucket, Key=name)
            server.client.upload_part(
                Bucket=server.bucket,
                Key=name,
                UploadId=begun["UploadId"],
                PartNumber=1,
                Body=CONTENT,
            )
        await storage.put(key, file)
        assert [left.name for left in await storage.stranded(_HOUR_AGO)] == [f"prefix/{key}"]
        await storage.sweep(_HOUR_AGO)
        assert await storage.stranded(_HOUR_AGO) == []
        left = server.client.list_multipart_uploads(Bucket=server.bucket)["Uploads"]
        assert [each["Key"] for each in left] == [theirs]
        assert await _read(storage, key, 0, len(CONTENT)) == CONTENT

    _with(storage, work)


def test_a_file_is_sent_in_one_piece(versions_server: Server, tmp_path: Path, file: Path) -> None:
    """So that none of it is there when we end meanwhile; what is too long for that, in parts."""
    server = versions_server.with_bucket(f"pieces-{new_key()}")

    async def work(storage: Storage) -> None:
        for size, is_whole in ((WHOLE_BYTES, True), (WHOLE_BYTES + 1, False)):
            key = new_key()
            with file.open("wb") as content:
                content.truncate(size)
            await storage.put(key, file)
            found = server.client.head_object(Bucket=server.bucket, Key=f"prefix/{key}")
            assert found["ContentLength"] == size
            assert ("-" not in found["ETag"]) is is_whole  # of parts it counts them

    _with(open_storage(server.url("prefix"), tmp_path / "incoming"), work)


def test_nothing_is_left_where_nothing_was_begun(use: Use[Any]) -> None:
    """Whatever the server can list."""

    async def work(storage: Storage) -> None:
        assert await storage.stranded(datetime.now(UTC)) == []
        await storage.sweep(datetime.now(UTC))

    use(work)


def test_what_others_keep_in_the_bucket_is_not_ours(
    bucket_server: Server, tmp_path: Path, file: Path
) -> None:
    key = new_key()
    for name in (f"other/{key}", "shared/readme.txt", f"shared/{key}.bak", f"shared/deep/{key}"):
        bucket_server.client.put_object(Bucket=BUCKET, Key=name, Body=b"theirs")
    storage = open_storage(bucket_server.url("shared"), tmp_path / "incoming")

    async def work(storage: Storage) -> None:
        assert await _keys(storage) == []
        await storage.put(key, file)
        assert await _keys(storage) == [key]

    _with(storage, work)


@pytest.mark.parametrize(
    ("what", "servers"),
    [
        ("nobody there", "bucket_server"),
        ("another secret", "bucket_server"),
        ("no such bucket", "bucket_server"),
        ("no such bucket", "versions_server"),
    ],
)
def test_a_bucket_that_does_not_serve_us_is_away(
    what: str, servers: str, tmp_path: Path, file: Path, request: pytest.FixtureRequest
) -> None:
    """Also one that is not there, which answers as it does for a file that is not."""
    server: Server = request.getfixturevalue(servers)
    url = server.url("away")
    if what == "nobody there":
        url = url.replace(server.endpoint, f"http://127.0.0.1:{free_port()}")
    elif what == "another secret":
        url = url.replace("their%2Fsecret", "another")
    else:
        url = url.replace(f"@{BUCKET}", "@another")
    storage = open_storage(url, tmp_path / "incoming")

    async def work(storage: Storage) -> None:
        key = new_key()
        for attempt in (
            storage.put(key, file),
            storage.size(key),
            storage.accept(key),
            storage.delete(key),
            _keys(storage),
            *(_read(storage, key, start, 2) for start in (0, 1)),
        ):
            with pytest.raises(StorageAway):
                await attempt

    _with(storage, work)


def test_a_bucket_that_does_not_answer_holds_up_no_file_on_its_way(
    bucket_server: Server, tmp_path: Path
) -> None:
    waiting: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    port = free_port()
    url = bucket_server.url("slow").replace(bucket_server.endpoint, f"http://127.0.0.1:{port}")

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.put_nowait(writer)

    async def receive(storage: Storage) -> int:
        async with storage.spool.receive(_parts(CONTENT), len(CONTENT)) as spooled:
            return spooled.byte_size

    async def work(storage: Storage) -> None:
        server = await asyncio.start_server(hold, "127.0.0.1", port)
        deleting = [asyncio.ensure_future(storage.delete(new_key())) for _ in range(WAITING)]
        writers = [await waiting.get() for _ in deleting]
        try:
            assert await asyncio.wait_for(receive(storage), 5) == len(CONTENT)
        finally:
            for writer in writers:
                writer.close()
            server.close()
            ends = await asyncio.gather(*deleting, return_exceptions=True)
        assert {type(end) for end in ends} == {StorageAway}

    _with(open_storage(url, tmp_path / "incoming"), work)


def test_a_file_that_is_not_in_memory_is_read_from_disk(tmp_path: Path, file: Path) -> None:
    """What is in memory is read at once, and the rest in a thread that may wait."""

    async def work(storage: Storage) -> None:
        key = new_key()
        await storage.put(key, file)
        (stored,) = (tmp_path / "files").glob("??/??/*")
        descriptor = os.open(stored, os.O_RDONLY)
        for _ in range(3):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            assert await _read(storage, key, 1, len(CONTENT)) == CONTENT[1:]
        os.close(descriptor)

    _with(open_storage(f"file://{tmp_path}/files", tmp_path / "incoming"), work)


def test_a_file_that_opens_for_nobody_any_more_is_closed(tmp_path: Path, file: Path) -> None:
    async def work(storage: Storage) -> None:
        key = new_key()
        await storage.put(key, file)
        (stored,) = (tmp_path / "files").glob("??/??/*")
        stored.unlink()
        os.mkfifo(stored)  # which opens once somebody writes to it
        reading = asyncio.ensure_future(_read(storage, key, 0, 1))
        await asyncio.sleep(0.1)
        reading.cancel()
        with stored.open("wb"), pytest.raises(asyncio.CancelledError):
            await reading
        await storage.close()
        assert stored not in _open_files()

    _with(open_storage(f"file://{tmp_path}/files", tmp_path / "incoming"), work)


def _open_files() -> Iterator[Path]:
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder itself, closed since
            yield each.readlink()


def test_files_in_a_folder_are_for_nobody_else(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/files", tmp_path / "incoming")

    async def work(storage: Storage) -> None:
        key = new_key()
        async with storage.spool.receive(_parts(CONTENT), len(CONTENT)) as spooled:
            await storage.put(key, spooled.path)
            assert not spooled.path.exists()
        (stored,) = (tmp_path / "files").glob("??/??/*")
        assert stored == tmp_path / "files" / key[:2] / key[2:4] / key
        assert stored.stat().st_mode & 0o777 == 0o600
        assert {p.stat().st_mode & 0o077 for p in (tmp_path / "files").rglob("*")} == {0}

    previous = os.umask(0o077)
    try:
        _with(storage, work)
    finally:
        os.umask(previous)


def test_the_first_file_under_a_key_stays(tmp_path: Path) -> None:
    """Two that arrive at once, of one checksum: what was inspected is what is kept."""
    storage = open_storage(f"file://{tmp_path}/files", tmp_path / "incoming")

    async def work(storage: Storage) -> None:
        key = new_key()
        for content in (b"first", b"second"):
            async with storage.spool.receive(_parts(content), 10) as spooled:
                await storage.put(key, spooled.path)
                assert not spooled.path.exists()
        assert await _read(storage, key, 0, 5) == b"first"
        assert await storage.size(key) == 5

    _with(storage, work)


async def _parts(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


class TestSpool:
    """Files on their way."""

    @pytest.fixture
    def spool(self, tmp_path: Path) -> Iterator[Spool]:
        spool = Spool(tmp_path / "incoming")
        yield spool
        spool.close()

    def test_it_measures_what_arrives_and_leaves_nothing(
        self, spool: Spool, tmp_path: Path
    ) -> None:
        async def work() -> None:
            content = os.urandom(700_000)
            async with spool.receive(_parts(content), len(content)) as file:
                assert (file.byte_size, file.checksum) == (len(content), checksum(content))
                assert file.path.read_bytes() == content
                assert await spool.measure(file.path) == file
            assert list((tmp_path / "incoming").iterdir()) == []

        asyncio.run(work())

    def test_too_much_is_refused_as_it_arrives(self, spool: Spool, tmp_path: Path) -> None:
        taken = []

        async def endless() -> AsyncIterator[bytes]:
            while True:
                taken.append(1000)
                yield b"x" * 1000

        async def work() -> None:
            with pytest.raises(TooLong):
                async with spool.receive(endless(), 10_000):
                    pass
            assert sum(taken) == 11_000
            assert list((tmp_path / "incoming").iterdir()) == []

        asyncio.run(work())

    @pytest.mark.parametrize("stays", [True, False], ids=["stays", "goes on"])
    def test_what_stays_is_in_nobodys_way_in_memory(self, *, stays: bool, tmp_path: Path) -> None:
        """What goes on is read at once."""
        content = os.urandom(1_000_000) * 3

        async def work() -> None:
            async with spool.receive(_parts(content), len(content)) as file:
                assert (file.byte_size, file.checksum) == (len(content), checksum(content))
                assert _is_in_memory(file.path) is not (stays and _can_pass_memory(tmp_path))
                assert file.path.read_bytes() == content

        spool = Spool(tmp_path / "incoming", stays=stays)
        asyncio.run(work())
        spool.close()

    def test_what_a_crash_left_is_swept(self, tmp_path: Path) -> None:
        """Here, and where an earlier storage had its folder."""
        spool = Spool(tmp_path / "incoming", others=[tmp_path / "before", tmp_path / "never"])
        earlier = tmp_path / "before" / "earlier"

        async def work() -> None:
            await spool.sweep(_HOUR_AGO)
            async with spool.empty() as path:
                path.write_bytes(b"new")
                old = path.with_name("old")
                _leave(old, earlier)
                assert await spool.stranded(_HOUR_AGO) == [
                    Stranded("old", _LONG_AGO),
                    Stranded("earlier", _LONG_AGO),
                ]
                await spool.sweep(_HOUR_AGO)
                assert [each.exists() for each in (path, old, earlier)] == [True, False, False]

        asyncio.run(work())
        spool.close()

    def test_what_arrives_meanwhile_stops_no_sweep(self, spool: Spool, tmp_path: Path) -> None:
        """A file in the folder may be gone before it is looked at."""
        old = tmp_path / "incoming" / "old"

        async def arrive() -> None:
            for _ in range(50):
                async with spool.empty():
                    await asyncio.sleep(0)

        async def work() -> None:
            arriving = [asyncio.create_task(arrive()) for _ in range(20)]
            while not all(each.done() for each in arriving):
                _leave(old)
                await spool.sweep(_HOUR_AGO)
                assert not old.exists()
            await asyncio.gather(*arriving)

        asyncio.run(work())

    def test_a_full_disk_is_away(self, spool: Spool, tmp_path: Path) -> None:
        async def work() -> None:
            (tmp_path / "incoming").write_bytes(b"not a folder")
            with pytest.raises(StorageAway):
                async with spool.empty():
                    pass

        asyncio.run(work())


def _is_in_memory(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
    return True


def _can_pass_memory(folder: Path) -> bool:
    try:
        os.close(os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return False
    return True


_PARTS = st.lists(st.integers(0, 3 * BLOCK_BYTES) | st.just(BUFFER_BYTES + 1), max_size=6)


class TestArriving:
    """A file that takes in what arrives of it."""

    @pytest.mark.parametrize("past_memory", [True, False])
    @given(calls=st.lists(_PARTS, min_size=1, max_size=4))
    @settings(max_examples=40, deadline=None)
    def test_it_is_what_arrived(
        self, *, past_memory: bool, calls: list[list[int]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        path = tmp_path_factory.mktemp("arriving") / "file"
        parts = [[os.urandom(size) for size in sizes] for sizes in calls]
        with FileIO(path, "w") as file:
            arriving = Arriving(file, past_memory=past_memory)
            for each in parts[:-1]:
                arriving.take(each)
            arriving.end(parts[-1])
        content = b"".join(b"".join(each) for each in parts)
        assert path.read_bytes() == content
        assert arriving.checksum == checksum(content)

    @pytest.mark.parametrize("block", [2 * BLOCK_BYTES, 4 * BUFFER_BYTES])
    def test_a_disk_of_larger_blocks_is_written_to_all_the_same(
        self, block: int, tmp_path: Path
    ) -> None:
        class Disk(FileIO):
            """Refuses what Linux does for a disk of such blocks (open(2))."""

            def write(self, content: Any, /) -> int:
                is_direct = fcntl.fcntl(self, fcntl.F_GETFL) & os.O_DIRECT
                if is_direct and len(content) % block:
                    raise OSError(errno.EINVAL, "Invalid argument")
                return super().write(content) or 0

        content = os.urandom(5 * BLOCK_BYTES + 1)
        with Disk(tmp_path / "file", "w") as file:
            arriving = Arriving(file, past_memory=True)
            arriving.take([content[: 2 * BLOCK_BYTES]])
            arriving.end([content[2 * BLOCK_BYTES :]])
        assert (tmp_path / "file").read_bytes() == content
        assert arriving.checksum == checksum(content)

    @pytest.mark.parametrize("past_memory", [True, False])
    def test_a_disk_that_fails_is_no_disk_of_larger_blocks(
        self, *, past_memory: bool, tmp_path: Path
    ) -> None:
        class Disk(FileIO):
            def write(self, _: Any, /) -> int:
                raise OSError(errno.ENOSPC if past_memory else errno.EINVAL, "it fails")

        with Disk(tmp_path / "file", "w") as file, pytest.raises(OSError, match="it fails"):
            Arriving(file, past_memory=past_memory).take([bytes(BLOCK_BYTES)])


class TestThreads:
    """Work off the loop."""

    @pytest.fixture
    def threads(self) -> Iterator[Threads]:
        threads = Threads("tests")
        yield threads
        threads.close()

    @pytest.mark.parametrize("how", ["to its end", "one at a time", "one at a time, the last"])
    @pytest.mark.parametrize("cancelled", [1, 2])
    def test_who_is_cancelled_waits_for_what_has_begun(
        self, threads: Threads, how: str, cancelled: int
    ) -> None:
        """A file is closed next: a thread would write to whatever is opened then."""
        going_on, over = threading.Event(), threading.Event()

        def write() -> None:
            going_on.wait(10)
            time.sleep(0.05)
            over.set()

        async def use() -> None:
            if how == "to its end":
                await threads.to_its_end(write)
                return
            async with threads.one_at_a_time() as begin:
                await begin(write)
                if how == "one at a time":
                    await begin(write)

        async def work() -> None:
            using = asyncio.ensure_future(use())
            for _ in range(cancelled):
                await asyncio.sleep(0.05)
                using.cancel()
            asyncio.get_running_loop().call_later(0.05, going_on.set)
            with pytest.raises(asyncio.CancelledError):
                await using
            assert over.is_set()

        asyncio.run(work())

    @pytest.mark.parametrize("further", [0, 1])
    def test_work_that_fails_ends_what_follows(self, threads: Threads, further: int) -> None:
        done: list[int] = []

        def fail() -> None:
            raise OSError(28, "No space left on device")

        async def use() -> None:
            async with threads.one_at_a_time() as begin:
                for work in (fail, *[lambda: done.append(1)] * further):
                    await begin(work)

        with pytest.raises(StorageAway, match="No space left"):
            asyncio.run(use())
        assert done == []


_BAD_URLS = {
    "http://example.com/files": "must be file:///path/to/folder or s3://bucket",
    "files": "must be file:///path/to/folder or s3://bucket",
    "file://": "must be like file:///path/to/folder",
    "file:///": "must be like file:///path/to/folder",
    "file://host/path": "must be like file:///path/to/folder",
    "s3://bucket": "has no credentials",
    "s3://key@bucket": "has no credentials",
    "s3://key:secret@/prefix": "names no bucket",
    "s3://key:secret@bucket?end=1": "has an option that is neither endpoint nor region",
    "s3://key:secret@bucket?endpoint=example.com": "has an endpoint that is not like",
    "s3://key:se/cret@bucket:x": "cannot be read: percent-encode",
}


@pytest.mark.parametrize(("url", "complaint"), _BAD_URLS.items(), ids=_BAD_URLS)
def test_what_is_no_storage_is_said_without_its_secrets(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as raised:
        require_storage(url)
    assert "cret" not in str(raised.value).replace("secret@bucket", "")


def test_credentials_may_come_from_elsewhere() -> None:
    require_storage("s3://bucket/prefix", Credentials("key", "secret"))
