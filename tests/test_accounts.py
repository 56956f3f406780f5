"""Several accounts of one vendor: what each sees is asked once, and counted once."""

from pathlib import Path

import pytest

from assets.runs.loading import Loader
from assets.sources import endpoint_of
from pipelines.source import VendorError, reasons
from tests.conftest import Open, Worlds

ORGANIZATIONS, PROJECTS = endpoint_of("neon_organizations"), endpoint_of("neon_projects")
USAGE, BRANCHES = endpoint_of("neon_project_usage"), endpoint_of("neon_branch_usage")


def test_two_keys_ask_for_an_organization_once(world: Open) -> None:
    """One key names the first of two, another both: three names, two walks, the facts of one."""
    here = world(projects=2, orgs=2, facts_alone=True)
    first, second = here.company.orgs
    key = here.environment["NEON_API_KEY"]
    here.settings = here.settings_with(
        NEON_ORG_IDS=first, NEON_API_KEY__ALL=key, NEON_ORG_IDS__ALL=f"{first},{second}"
    )
    with Loader(here.settings) as loader, loader.at_once():
        result = loader.load_window(USAGE, here.reach("daily"))
        assert [receipt.scope for receipt in result.receipts] == [first, second]
        assert loader.load_window(BRANCHES, here.reach("daily")).failures == []
    walks = [r.query["org_id"] for r in here.new_requests() if r.path.endswith("v2/projects")]
    assert walks == [[first], [second]]
    here.build()
    assert here.facts() == here.expected("daily")


@pytest.mark.slow
def test_organizations_of_two_keys_are_all_there(
    world: Open, tmp_path: Path, worlds: Worlds
) -> None:
    """Each key lists what it sees: what only the first lists is not taken for deleted."""
    here = world(projects=2, orgs=2, models=worlds.once(tmp_path, "marts.dim_org"))
    first, second = here.company.orgs
    key = here.environment["NEON_API_KEY"]
    here.settings = here.settings_with(
        NEON_ORG_IDS=first, NEON_API_KEY__MORE=key, NEON_ORG_IDS__MORE=second
    )
    assert here.land(ORGANIZATIONS.table, None).receipts[1].scope == "all of MORE"
    here.build()
    listed = here.read("select org_id, is_deleted from marts.dim_org order by org_id")
    assert listed == [(org, False) for org in sorted((first, second))]


@pytest.mark.slow
def test_a_key_that_is_refused_keeps_no_other_from_loading(world: Open) -> None:
    """Its 401 is one request and one sentence; the other account's organizations land."""
    here = world(projects=2, orgs=1)
    here.settings = here.settings_with(NEON_API_KEY__OLD="napi_old")
    with Loader(here.settings) as loader, loader.at_once():
        result = loader.load_window(USAGE, here.reach("daily"))
        (failure,) = result.failures
        assert failure.status == 401
        assert str(failure).startswith("neon (account OLD) organizations of this key: HTTP 401")
        assert "set NEON_API_KEY__OLD to a current one" in str(failure)
        assert result.landed_scopes == list(here.company.orgs)
        assert loader.load_names(PROJECTS).failures == []
    assert [r.status for r in here.new_requests()].count(401) == 1


def test_an_account_shares_what_it_has_no_own_of(world: Open) -> None:
    """Errors name the settings that hold for it, and say once what is so of two accounts."""
    here = world(orgs=1)
    own = {"NEON_REQUESTS_PER_MINUTE__OTHER": "9", "NEON_ORG_IDS__THIRD": "org"}
    settings = here.settings_with(NEON_API_KEY__OTHER="b", NEON_API_KEY__THIRD="c", **own)
    told = "neon names: NEON_BASE_URL, NEON_ORG_IDS and NEON_REQUESTS_PER_MINUTE."
    assert [account.says(account.says(told)) for account in settings.accounts["neon"]] == [
        told,
        "neon (account OTHER) names: NEON_BASE_URL, NEON_ORG_IDS__OTHER and "
        "NEON_REQUESTS_PER_MINUTE__OTHER.",
        "neon (account THIRD) names: NEON_BASE_URL, NEON_ORG_IDS__THIRD and "
        "NEON_REQUESTS_PER_MINUTE.",
    ]
    failures = []
    for account in settings.accounts["neon"]:
        failures.append(VendorError("neon orgs: down. Wait.", None, "orgs", "down. Wait."))
        failures[-1].of_account(account)
    (said,) = reasons(failures)
    others = "orgs (account OTHER); orgs (account THIRD)"
    assert said == f"neon orgs: down. Wait. The same goes for {others}."


@pytest.mark.slow
def test_what_a_refused_key_was_to_ask_another_asks(world: Open) -> None:
    """Both name the organization: the first key is no longer valid, the second one loads it."""
    here = world(projects=2, orgs=1)
    (org,) = here.company.orgs
    key = here.environment["NEON_API_KEY"]
    here.settings = here.settings_with(
        NEON_API_KEY="napi_old", NEON_ORG_IDS=org, NEON_API_KEY__NEW=key, NEON_ORG_IDS__NEW=org
    )
    result = here.land(USAGE.table, here.reach("daily"))
    assert [failure.status for failure in result.failures] == [401]
    assert result.landed_scopes == [org]


def test_each_account_has_its_own_budget(world: Open) -> None:
    """A budget is of a credential: two keys may ask twice as often as one."""
    here = world(projects=2, orgs=1)
    here.settings = here.settings_with(NEON_API_KEY__OTHER="another key")
    here.land(USAGE.table, here.reach("daily"))
    budgets = list(here.settings.state_dir.glob("neon-consumption-*.sqlite"))
    assert len(budgets) == 2
