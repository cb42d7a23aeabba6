"""Every setting, read from the environment in this one place."""

import contextlib
import difflib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import getaddresses
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from roadworthy.storage import Credentials, require_storage

PREFIX = "ROADWORTHY_"
SAFE_SECRET_BYTES = 32
MOST_FILE_MB = 1024
MOST_DAYS = 36_500

NOBODY = "Roadworthy <no-reply@localhost>"
"""Whom mail is from until an operator says."""

_PUBLIC_URL = re.compile(r"https?://[\w.\-\[\]:]+(?:/[\w.~%/-]*)?", re.ASCII)
_PASSWORD = re.compile(r"(//[^:/@]*:).*@")

_LIMIT = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})([smhd])", re.ASCII)
_LIMITS_ARE = "write one for an account and one for an address, such as 10/15m,100/15m"
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}

_SECRET_FILE = "secret"  # noqa: S105 -- where it is, not what it is
SECRET_FILE = "secret"  # noqa: S105 -- where it is, not what it is


class SettingsError(ValueError):
    """A setting is unknown or has a value that cannot be used; the message says what to do."""


class Limit(NamedTuple):
    """So many tries at once, which come back one by one and are all back after `period`."""

    tries: int
    period: timedelta


class Limits(NamedTuple):
    """Of tries at one account, and of tries from one address; `None`: as many as they like."""

    account: Limit | None
    address: Limit | None


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
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    sign_in_limit: Limits
    sign_up_limit: Limits
    mail_limit: Limits
    devise_pepper: str
    smtp_url: str
    """Where mail is handed over; empty: it is written to `outbox`."""
    mail_from: str
    tombstones_dir: Path
    """Where a copy of what must stay revoked is kept apart from the database."""
    backup_passphrase: str
    metrics_token: str
    """Who may read metrics; empty: whoever is on this machine."""
    tls_cert: Path | None
    tls_key: Path | None
    """Both are given or neither."""
    storage_url: str
    """Where files are kept: `file:///…` or `s3://…`."""
    storage_credentials: Credentials | None
    """Who we are at an S3-compatible service, where the URL does not say."""
    max_file_mb: int
    closed_account_days: int
    """For how long everything of a closed account is kept."""
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

    @property
    def outbox(self) -> Path:
        """The folder for mail that no server takes."""
        return self.data_dir / "outbox"

    @property
    def copies_dir(self) -> Path:
        """Where the embedded database is copied to before it is migrated or backed up."""
        return self.data_dir / "backups"

    @property
    def restoring_dir(self) -> Path:
        """Where a backup lies while it is put back; there is none before and after."""
        return self.data_dir / "restoring"


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
    if bool(values["tls_cert"]) != bool(values["tls_key"]):
        raise SettingsError("set both ROADWORTHY_TLS_CERT and ROADWORTHY_TLS_KEY, or neither")
    values["tombstones_dir"] = values["tombstones_dir"] or values["data_dir"]
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
    if option.field == "secret_key" and (settings.data_dir / SECRET_FILE).exists():
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
    if settings.smtp_url and settings.mail_from == NOBODY:
        found.append(
            f"ROADWORTHY_MAIL_FROM is not set, so mail is from {NOBODY}, which servers refuse: "
            "set it to an address of yours"
        )
    if settings.smtp_url and not settings.public_url:
        found.append(
            "ROADWORTHY_PUBLIC_URL is not set, so links in mails lead to this machine: set it to "
            "where people reach the service"
        )
    return found


def signing_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets for tokens: the configured ones, else the data folder's, made when missing.

    Raises `OSError` when the data folder cannot be used.
    """
    return settings.secret_key or _secret_keys(_kept_secret(settings.data_dir / SECRET_FILE))


def sender(settings: Settings) -> Address:
    """Whom mail is from."""
    return _address(settings.mail_from)


def _kept_secret(path: Path) -> str:
    if not path.exists():
        _make_secret(path)
    try:
        kept = path.read_text("ascii").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is damaged: put the secret back, or delete the file") from None
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
    path = text.removeprefix("sqlite:///")
    if path != text and path and not path.startswith((":", "file:")) and "?" not in path:
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


def _smtp_url(text: str) -> str:
    if not text:
        return text
    _require_readable(text)
    parts = urlsplit(text)
    queries = {"smtp": ("", "starttls=required"), "smtps": ("",)}
    is_bare = parts.path in {"", "/"} and not parts.fragment
    if not (is_bare and parts.hostname and parts.query in queries.get(parts.scheme, ())):
        raise ValueError(
            "must be smtp://user:password@host:port, with ?starttls=required behind it if it "
            "must, or smtps://…"
        )
    if parts.password and not parts.username:
        raise ValueError("has a password and no user")
    return text


def _mail_from(text: str) -> str:
    try:
        address = _address(text)
    except (ValueError, IndexError, HeaderParseError):
        address = Address()
    parts = (address.username, address.domain)
    if not (all(parts) and address.addr_spec.isascii() and text.isprintable()):
        raise ValueError("must be like no-reply@example.com or Coaches <no-reply@example.com>")
    return text


def _address(text: str) -> Address:
    ((name, address),) = getaddresses([text])
    return Address(name, addr_spec=address)


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
            raise ValueError(f"{origin!r} is not an origin such as https://app.example.com")
    return origins


def _proxies(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        networks = tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{error}: name proxies like 10.0.0.5 or 10.0.0.0/24") from None
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("names everybody, who could then say to be anybody: name your proxies")
    return networks


def _limits(text: str) -> Limits:
    parts = [part.strip() for part in text.split(",")]
    if parts == ["off"]:
        return Limits(None, None)
    if len(parts) != len(Limits._fields):
        raise ValueError(f"{_LIMITS_ARE}, or off")
    return Limits(*(_limit(part) for part in parts))


def _limit(text: str) -> Limit | None:
    if text == "off":
        return None
    written = _LIMIT.fullmatch(text)
    if not written:
        raise ValueError(f"{text!r} is no limit: {_LIMITS_ARE}, or off")
    tries, amount, unit = written.groups()
    return Limit(int(tries), int(amount) * _UNITS[unit])


def _show_limits(limits: Limits) -> str:
    return ",".join(_show_limit(limit) for limit in limits) if any(limits) else "off"


def _show_limit(limit: Limit | None) -> str:
    if limit is None:
        return "off"
    unit, size = next(each for each in _UNITS.items() if not limit.period % each[1])
    return f"{limit.tries}/{limit.period // size}{unit}"


def _whole(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise ValueError(f"must be a number from 1 to {most}")
        return int(text)

    return read


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


def _file(text: str) -> Path | None:
    return Path(text).absolute() if text else None


def _show_file(path: Path | None) -> str:
    return str(path or "")


def _mask_all(text: str) -> str:
    return "********" if text else ""


def _mask_password(url: str) -> str:
    address, mark, query = _PASSWORD.sub(r"\1********@", url).partition("?")
    options = [
        f"{name}=********" if "pass" in unquote(name).lower() else name + equals + value
        for name, equals, value in (option.partition("=") for option in query.split("&"))
    ]
    return address + mark + "&".join(options)


def _mask_login(url: str) -> str:
    """The same for a URL without options, whose user may have an @ as mail servers' users do."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return parts._replace(netloc=f"{user}:********@{host}").geturl() if colon else url


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
        "the owner that `roadworthy migrate` and the imports connect as",
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
    _Option(
        "public_url",
        "",
        _url,
        "where people reach the service, for links in mails and the API document",
    ),
    _Option(
        "cors_origins",
        "",
        _origins,
        "comma-separated origins whose pages may call the API",
        show=lambda origins: ",".join(sorted(origins)),
    ),
    _Option(
        "trusted_proxies",
        "",
        _proxies,
        "comma-separated addresses and networks of proxies whose `X-Forwarded-For` is believed",
        show=lambda networks: ",".join(str(network) for network in networks),
    ),
    _Option(
        "sign_in_limit",
        "10/15m,100/15m",
        _limits,
        "wrong passwords for an account, and from an address, before 429; or `off`",
        show=_show_limits,
    ),
    _Option(
        "sign_up_limit",
        "10/1h,100/1h",
        _limits,
        "sign-ups of an account, and from an address, before 429; or `off`",
        show=_show_limits,
    ),
    _Option(
        "mail_limit",
        "5/1h,50/1h",
        _limits,
        "mails asked for by who is not signed in, to an account, and from an address, before 429; "
        "or `off`",
        show=_show_limits,
    ),
    _Option(
        "devise_pepper",
        "",
        str,
        "the `config.pepper` of the Rails service whose passwords moved in, if it had one",
        mask=_mask_all,
    ),
    _Option(
        "smtp_url",
        "",
        _smtp_url,
        "smtp:// or smtps:// to send mail by; unset: it is written to `outbox` in the data folder",
        mask=_mask_login,
    ),
    _Option("mail_from", NOBODY, _mail_from, "the address that mail is from"),
    _Option(
        "backup_passphrase",
        "",
        str,
        "encrypts what `roadworthy backup` writes",
        mask=_mask_all,
    ),
    _Option(
        "tombstones_dir",
        "",
        lambda text: Path(text).absolute() if text else None,
        "a folder, better on another disk, for a copy of what must stay revoked after a restore",
        default_source="default: the data folder",
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
        _whole(MOST_FILE_MB),
        "how large a file may be, in MB (1,048,576 bytes)",
    ),
    _Option(
        "closed_account_days",
        "180",
        _whole(MOST_DAYS),
        "for how many days everything of a closed account is kept",
    ),
    _Option(
        "metrics_token",
        "",
        str.strip,
        "the bearer token that reads /metrics; unset: this machine only",
        mask=_mask_all,
    ),
    _Option(
        "tls_cert",
        "",
        _file,
        "to speak HTTPS: the certificate and those that lead to its issuer, PEM",
        show=_show_file,
    ),
    _Option("tls_key", "", _file, "and its private key, PEM, not encrypted", show=_show_file),
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
            nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0)[0]
            raise SettingsError(f"{name} is no setting of ours; did you mean {nearest}?")
