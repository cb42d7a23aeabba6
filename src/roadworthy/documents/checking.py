"""Looks into files before they are attached. What we do not take is removed at once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from roadworthy.database import Database
from roadworthy.documents.attachment import SLOTS
from roadworthy.documents.blob import joined_name, refusal_in
from roadworthy.documents.files import Files
from roadworthy.documents.placing_queries import find_placed
from roadworthy.documents.queries import Blob, find_blob, find_blobs, mark_inspected
from roadworthy.documents.rooms import RETRY_SECONDS, OneByOne
from roadworthy.documents.signatures import Signatures
from roadworthy.documents.wanted import Named
from roadworthy.inspection import IMAGES, PDF, FileRefused, Inspector, InspectorBusy, ScannerAway
from roadworthy.storage import NotStored, StorageAway
from roadworthy.wire import ServiceUnavailable
from roadworthy.wire.values import INVALID, Refused

NOT_PHOTOGRAPHS = "must be photographs where there are several"


class Asker(NamedTuple):
    """The driver who hands in, and the place where they ask from (`network_of`)."""

    user_id: int
    place: str


class Checking:
    """Makes of the files that a request wants those that may be attached."""

    def __init__(
        self,
        database: Database,
        files: Files,
        inspector: Inspector,
        signatures: Signatures,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._files = files
        self._storage = files.storage
        self._inspector = inspector
        self._signatures = signatures
        self._clock = clock
        self._turns = OneByOne[int]()

    async def check(
        self, asker: Asker, profile_id: int | None, wanted: Named, made: list[int]
    ) -> tuple[dict[str, list[int]], Mapping[str, list[str]]]:
        """The blobs for each slot, and what is wrong with those for other slots.

        Several photographs for a place for one have become one PDF, a blob that is added to `made`
        also when this raises. A driver's requests take turns, and then those from one place, so
        that others find room too.
        Raises `ServiceUnavailable` when they cannot be looked into now.
        """
        async with self._turns.one(asker.user_id):
            return await self._check(asker, profile_id, wanted, made)

    async def _check(
        self, asker: Asker, profile_id: int | None, wanted: Named, made: list[int]
    ) -> tuple[dict[str, list[int]], Mapping[str, list[str]]]:
        placing: dict[str, list[int]] = {}
        errors: dict[str, list[str]] = {}
        named, placed = await self._found(asker.user_id, profile_id, wanted)
        for slot, blobs in named.items():
            try:
                placing[slot] = await self._check_slot(asker, slot, blobs, placed, made)
            except Refused as refused:
                errors[slot] = [str(refused)]
            except (InspectorBusy, ScannerAway):
                raise ServiceUnavailable(RETRY_SECONDS) from None
        return placing, errors

    async def _found(
        self, user_id: int, profile_id: int | None, wanted: Named
    ) -> tuple[dict[str, list[Blob] | None], dict[int, str]]:
        """The blobs for each slot, none where one is unknown, and where the driver's are now.

        In this order: one that another request attaches in between waits no more, and is there.
        """
        named = {slot: await self._named(signed_ids) for slot, signed_ids in wanted.items()}
        if profile_id is None or not any(named.values()):
            return named, {}
        return named, await self._database.read(find_placed, user_id, profile_id)

    async def _check_slot(
        self,
        asker: Asker,
        slot: str,
        named: Sequence[Blob] | None,
        placed: Mapping[int, str],
        made: list[int],
    ) -> list[int]:
        if named is None:
            raise Refused(INVALID)
        blobs = []
        for blob in named:
            if placed.get(blob.id) == slot:
                blobs.append(blob)
            elif blob.may_be_attached(asker.user_id, self._clock()):
                blobs.append(await self._checked(asker, blob, slot))
            else:
                raise Refused(INVALID)
        if slot in SLOTS and len(blobs) > 1:
            there = [blob_id for blob_id, place in placed.items() if place == slot]
            return [await self._joined_or_discarded(asker, blobs, there, made)]
        return [blob.id for blob in blobs]

    async def _named(self, signed_ids: Sequence[str]) -> list[Blob] | None:
        ids = dict.fromkeys(self._signatures.blob_of(signed_id) for signed_id in signed_ids)
        found = await self._database.read(find_blobs, [each for each in ids if each]) if ids else {}
        if len(found) < len(ids):
            return None
        return [found[blob_id] for blob_id in ids if blob_id]

    async def _checked(self, asker: Asker, blob: Blob, slot: str) -> Blob:
        if blob.detected_type is None:
            blob = await self._inspected(asker, blob)
        reason = refusal_in(slot, blob.detected_type or "")
        if reason:
            await self._files.discard(blob)
            raise Refused(reason)
        return blob

    async def _inspected(self, asker: Asker, blob: Blob) -> Blob:
        """The blob with its type known; its bytes are where nobody can change them any more."""
        key = blob.key if blob.uploaded_at else await self._storage.accept(blob.key)
        if key is None:
            return await self._inspected_by_another(blob)
        try:
            content_type = await self._inspect(asker, blob, key)
        except BaseException as reason:
            if isinstance(reason, Refused):
                await self._files.discard(blob)
            await self._remove_copy(blob, key)
            raise
        if not await self._database.write(
            mark_inspected, blob.id, key, content_type, self._clock()
        ):
            await self._remove_copy(blob, key)
            return await self._inspected_by_another(blob)
        if key != blob.key:
            await self._remove(blob.key)
        return blob._replace(key=key, detected_type=content_type)

    async def _inspect(self, asker: Asker, blob: Blob, key: str) -> str:
        try:
            async with self._storage.fetched(key) as path:
                if blob.uploaded_at is None:
                    file = await self._storage.spool.measure(path)
                    if (file.byte_size, file.checksum) != (blob.byte_size, blob.checksum):
                        raise Refused(INVALID)
                return await self._inspector.inspect(path, asker.place)
        except FileRefused as refused:
            raise Refused(str(refused)) from None
        except NotStored:
            raise Refused(INVALID) from None

    async def _inspected_by_another(self, blob: Blob) -> Blob:
        found = await self._database.read(find_blob, blob.id)
        if found is None or found.detected_type is None or found.purged_at is not None:
            raise Refused(INVALID)
        return found

    async def _remove_copy(self, blob: Blob, key: str) -> None:
        if key != blob.key:
            await self._remove(key)

    async def _remove(self, key: str) -> None:
        """What no row names: where it cannot be removed now, the sweep of such files does."""
        with suppress(StorageAway):
            await self._storage.delete(key)

    async def _joined_or_discarded(
        self, asker: Asker, blobs: Sequence[Blob], there: Sequence[int], made: list[int]
    ) -> int:
        """A document that is refused is refused whole; what is none may be one elsewhere."""
        if any(blob.detected_type not in IMAGES for blob in blobs):
            raise Refused(NOT_PHOTOGRAPHS)
        try:
            return await self._joined(asker, blobs, there, made)
        except Refused:
            for blob in blobs:
                await self._files.discard(blob)
            raise

    async def _joined(
        self, asker: Asker, blobs: Sequence[Blob], there: Sequence[int], made: list[int]
    ) -> int:
        """The id of one PDF of the photographs, in their order; if it is `there`, of that one."""
        async with self._storage.spool.empty() as target:
            await self._join(asker, blobs, target)
            file = await self._storage.spool.measure(target)
            for placed in (await self._database.read(find_blobs, there)).values():
                if (placed.byte_size, placed.checksum) == (file.byte_size, file.checksum):
                    return placed.id
            blob_id = await self._files.keep(
                asker.user_id, file, joined_name(blobs[0].filename), PDF
            )
        made.append(blob_id)
        joined = await self._database.read(find_blob, blob_id)
        if joined is None:
            raise Refused(INVALID)
        await self._database.write(mark_inspected, blob_id, joined.key, PDF, self._clock())
        return blob_id

    async def _join(self, asker: Asker, blobs: Sequence[Blob], target: Path) -> None:
        async with AsyncExitStack() as stack:
            try:
                paths = [
                    await stack.enter_async_context(self._storage.fetched(blob.key))
                    for blob in blobs
                ]
                await self._inspector.join(paths, target, self._files.most_bytes, asker.place)
            except FileRefused as refused:
                raise Refused(str(refused)) from None
            except NotStored:
                raise Refused(INVALID) from None
