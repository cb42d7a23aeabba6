"""Files go to other storage while they are served, all of them, and nothing is lost on the way."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.conftest import Place
from tests.support.blobs import attach, followed, pdf, upload, upload_blob
from tests.support.buckets import Server
from tests.support.client import Client
from tests.support.drivers import Driver, new_driver, with_profile
from tests.support.service import COMMAND, Service, environment, run
from tests.support.tables import Tables, open_tables

Start = Callable[..., Service]
Connect = Callable[[str], Client]


def url_of(folder: Path) -> str:
    return f"file://{folder}"


def keys_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("??/??/*")}


def path_of(folder: Path, key: str) -> Path:
    return folder / key[:2] / key[2:4] / key


def hand_in(client: Client, driver: Driver, count: int) -> list[bytes]:
    contents = [pdf(filler=100_000) for _ in range(count)]
    attach(client, driver, documents=[upload(client, driver, each) for each in contents])
    return contents


def held_keys(tables: Tables) -> set[str]:
    return {row["key"] for row in tables.rows("blobs")}


def test_to_a_bucket_and_back_while_serving(
    place: Place, bucket_server: Server, start: Start, connect: Connect
) -> None:
    here = place.folder / "files"
    bucket = bucket_server.url(f"{place.folder.name}-moved")
    service = start(place.folder, place.settings)
    client, tables = connect(service.url), open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    contents = hand_in(client, driver, 3)

    first = run("files", "move", "--to", bucket, settings=place.settings)
    assert (first.returncode, first.stdout) == (
        0,
        "Copied and verified: 3, there already and verified: 0, deleted here: 0.\n",
    ), first
    assert keys_in(here) == held_keys(tables)
    client = connect(service.url)
    attach(client, driver, cv=upload(client, driver, contents[0] + b"\n"))
    early = run("files", "move", "--to", bucket, "--delete", settings=place.settings)
    assert early.returncode == 1
    assert "set ROADWORTHY_STORAGE_URL to the new storage" in early.stderr
    assert keys_in(here) == held_keys(tables)

    service.stop()
    settings = {**place.settings, "ROADWORTHY_STORAGE_URL": bucket}
    service = start(place.folder, settings)
    client = connect(service.url)
    moves = ("files", "move", "--from", url_of(here), "--to", bucket)
    second = run(*moves, settings=settings)
    assert second.stdout == (
        "Copied and verified: 1, there already and verified: 3, deleted here: 0.\n"
    )
    shown = driver.send(client, "GET").json["profile"]
    assert [followed(each["url"]).body for each in shown["documents"]] == contents
    assert followed(shown["cv"]["url"]).body == contents[0] + b"\n"
    assert keys_in(here) == held_keys(tables)

    third = run(*moves, "--delete", settings=settings)
    assert third.stdout.endswith("there already and verified: 4, deleted here: 4.\n"), third
    assert keys_in(here) == set()
    names = bucket_server.names(f"{place.folder.name}-moved")
    assert {name.rpartition("/")[2] for name in names} == held_keys(tables)
    assert {row["service_name"] for row in tables.rows("blobs")} == {"s3"}

    back = run("files", "move", "--to", url_of(here), settings=settings)
    assert back.stdout.startswith("Copied and verified: 4,"), back
    assert keys_in(here) == held_keys(tables)
    tables.close()


def test_what_is_wrong_there_is_copied_again_and_what_is_wrong_here_is_said(
    place: Place, start: Start, connect: Connect, tmp_path: Path
) -> None:
    here, there = place.folder / "files", tmp_path / "there"
    service = start(place.folder, place.settings)
    client, tables = connect(service.url), open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    hand_in(client, driver, 4)
    move = ("files", "move", "--to", url_of(there))
    assert run(*move, settings=place.settings).returncode == 0
    cut, changed, gone, damaged = tables.rows("blobs")
    path_of(there, cut["key"]).write_bytes(b"%PDF")
    content = bytearray(path_of(there, changed["key"]).read_bytes())
    content[100] ^= 1
    path_of(there, changed["key"]).write_bytes(content)
    for folder in (here, there):
        path_of(folder, gone["key"]).unlink()
        path_of(folder, damaged["key"]).write_bytes(bytes(damaged["byte_size"]))

    done = run(*move, settings=place.settings)

    assert done.returncode == 1
    assert done.stdout.startswith("Copied and verified: 2, there already and verified: 0,")
    assert f"their ids: {gone['id']}, {damaged['id']}: put them back" in done.stderr
    assert keys_in(there) == {cut["key"], changed["key"]}
    for row in (cut, changed):
        assert path_of(there, row["key"]).read_bytes() == path_of(here, row["key"]).read_bytes()
    service.stop()
    settings = {**place.settings, "ROADWORTHY_STORAGE_URL": url_of(there)}
    deleting = run(
        "files", "move", "--from", url_of(here), *move[2:], "--delete", settings=settings
    )
    assert deleting.returncode == 1
    assert keys_in(here) == {damaged["key"]}, "what is not there in good order stays here"
    tables.close()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_killed_it_goes_on_where_it_was(
    place: Place, start: Start, connect: Connect, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    service = start(place.folder, place.settings)
    client, tables = connect(service.url), open_tables(place.url)
    driver = with_profile(tables, new_driver(tables))
    for _ in range(40):
        upload_blob(client, driver, pdf(filler=300_000))
    uploaded = update(tables["blobs"]).values(unattached_since=None)
    tables.execute(uploaded)
    move = ("files", "move", "--to", url_of(there))
    process = subprocess.Popen(
        [*COMMAND, *move],
        env=environment(place.settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and len(keys_in(there)) < 5:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_ino for path in there.glob("??/??/*")}
    assert before

    done = run(*move, settings=place.settings)

    assert done.returncode == 0, done
    assert keys_in(there) == held_keys(tables)
    assert {path: path.stat().st_ino for path in before} == before
    tables.close()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_what_cannot_be_a_move_is_one_line(place: Place, tmp_path: Path) -> None:
    for arguments, said in (
        (["--to", url_of(place.folder / "files")], "both are the same storage"),
        (["--to", "ftp://x"], "the URL of a storage must be file:///"),
        (["--to", "s3://bucket"], "has no credentials"),
        (["--to", url_of(tmp_path), "--from", "x"], "the URL of a storage must be"),
        (["--to", "s3://k:secret@b/x?endpoint=http://127.0.0.1:1"], None),
    ):
        done = run("files", "move", *arguments, settings=place.settings)
        if said is None:
            assert done.returncode == 0, "there is nothing to move"
            continue
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("roadworthy: ")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_storage_that_is_away_is_one_line_and_tells_no_secret(
    place: Place, start: Start, connect: Connect
) -> None:
    service = start(place.folder, place.settings)
    client, tables = connect(service.url), open_tables(place.url)
    hand_in(client, with_profile(tables, new_driver(tables)), 1)
    bucket = "s3://k:very-secret@b/x?endpoint=http://127.0.0.1:1"
    done = run("files", "move", "--to", bucket, settings=place.settings)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    logged = [line for line in lines if line.startswith("{")]
    (said,) = (line for line in lines if not line.startswith("{"))
    assert said.startswith("roadworthy: storage does not answer: ")
    assert "very-secret" not in done.stderr
    assert all(json.loads(line)["event"] == "storage" for line in logged)
    tables.close()
