"""Settings are declared once, by the vendor that needs them, and read for every account."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets.settings import DOCUMENTED, Settings, SettingsError, read_settings

NEON = {"NEON_API_KEY": "key-1", "NEON_ORG_IDS": "org-1, org-2"}
IDS = "ids between commas, without spaces and line breaks in them"
FORGE = {"ATLASSIAN_EMAIL": "a@example.com", "ATLASSIAN_API_TOKEN": "t", "FORGE_APP_IDS": "app"}


def accounts(settings: Settings, source: str) -> list[tuple[str, object]]:
    """The accounts of a source, and the settings of each."""
    return [(account.name, account.settings) for account in settings.accounts[source]]


def test_nothing_set_is_no_account_and_a_reason() -> None:
    """Every source is skipped, and says which settings it lacks."""
    settings = read_settings({})
    assert not any(settings.accounts.values())
    assert settings.missing["neon"] == "NEON_API_KEY is not set"
    assert settings.missing["forge"] == (
        "ATLASSIAN_EMAIL, ATLASSIAN_API_TOKEN, FORGE_APP_IDS are not set"
    )
    assert settings.missing["atlassian_usage"].startswith("there is no folder platform_usage")


def test_a_key_is_an_account() -> None:
    """With what it is to ask about; what is not set has its default."""
    ((name, neon),) = accounts(read_settings(NEON), "neon")
    assert name == ""
    assert vars(neon) == {
        "api_key": "key-1",
        "org_ids": ("org-1", "org-2"),
        "base_url": "https://console.neon.tech/api/v2",
        "requests_per_minute": 45,
    }


def test_another_key_is_another_account() -> None:
    """It has its own organizations, or all that it sees; how Neon is reached holds for both."""
    more = {"NEON_API_KEY__ACME": "key-2", "NEON_BASE_URL": "https://eu.example.com/"}
    first, second = accounts(read_settings(NEON | more), "neon")
    assert second[0] == "ACME"
    assert vars(second[1]) == vars(first[1]) | {"api_key": "key-2", "org_ids": ()}
    own = {"NEON_REQUESTS_PER_MINUTE__ACME": "9", "NEON_ORG_IDS__ACME": "org-3"}
    _, third = accounts(read_settings(NEON | more | own), "neon")
    assert vars(third[1]) == vars(second[1]) | {"requests_per_minute": 9, "org_ids": ("org-3",)}


def test_an_account_may_have_no_unnamed_one_beside_it() -> None:
    """Names are for people: one named account is as good as the one without a name."""
    settings = read_settings({"BITBUCKET_TOKEN__TEAM": "token"})
    assert [name for name, _ in accounts(settings, "bitbucket")] == ["TEAM"]
    assert "bitbucket" not in settings.missing


def test_a_named_account_that_lacks_something_is_an_error() -> None:
    """It was meant to be there: it is not skipped in silence, and the others are asked."""
    settings = read_settings(FORGE | {"ATLASSIAN_EMAIL__OPS": "b@example.com"})
    assert settings.wrong == {
        "forge": [
            "ATLASSIAN_API_TOKEN__OPS, FORGE_APP_IDS__OPS are not set: "
            "the account OPS of Forge needs them"
        ]
    }
    assert [name for name, _ in accounts(settings, "forge")] == [""]


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("NEON_REQUESTS_PER_MINUTE", "0", "a whole number above zero"),
        ("NEON_REQUESTS_PER_MINUTE__ACME", "many", "a whole number above zero"),
        ("FORGE_SITES_BY_ENVIRONMENT", "maybe", "yes or no"),
        ("NEON_ORG_IDS", "org-1\norg-2", IDS),
        ("FORGE_EXPERIMENTAL_API", "a\r\nb", "ASCII characters, without line breaks"),
        ("NEON_BASE_URL", "https://[::1/api", "an address like https://host/path"),
        ("NEON_BASE_URL", "http://neon.example/api", "an address like https://host/path"),
        ("NEON_BASE_URL", "neon.example/api", "an address like https://host/path"),
        ("ATLASSIAN_GRAPHQL_URL", "atlassian.example", "an address like https://host/path"),
        ("NEON_BASE_URL", "https://neon.example:one/api", "an address like https://host/path"),
    ],
)
def test_a_setting_that_cannot_be_used_is_an_error(variable: str, value: str, what: str) -> None:
    """It names the variable, what it is and what it has to be; other sources are asked."""
    environment = NEON | FORGE | {"NEON_API_KEY__ACME": "key-2", variable: value}
    settings = read_settings(environment | {"BITBUCKET_TOKEN": "token"})
    wrong = [text for texts in settings.wrong.values() for text in texts]
    assert f"{variable} is {value!r}: it has to be {what}" in wrong[0]
    assert accounts(settings, "bitbucket")


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("MEMORY_LIMIT", "a lot", "an amount like 512MB or 2GB"),
        ("LIMIT_PAGES", "none", "a whole number above zero"),
        ("LIMIT_ANSWER_SIZE", "64", "an amount like 512MB or 2GB"),
    ],
)
def test_a_setting_of_the_whole_run_that_cannot_be_used_ends_it(
    variable: str, value: str, what: str
) -> None:
    """Nothing is asked."""
    with pytest.raises(SettingsError) as raised:
        read_settings(NEON | {variable: value})
    assert str(raised.value) == f"{variable} is {value!r}: it has to be {what}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NEON_API_KEY", "napi_planted\nab"),
        ("NEON_API_KEY", "napi_planted\N{RIGHT SINGLE QUOTATION MARK}"),
        ("NEON_API_KEY__ACME", "napi_planted\N{NO-BREAK SPACE}b"),
        ("BITBUCKET_TOKEN", "planted\x1b[31m"),
        ("NEON_REQUESTS_PER_MINUTE", "napi_planted_0123456789"),
        ("NEON_ORG_IDS__ACME", "planted" * 100),
        ("NEON_BASE_URL", "https://user:planted@neon.example/api"),
        ("NEON_BASE_URL", "https://neon.example/api?key=planted"),
    ],
)
def test_a_credential_that_cannot_be_used_is_not_shown(variable: str, value: str) -> None:
    """It is refused by name, before anything is sent; also where another setting was meant."""
    (wrong,) = read_settings(NEON | {variable: value}).wrong.values()
    assert variable in wrong[0]
    assert "planted" not in str(wrong)


def test_limits_are_settings() -> None:
    """Each has its default; sizes are in bytes, of 1,000 or 1,024."""
    changed = {"LIMIT_ANSWER_SIZE": "1.5 MiB", "LIMIT_PAGES": "7"}
    (account,) = read_settings({"NEON_API_KEY": "key", **changed}).accounts["neon"]
    limits = account.limits
    assert (limits.answer_bytes, limits.pages, limits.unpacked_bytes) == (1572864, 7, 256_000_000)


def test_a_folder_that_is_named_and_not_there_is_not_skipped(tmp_path: Path) -> None:
    """Nobody names a folder to have it skipped: loading it is what fails, and says so."""
    missing = read_settings({"PLATFORM_USAGE_DIR": str(tmp_path / "nope")}).missing
    assert "atlassian_usage" not in missing
    assert "neon" in missing


def test_a_setting_is_written_once() -> None:
    """No two sources declare the same variable."""
    names = [about.name for about in DOCUMENTED]
    assert len(names) == len(set(names))


def test_the_clock_is_handed_in() -> None:
    """To the run, and to every account's client."""
    then = datetime(2026, 11, 21, tzinfo=UTC)
    settings = read_settings(NEON, clock=lambda: then)
    assert settings.clock() == settings.accounts["neon"][0].clock() == then


@pytest.mark.parametrize("name", ["SEEDS_DIR", "PRICE_BOOK_OVERRIDES"])
@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", f"/{'x' * 300}"])
def test_a_path_that_there_cannot_be_is_said(name: str, path: str) -> None:
    """In the home of nobody, or with a name that is too long for a file system."""
    with pytest.raises(SettingsError, match=f"{name} is .*: it has to be a path that there can be"):
        read_settings({name: path})


def test_a_file_of_settings_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with it, and nothing that is in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"NEON_API_KEY=napi_\xff\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read: it has to be text in UTF-8$"):
        read_settings()
