"""Every setting, read from the environment in this one place."""

import contextlib
import difflib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from roadworthy.storage import Credentials, require_storage

PREFIX = "ROADWORTHY_"
SAFE_SECRET_BYTES = 32
MOST_FILE_MB = 1024

_PUBLIC_URL = re.compile(r"https?://[\w.\-\[\]:]+(?:/[\w.~%/-]*)?", re.ASCII)
_PASSWORD = re.compile(r"(//[^:/@]*:).*@")

_SECRET_FILE = "secret"  # noqa: S105 -- where it is, not what it is


class SettingsError(ValueError):
    """A setting is unknown or has a value that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """What the service was told. Build it with `load_settings`."""

    data_dir: Path
    database_url: str
    migration_database_url: str
    secret_key: tuple[str, ...]
    """The first signs tokens, all verify them; empty: the data folder's generated one."""
    public_url: str
    cors_origins: frozenset[str]
    metrics_token: str
    """Who may read metrics; empty: whoever is on this machine."""
    storage_url: str
    """Where files are kept: `file:///…` or `s3://…`."""
    storage_credentials: Credentials | None
    """Who we are at an S3-compatible service, where the URL does not say."""
    max_file_mb: int
    clamav: str
    """The URL of a scanner that looks at every file; empty: none does."""

    @property
    def incoming(self) -> Path:
        """The folder for files on their way to a bucket."""
        return self.data_dir / "incoming"

    @property
    def embedded(self) -> bool:
        """Whether the database is the SQLite file of the data folder."""
        return self.database_url.startswith("sqlite:")


@dataclass(frozen=True)
class Shown:
    """One line of `roadworthy config`."""

    name: str
    value: str
    source: str
    meaning: str


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that `environment` asks for. Raises `SettingsError`."""
    _refuse_unknown(environment)
    values = {option.field: option.read(environment) for option in _OPTIONS}
    values["database_url"] = (
        values["database_url"] or f"sqlite:///{values['data_dir']}/roadworthy.db"
    )
    values["migration_database_url"] = values["migration_database_url"] or values["database_url"]
    values["storage_url"] = (
        values["storage_url"] or f"file://{quote(str(values['data_dir']))}/files"
    )
    settings = Settings(**values, storage_credentials=_credentials(environment))
    _require_storage(settings)
    return settings


def _credentials(environment: Mapping[str, str]) -> Credentials | None:
    """Those that every tool of Amazon's takes from the environment."""
    key, secret = (
        environment.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    )
    if not key or not secret:
        return None
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    return Credentials(key, secret, environment.get("AWS_SESSION_TOKEN"), region)


def _require_storage(settings: Settings) -> None:
    try:
        require_storage(settings.storage_url, settings.storage_credentials)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}STORAGE_URL: {error}") from None


def show_settings(environment: Mapping[str, str] = os.environ) -> list[Shown]:
    """Every setting with its value and where that comes from, secrets masked."""
    settings = load_settings(environment)
    return [
        Shown(
            option.name,
            option.mask(option.show(_in_use(option, settings))),
            "environment" if environment.get(option.name) else option.default_source,
            option.meaning,
        )
        for option in _OPTIONS
    ]


def _in_use(option: "_Option", settings: Settings) -> Any:
    if option.field == "secret_key" and (settings.data_dir / _SECRET_FILE).exists():
        return settings.secret_key or ("generated",)
    return getattr(settings, option.field)


def warnings(settings: Settings) -> list[str]:
    """What is allowed, and probably not meant."""
    found = []
    if any(len(secret.encode()) < SAFE_SECRET_BYTES for secret in settings.secret_key):
        found.append(
            f"ROADWORTHY_SECRET_KEY has a secret of fewer than {SAFE_SECRET_BYTES} bytes, which "
            "can be guessed from a token (RFC 7518, 3.2): put a longer one before it"
        )
    if not settings.embedded and not settings.secret_key:
        found.append(
            "ROADWORTHY_SECRET_KEY is not set, so this server signs with a secret of its own: "
            "set it, and the same on every server of this database"
        )
    return found


def signing_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets for tokens: the configured ones, else the data folder's, made when missing.

    Raises `OSError` when the data folder cannot be used.
    """
    return settings.secret_key or (_kept_secret(settings.data_dir / _SECRET_FILE),)


def _kept_secret(path: Path) -> str:
    if not path.exists():
        _make_secret(path)
    kept = path.read_text("ascii").strip()
    if not kept:
        raise SettingsError(f"{path} is empty: put the secret back, or delete the file")
    return kept


def _make_secret(path: Path) -> None:
    """Whole or not at all; who comes second leaves the first one's."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as file:  # 0600
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@dataclass(frozen=True)
class _Option:
    field: str
    default: str
    parse: Callable[[str], Any]
    meaning: str
    show: Callable[[Any], str] = str
    mask: Callable[[str], str] = str
    default_source: str = "default"

    @property
    def name(self) -> str:
        return PREFIX + self.field.upper()

    def read(self, environment: Mapping[str, str]) -> Any:
        try:
            return self.parse(environment.get(self.name) or self.default)
        except ValueError as error:
            raise SettingsError(f"{self.name}: {error}") from None


def _database_url(text: str) -> str:
    if not text:
        return text
    scheme = urlsplit(text).scheme
    if scheme in {"postgresql", "postgres"}:
        _require_readable(text)
        return "postgresql" + text[len(scheme) :]
    if scheme == "sqlite" and text.startswith("sqlite:///"):
        return text
    raise ValueError("must be postgresql://user:password@host/name or sqlite:///path/to/file.db")


def _require_readable(url: str) -> None:
    """Without its words in the error: they may be part of a password."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError(
            "cannot be read: percent-encode what is special in its user and password"
        ) from None


def _url(text: str) -> str:
    if text and not _PUBLIC_URL.fullmatch(text):
        raise ValueError("must be like https://drivers.example.com or https://example.com/drivers")
    return text.rstrip("/")


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
            raise ValueError(f"{origin!r} is not an origin such as https://app.example.com")
    return origins


def _megabytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_FILE_MB:
        raise ValueError(f"must be a number from 1 to {MOST_FILE_MB}")
    return int(text)


def _scanner(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_tcp = parts.scheme == "tcp" and parts.hostname and parts.port and not parts.path
    except ValueError:
        is_tcp = False
    if text and not is_tcp and not text.startswith("unix:///"):
        raise ValueError("must be unix:///path/to/socket or tcp://host:port")
    return text


def _secret_keys(text: str) -> tuple[str, ...]:
    secrets_given = tuple(part.strip() for part in text.split(",") if part.strip())
    if text and not secrets_given:
        raise ValueError("names no secret: unset it, or give one")
    return secrets_given


def _mask_all(text: str) -> str:
    return "********" if text else ""


def _mask_password(url: str) -> str:
    address, mark, query = _PASSWORD.sub(r"\1********@", url).partition("?")
    options = [
        f"{name}=********" if "pass" in unquote(name).lower() else name + equals + value
        for name, equals, value in (option.partition("=") for option in query.split("&"))
    ]
    return address + mark + "&".join(options)


_OPTIONS = (
    _Option(
        "data_dir",
        "./var",
        lambda text: Path(text).absolute(),
        "the folder that holds the embedded database and the generated secret",
    ),
    _Option(
        "database_url",
        "",
        _database_url,
        "postgresql://… to serve from PostgreSQL",
        mask=_mask_password,
        default_source="default: SQLite in the data folder",
    ),
    _Option(
        "migration_database_url",
        "",
        _database_url,
        "the owner that `roadworthy migrate` connects as",
        mask=_mask_password,
        default_source="default: the database URL",
    ),
    _Option(
        "secret_key",
        "",
        _secret_keys,
        "signs tokens; comma-separated: the first signs, all verify",
        show=",".join,
        mask=_mask_all,
        default_source="default: generated in the data folder",
    ),
    _Option("public_url", "", _url, "where people reach the service, for the API document"),
    _Option(
        "cors_origins",
        "",
        _origins,
        "comma-separated origins whose pages may call the API",
        show=lambda origins: ",".join(sorted(origins)),
    ),
    _Option(
        "storage_url",
        "",
        str.strip,
        "where files are kept: `s3://bucket/prefix?endpoint=…&region=…`, or `file:///path/to/folder`",
        mask=_mask_password,
        default_source="default: the folder `files` in the data folder",
    ),
    _Option(
        "max_file_mb",
        "20",
        _megabytes,
        "how large a file may be, in MB (1,048,576 bytes)",
    ),
    _Option(
        "metrics_token",
        "",
        str.strip,
        "the bearer token that reads /metrics; unset: this machine only",
        mask=_mask_all,
    ),
    _Option(
        "clamav",
        "",
        _scanner,
        "where ClamAV's daemon listens, which then looks at every file: `unix:///path` or `tcp://…`",
    ),
)


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [option.name for option in _OPTIONS]
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise SettingsError(f"{name} is no setting of ours; did you mean {nearest}?")
