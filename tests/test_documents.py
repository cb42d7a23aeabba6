"""The rules of files, for any input: nothing raises, nothing is let through that was edited."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from roadworthy.documents import Signatures, judge_files
from roadworthy.documents.access import Subject, Viewer, may_see
from roadworthy.documents.blob import digits_up_to, judge_blob
from roadworthy.documents.links import end_of_view, window_at
from roadworthy.documents.signatures import Permission
from roadworthy.wire import Fields, part_wanted
from roadworthy.wire.errors import RangeNotSatisfiable
from tests.support.blobs import LISTS, SLOTS

SIGNATURES = Signatures(("a secret", "an older secret"))
OLDER = Signatures(("an older secret",))
OTHERS = Signatures(("a secret of others",))

IDS = st.integers(1, 2**63 - 1)
MOMENTS = st.floats(1.6e9, 7.2e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
HEADERS = st.text(st.characters(max_codepoint=255), max_size=40) | st.from_regex(
    r"bytes=\d{0,20}-\d{0,20}", fullmatch=True
)


@given(st.data(), st.integers(1, 10**9))
def test_what_the_document_says_of_a_size_is_so(data: st.DataObject, most: int) -> None:
    size = data.draw(st.integers(0, 2 * most) | st.integers(most - 1, most + 1))
    assert bool(re.fullmatch(digits_up_to(most), str(size))) is (1 <= size <= most)
    assert not re.fullmatch(digits_up_to(most), f"0{size}")


@given(IDS)
def test_a_signed_id_names_its_blob_for_ever(blob_id: int) -> None:
    signed_id = SIGNATURES.signed_id(blob_id)
    assert SIGNATURES.blob_of(signed_id) == blob_id
    assert SIGNATURES.blob_of(OLDER.signed_id(blob_id)) == blob_id
    assert OTHERS.blob_of(signed_id) is None


@given(IDS, st.data())
def test_an_edited_signed_id_names_nothing(blob_id: int, data: st.DataObject) -> None:
    signed_id = SIGNATURES.signed_id(blob_id)
    start, cut = data.draw(st.tuples(st.integers(0, len(signed_id)), st.integers(0, 3)))
    edited = signed_id[:start] + data.draw(st.text(max_size=3)) + signed_id[start + cut :]
    assume(edited != signed_id)
    assert SIGNATURES.blob_of(edited) is None


@given(st.text())
def test_what_nobody_signed_opens_nothing(text: str) -> None:
    now = datetime.now(UTC)
    assert SIGNATURES.blob_of(text) is None
    assert SIGNATURES.blob_to_upload(text, now) is None
    assert SIGNATURES.permission(text, now) is None


@given(IDS, IDS, st.sampled_from(["driver", "staff"]), MOMENTS)
def test_a_permission_holds_until_it_expires(
    blob_id: int, viewer_id: int, kind: Any, expires: datetime
) -> None:
    permission = Permission(Viewer(kind, viewer_id), blob_id)
    token = SIGNATURES.view(permission, expires)
    until = expires.replace(microsecond=0)
    assert SIGNATURES.permission(token, until - timedelta(microseconds=1)) == permission
    assert SIGNATURES.permission(token, until) is None
    upload = SIGNATURES.upload(blob_id, expires)
    assert SIGNATURES.blob_to_upload(upload, until - timedelta(microseconds=1)) == blob_id
    assert SIGNATURES.blob_to_upload(upload, until) is None


@given(MOMENTS)
def test_a_url_lasts_for_half_an_hour_to_an_hour(now: datetime) -> None:
    left = end_of_view(window_at(now)) - now
    assert timedelta(minutes=30) <= left <= timedelta(minutes=60)


@given(HEADERS, st.integers(1, 10**9))
def test_a_part_is_within_the_file(header: str, size: int) -> None:
    try:
        part = part_wanted(header, None, '"tag"', size)
    except RangeNotSatisfiable:
        return
    assert part is None or 0 <= part.start < part.stop <= size


@given(
    st.dictionaries(st.sampled_from(["filename", "content_type", "byte_size", "checksum"]), VALUES)
)
def test_any_announcement_is_judged(given_values: dict[str, Any]) -> None:
    blob, errors = judge_blob(given_values, 1000)
    assert errors or (0 < blob.byte_size <= 1000 and "/" not in blob.filename)


@given(st.dictionaries(st.sampled_from([*SLOTS, *LISTS]), VALUES))
def test_any_wish_for_files_is_judged(given_values: dict[str, Any]) -> None:
    fields = Fields(given_values, every=False)
    wanted = judge_files(given_values, fields)
    assert set(wanted) | set(fields.errors) == set(given_values)
    assert not set(wanted) & set(fields.errors)
    assert all(isinstance(each, str) for slot in wanted.values() for each in slot)


MINE = Subject(7, is_open=True, is_held=True)


@pytest.mark.parametrize(
    ("viewer", "subject", "allowed"),
    [
        (Viewer("driver", 7), MINE, True),
        (Viewer("driver", 8), MINE, False),
        (Viewer("staff", 7), MINE, False),
        (Viewer("driver", 7), MINE._replace(user_id=None), False),
        (Viewer("driver", 7), MINE._replace(is_open=False), False),
        (Viewer("driver", 7), MINE._replace(is_held=False), False),
    ],
)
def test_only_the_driver_whose_it_is_sees_a_file(
    viewer: Viewer, subject: Subject, *, allowed: bool
) -> None:
    assert may_see(viewer, subject) is allowed
