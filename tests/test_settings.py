"""Settings: read from the environment, each with its source, none of them unknown."""

from pathlib import Path

import pytest

from roadworthy.settings import (
    SettingsError,
    load_settings,
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
    ("ROADWORTHY_MIGRATION_DATABASE_URL", "oracle://x"),
    ("ROADWORTHY_CORS_ORIGINS", "app.example.com"),
    ("ROADWORTHY_CORS_ORIGINS", "https://app.example.com/"),
    ("ROADWORTHY_CORS_ORIGINS", "https://app.example.com,*"),
    ("ROADWORTHY_CORS_ORIGINS", "ftp://app.example.com"),
    ("ROADWORTHY_PUBLIC_URL", "roadworthy.example.com"),
    ("ROADWORTHY_SECRET_KEY", " , "),
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


_SAFE = "s" * 32
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
    ],
)
def test_what_is_probably_not_meant(environment: dict[str, str], warned_of: list[str]) -> None:
    found = warnings(load_settings(environment))

    assert len(found) == len(warned_of)
    for warning, words in zip(found, warned_of, strict=True):
        assert words in warning
        assert "short" not in warning.replace("shorter", ""), "it names the secret"
