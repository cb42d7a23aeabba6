"""Accounts on the wire."""

import msgspec


class Account(msgspec.Struct):
    """An account as its owner sees it."""

    id: int
    email: str
    phone_number: str | None
    created_at: str
    updated_at: str
