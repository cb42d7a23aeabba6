"""What storage cannot do."""


class StorageAway(Exception):
    """The storage cannot answer now."""


class NotStored(Exception):
    """There is no such file in the storage."""


class TooLong(Exception):
    """More bytes came than are taken."""
