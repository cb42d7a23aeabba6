"""Settings: read from the environment, each with its source, none of them unknown."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from roadworthy.settings import (
    Limit,
    Limits,
    SettingsError,
    load_settings,
    sender,
    show_settings,
    signing_secrets,
    warnings,
)

UNKNOWN = [
    ("ROADWORTHY_SECRET", "ROADWORTHY_SECRET_KEY"),
    ("ROADWORTHY_SECRET_KEYS", "ROADWORTHY_SECRET_KEY"),
    ("ROADWORTHY_DATABASE", "ROADWORTHY_DATABASE_URL"),
    ("ROADWORTHY_DATABSE_URL", "ROADWORTHY_DATABASE_URL"),
    ("ROADWORTHY_CORS_ORIGIN", "ROADWORTHY_CORS_ORIGINS"),
    ("ROADWORTHY_DATADIR", "ROADWORTHY_DATA_DIR"),
    ("ROADWORTHY_data_dir", "ROADWORTHY_DATA_DIR"),
    ("ROADWORTHY_PUBLIC_URI", "ROADWORTHY_PUBLIC_URL"),
]
NOT_USABLE = [
    ("ROADWORTHY_DATABASE_URL", "mysql://root@localhost/roadworthy"),
    ("ROADWORTHY_DATABASE_URL", "roadworthy.db"),
    ("ROADWORTHY_DATABASE_URL", "sqlite://roadworthy.db"),
    ("ROADWORTHY_DATABASE_URL", "sqlite:///"),
    ("ROADWORTHY_DATABASE_URL", "sqlite:///:memory:"),
    ("ROADWORTHY_DATABASE_URL", "sqlite:////data/roadworthy.db?mode=ro"),
    ("ROADWORTHY_MIGRATION_DATABASE_URL", "oracle://x"),
    ("ROADWORTHY_CORS_ORIGINS", "app.example.com"),
    ("ROADWORTHY_CORS_ORIGINS", "https://app.example.com/"),
    ("ROADWORTHY_CORS_ORIGINS", "https://app.example.com,*"),
    ("ROADWORTHY_CORS_ORIGINS", "ftp://app.example.com"),
    ("ROADWORTHY_PUBLIC_URL", "roadworthy.example.com"),
    ("ROADWORTHY_SECRET_KEY", " , "),
    ("ROADWORTHY_TRUSTED_PROXIES", "proxy.example.com"),
    ("ROADWORTHY_TRUSTED_PROXIES", "10.0.0.1/8"),
    ("ROADWORTHY_TRUSTED_PROXIES", "10.0.0.0/8, 0.0.0.0/0"),
    ("ROADWORTHY_TRUSTED_PROXIES", "::/0"),
    ("ROADWORTHY_SIGN_IN_LIMIT", "10"),
    ("ROADWORTHY_SIGN_IN_LIMIT", "10/15m"),
    ("ROADWORTHY_SIGN_IN_LIMIT", "10/15m,100/15m,1000/15m"),
    ("ROADWORTHY_SIGN_IN_LIMIT", "0/15m,100/15m"),
    ("ROADWORTHY_SIGN_IN_LIMIT", "10/0m,100/15m"),
    ("ROADWORTHY_SIGN_IN_LIMIT", "10/15,100/15m"),
    ("ROADWORTHY_SIGN_IN_LIMIT", "10/15m,none"),
    ("ROADWORTHY_SIGN_UP_LIMIT", "1.5/1h,1/1h"),
    ("ROADWORTHY_MAIL_LIMIT", "-1/1h,1/1h"),
    ("ROADWORTHY_SMTP_URL", "mail.example.com"),
    ("ROADWORTHY_SMTP_URL", "mail.example.com:587"),
    ("ROADWORTHY_SMTP_URL", "http://mail.example.com"),
    ("ROADWORTHY_SMTP_URL", "smtp://"),
    ("ROADWORTHY_SMTP_URL", "smtp://mail.example.com:many"),
    ("ROADWORTHY_SMTP_URL", "smtp://mail.example.com/inbox"),
    ("ROADWORTHY_SMTP_URL", "smtp://mail.example.com?starttls=maybe"),
    ("ROADWORTHY_SMTP_URL", "smtps://mail.example.com?starttls=required"),
    ("ROADWORTHY_SMTP_URL", "smtp://:swordfish@mail.example.com"),
    ("ROADWORTHY_MAIL_FROM", "Coaches"),
    ("ROADWORTHY_MAIL_FROM", "@example.com"),
    ("ROADWORTHY_MAIL_FROM", "post@"),
    ("ROADWORTHY_MAIL_FROM", "a@example.com, b@example.com"),
    ("ROADWORTHY_MAIL_FROM", "zoë@example.com"),
    ("ROADWORTHY_MAIL_FROM", "post@example.com\nBcc: all@example.com"),
    ("ROADWORTHY_CLAMAV", "/run/clamav/clamd.ctl"),
    ("ROADWORTHY_CLAMAV", "unix://run/clamav/clamd.ctl"),
    ("ROADWORTHY_CLAMAV", "tcp://127.0.0.1"),
    ("ROADWORTHY_CLAMAV", "tcp://127.0.0.1:no"),
    ("ROADWORTHY_CLAMAV", "http://127.0.0.1:3310"),
]
SECRETS = [
    ("ROADWORTHY_SECRET_KEY", "swordfish,sardine", "swordfish"),
    ("ROADWORTHY_SECRET_KEY", "swordfish,sardine", "sardine"),
    ("ROADWORTHY_DATABASE_URL", "postgresql://me:swordfish@localhost/db", "swordfish"),
    ("ROADWORTHY_MIGRATION_DATABASE_URL", "postgresql://me:swordfish@localhost/db", "swordfish"),
    ("ROADWORTHY_DEVISE_PEPPER", "swordfish", "swordfish"),
    ("ROADWORTHY_SMTP_URL", "smtp://me:swordfish@mail.example.com", "swordfish"),
    ("ROADWORTHY_SMTP_URL", "smtps://me@example.com:sword%20fish@mail.example.com", "sword"),
]


def test_defaults() -> None:
    settings = load_settings({})

    assert settings.data_dir == Path("var").absolute()
    assert settings.database_url == f"sqlite:///{settings.data_dir}/roadworthy.db"
    assert settings.migration_database_url == settings.database_url
    assert settings.embedded
    assert settings.secret_key == ()
    assert settings.cors_origins == frozenset()


def test_what_the_environment_says() -> None:
    settings = load_settings(
        {
            "ROADWORTHY_DATA_DIR": "/data",
            "ROADWORTHY_DATABASE_URL": "postgres://me@localhost/db",
            "ROADWORTHY_SECRET_KEY": " new , old ",
            "ROADWORTHY_CORS_ORIGINS": "https://a.example.com, http://localhost:3000",
            "ROADWORTHY_PUBLIC_URL": "https://roadworthy.example.com/",
            "ROADWORTHY_CLAMAV": "tcp://127.0.0.1:3310",
            "PATH": "/bin",
        }
    )

    assert settings.data_dir == Path("/data")
    assert settings.database_url == "postgresql://me@localhost/db"
    assert settings.migration_database_url == settings.database_url
    assert not settings.embedded
    assert settings.secret_key == ("new", "old")
    assert settings.cors_origins == {"https://a.example.com", "http://localhost:3000"}
    assert settings.public_url == "https://roadworthy.example.com"
    assert settings.clamav == "tcp://127.0.0.1:3310"


def test_a_setting_that_is_empty_is_not_set() -> None:
    assert load_settings({"ROADWORTHY_DATABASE_URL": "", "ROADWORTHY_SECRET_KEY": ""}) == (
        load_settings({})
    )


@pytest.mark.parametrize(("name", "nearest"), UNKNOWN)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({name: "x"})

    assert name in str(refused.value)
    assert str(refused.value).endswith(f"did you mean {nearest}?")


@pytest.mark.parametrize(("name", "value"), NOT_USABLE)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load_settings({name: value})


@pytest.mark.parametrize(("name", "value", "secret"), SECRETS)
def test_secrets_are_masked(name: str, value: str, secret: str) -> None:
    (shown,) = (shown for shown in show_settings({name: value}) if shown.name == name)

    assert secret not in repr(shown)
    assert "*" in shown.value


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("post@example.com", "", "post@example.com"),
        ("Coaches <post@example.com>", "Coaches", "post@example.com"),
        ('"Kéolis, Leeds" <post@example.com>', "Kéolis, Leeds", "post@example.com"),
        ("", "Roadworthy", "no-reply@localhost"),
    ],
)
def test_whom_mail_is_from(text: str, name: str, address: str) -> None:
    found = sender(load_settings({"ROADWORTHY_MAIL_FROM": text}))

    assert (found.display_name, found.addr_spec) == (name, address)


def test_the_rest_of_a_masked_url_is_shown() -> None:
    url = "postgresql://me:swordfish@db.example.com:5433/roadworthy?sslmode=require"
    shown = {each.name: each.value for each in show_settings({"ROADWORTHY_DATABASE_URL": url})}

    assert shown["ROADWORTHY_DATABASE_URL"] == url.replace("swordfish", "********")


def test_a_secret_that_is_not_set_is_not_masked(tmp_path: Path) -> None:
    settings = show_settings({"ROADWORTHY_DATA_DIR": str(tmp_path)})
    shown = {each.name: each.value for each in settings}

    assert shown["ROADWORTHY_SECRET_KEY"] == ""


def test_every_setting_says_where_it_comes_from() -> None:
    shown = {each.name: each for each in show_settings({"ROADWORTHY_DATA_DIR": "/data"})}

    assert shown["ROADWORTHY_DATA_DIR"].source == "environment"
    assert shown["ROADWORTHY_DATA_DIR"].value == "/data"
    others = [each for each in shown.values() if each.name != "ROADWORTHY_DATA_DIR"]
    assert others
    for each in others:
        assert each.source.startswith("default"), each
    for each in shown.values():
        assert each.meaning, each


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    """An empty secret would let anybody sign tokens."""
    (tmp_path / "secret").write_text("\n")

    with pytest.raises(SettingsError, match="secret is empty"):
        signing_secrets(load_settings({"ROADWORTHY_DATA_DIR": str(tmp_path)}))


def test_a_damaged_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match="secret is damaged"):
        signing_secrets(load_settings({"ROADWORTHY_DATA_DIR": str(tmp_path)}))


def test_a_generated_secret_is_made_once(tmp_path: Path) -> None:
    settings = load_settings({"ROADWORTHY_DATA_DIR": str(tmp_path)})
    (made,) = signing_secrets(settings)

    assert len(made) >= 32
    assert signing_secrets(settings) == (made,)


def test_a_generated_secret_is_shown_masked_once_it_is_there(tmp_path: Path) -> None:
    environment = {"ROADWORTHY_DATA_DIR": str(tmp_path)}

    def shown() -> str:
        return {each.name: each.value for each in show_settings(environment)}[
            "ROADWORTHY_SECRET_KEY"
        ]

    assert shown() == ""
    signing_secrets(load_settings(environment))
    assert shown() == "********"


_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("written", "meant", "shown"),
    [
        ("10/15m,100/15m", ((10, 15 * _MINUTE), (100, 15 * _MINUTE)), "10/15m,100/15m"),
        (" 1/90s , 7/2h ", ((1, 1.5 * _MINUTE), (7, 2 * _HOUR)), "1/90s,7/2h"),
        ("5/60m,9/48h", ((5, _HOUR), (9, 48 * _HOUR)), "5/1h,9/2d"),
        ("off,100/1d", (None, (100, 24 * _HOUR)), "off,100/1d"),
        ("3/1s,off", ((3, timedelta(seconds=1)), None), "3/1s,off"),
        ("off", (None, None), "off"),
        ("off,off", (None, None), "off"),
    ],
)
def test_limits(written: str, meant: tuple[tuple[int, timedelta] | None, ...], shown: str) -> None:
    environment = {"ROADWORTHY_SIGN_IN_LIMIT": written}
    limits = Limits(*(each and Limit(*each) for each in meant))

    assert load_settings(environment).sign_in_limit == limits
    (said,) = (s for s in show_settings(environment) if s.name == "ROADWORTHY_SIGN_IN_LIMIT")
    assert said.value == shown


def test_trusted_proxies() -> None:
    environment = {"ROADWORTHY_TRUSTED_PROXIES": "10.0.0.5, 10.1.0.0/16,2001:db8::/32"}
    assert load_settings(environment).trusted_proxies == (
        ip_network("10.0.0.5/32"),
        ip_network("10.1.0.0/16"),
        ip_network("2001:db8::/32"),
    )


_SAFE = "s" * 32
_SMTP = {"ROADWORTHY_SMTP_URL": "smtp://mail.example.com"}
_POSTGRESQL = {"ROADWORTHY_DATABASE_URL": "postgresql://me@localhost/db"}


@pytest.mark.parametrize(
    ("environment", "warned_of"),
    [
        ({}, []),
        ({"ROADWORTHY_SECRET_KEY": _SAFE}, []),
        ({"ROADWORTHY_SECRET_KEY": "short"}, ["can be guessed"]),
        ({"ROADWORTHY_SECRET_KEY": f"{_SAFE},short"}, ["can be guessed"]),
        (_POSTGRESQL, ["is not set"]),
        ({**_POSTGRESQL, "ROADWORTHY_SECRET_KEY": _SAFE}, []),
        (_SMTP, ["mail is from", "links in mails"]),
        ({**_SMTP, "ROADWORTHY_MAIL_FROM": "post@example.com"}, ["links in mails"]),
        (
            {
                **_SMTP,
                "ROADWORTHY_MAIL_FROM": "post@example.com",
                "ROADWORTHY_PUBLIC_URL": "https://example.com",
            },
            [],
        ),
    ],
)
def test_what_is_probably_not_meant(environment: dict[str, str], warned_of: list[str]) -> None:
    found = warnings(load_settings(environment))

    assert len(found) == len(warned_of)
    for warning, words in zip(found, warned_of, strict=True):
        assert words in warning
        assert "short" not in warning.replace("shorter", ""), "it names the secret"
