"""Who owns what was used, by dated rules of one's own: literal usage and rules in, owners out."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dbt_like_sql.engine.lakes.address import beside
from dbt_like_sql.engine.runner import CheckFailedError
from tests.atlassian_usage.folder import Exports, Line
from tests.conftest import Worlds
from tests.landed import Forge, Names, Neon, land
from tests.models.test_cost import COMPUTE, MONEY, opened

OWNERS = ("marts.dim_owner", "marts.series_owners")
FIRST = (
    "priority,source,org,project,branch,site,user,valid_from_date,valid_until_date,"
    "team,customer,product,environment,split_by\n"
)
RULES = """\
30,neon,,,,,,,,platform,,database,,
10,,,customer-*,,,,,,,{project},shop,prod,
20,NEON,org,p-[x]*,,,,2026-08-03,2026-08-05,data,,,,
20,,,p-[x]*,main*,,,,,branches,,,,
40,,export*,,,{W*},,,,builds,,,,
40,,export,,,,Ann?example.com,,,people,,,,
50,forge,,*,,site,,,,no site,,,,
"""


def opened_here(folder: Path, worlds: Worlds) -> Exports:
    """A warehouse of owners alone, in which nothing was loaded."""
    return opened(folder, worlds, *OWNERS)


def owned(here: Exports, rules: str) -> None:
    """Build with these rules."""
    file = beside(here.settings.warehouse).parent / "rules.csv"
    file.write_text(FIRST + rules)
    here.settings = replace(here.settings, own_seeds={"seeds.owners": file})
    here.build()


def owners(here: Exports, thing: str) -> list[tuple[Any, ...]]:
    """Who owns the branches of a project, or an organization, from when until when."""
    return here.raw(
        "select distinct series.branch_id, owner.since_at::date::varchar,"
        " owner.until_at::date::varchar, owner.owner_key from marts.series_owners as owner"
        " join intermediate.int_series as series using (series_key, since_at)"
        " where ? in (series.project_id, series.org_id) order by all",
        thing,
    )


def test_the_first_rule_that_matches_says_who_owns_it(tmp_path: Path, worlds: Worlds) -> None:
    """By id or by current name, whatever the case, on the days on which it holds; what no rule
    matches is unassigned."""
    here = opened_here(tmp_path, worlds)
    here.write(
        "export.csv", "export",
        Line("pipelines_build_minutes", "workspace:{w-1}", "2026-08-02", "1", "2026-09-01"),
        Line("rovo_dev_credits", "user:ann@example.com", "2026-08-02", "1", "2026-09-01"),
    )  # fmt: skip
    assert not here.land().failures
    land(
        here.settings,
        Names({"named": "Customer-7", "p-[x]1": "eight"}),
        Neon("named", COMPUTE, "2026-08-01", 3600),
        Neon("p-[x]1", COMPUTE, "2026-08-01", 3600),
        Neon("p-[x]1", COMPUTE, "2026-08-03 05", 3600),
        Neon("p-[x]1", COMPUTE, "2026-08-03 05", 1800, branch="main-1"),
        Neon("p-[x]1", COMPUTE, "2026-08-09", 3600),
        Neon("p-[x]1", COMPUTE, "2026-08-10", 0),  # which is no use
        Neon("customer-8", COMPUTE, "2026-08-02", 3600),
        Forge("app", "KVS_READ", "2026-08-02", "1"),
    )
    owned(here, RULES)
    assert owners(here, "named") == [
        (None, "2026-08-01", "2026-08-03", "customer=Customer-7, product=shop, environment=prod")
    ]
    assert owners(here, "p-[x]1") == [
        ("main-1", "2026-08-03", "2026-08-05", "team=branches"),
        (None, "2026-08-01", "2026-08-03", "team=platform, product=database"),
        (None, "2026-08-03", "2026-08-05", "team=data"),
        (None, "2026-08-05", "2026-09-01", "team=platform, product=database"),
    ]
    assert owners(here, "customer-8") == [
        (None, "2026-08-01", "2026-08-03", "customer=customer-8, product=shop, environment=prod")
    ]
    assert [row[-1] for row in owners(here, "export")] == ["team=builds", "team=people"]
    assert owners(here, "app") == [(None, "2026-08-01", "2026-08-03", "unassigned")]
    assert here.read(
        "select owner_key, team, customer, is_shared, first_used_date::varchar,"
        " last_used_date::varchar from marts.dim_owner where customer is null order by 1"
    ) == [
        ("team=branches", "branches", None, False, "2026-08-03", "2026-08-03"),
        ("team=builds", "builds", None, False, "2026-08-02", "2026-08-02"),
        ("team=data", "data", None, False, "2026-08-03", "2026-08-03"),
        ("team=people", "people", None, False, "2026-08-02", "2026-08-02"),
        ("team=platform, product=database", "platform", None, False, "2026-08-01", "2026-08-09"),
        ("unassigned", None, None, False, "2026-08-02", "2026-08-02"),
    ]


@pytest.mark.slow
def test_all_but_two_characters_of_a_pattern_stand_for_themselves(
    tmp_path: Path, worlds: Worlds
) -> None:
    """And one of these two for any one, also where that takes two bytes."""
    here = opened_here(tmp_path, worlds)
    names = (
        "Caf\xe9_1\\2%![",
        "caf_1\\2%![",
        "caf\xe9x1\\2%![",
        "caf\xe9_1\\2x![",
        "caf\xe9_1\\2%[",
    )
    things = {f"{number}": name for number, name in enumerate(names)}
    usage = (Neon(thing, COMPUTE, "2026-08-01", 3600) for thing in things)
    land(here.settings, Names(things), *usage)
    owned(here, "1,,,caf?_1\\2%![,,,,,,data,,,,\n")
    assert [owners(here, thing)[0][-1] for thing in things] == ["team=data", *["unassigned"] * 4]


@pytest.mark.slow
def test_another_name_is_another_owner_of_all_months(tmp_path: Path, worlds: Worlds) -> None:
    """A rename, and a name that comes after the usage, build owners again; a name that no rule
    looks at builds nothing."""
    here = opened_here(tmp_path, worlds)
    land(here.settings, *(Neon("p", COMPUTE, f"2026-0{month}-09", 3600) for month in (7, 8)))
    owned(here, "1,,,acme*,,,,,,,{project},,,\n")
    read = "select period_month::varchar, owner_key from marts.series_owners order by 1"
    assert here.raw(read) == [("2026-07-01", "unassigned"), ("2026-08-01", "unassigned")]
    land(here.settings, Names({"p": "Acme 1"}, "2026-08-10"))
    here.build()
    assert [row[1] for row in here.raw(read)] == ["customer=Acme 1"] * 2
    land(here.settings, Names({"p": "other"}, "2026-08-11"))
    here.build()
    assert [row[1] for row in here.raw(read)] == ["unassigned"] * 2
    land(here.settings, Names({"p": "another"}, "2026-08-12"))
    built = {model.name: model.action for model in here.build().models}
    assert built["marts.series_owners"] == "unchanged"


@pytest.mark.slow
def test_rules_that_cannot_be_read_build_nothing(tmp_path: Path, worlds: Worlds) -> None:
    """A priority that is no whole number, a split that is none of the two: the build says which."""
    here = opened_here(tmp_path, worlds)
    land(here.settings, Neon("p", COMPUTE, "2026-08-09", 3600))
    owned(here, "1,,,p,,,,,,data,,,,\n")
    for rule in ("first,,,p,,,,,,data,,,,", "1.5,,,p,,,,,,data,,,,", "1,,,p,,,,,,data,,,,usage"):
        with pytest.raises(CheckFailedError, match="int_owner_rules: check"):
            owned(here, f"{rule}\n")
    assert here.read("select owner_key from marts.dim_owner") == [("team=data",)]


def test_what_is_shared_is_split_and_nothing_is_lost(tmp_path: Path, worlds: Worlds) -> None:
    """$1.06 evenly among three teams, of which the first takes what the division leaves. $2.12 in
    the ratio of their cost, 1 : 1 : 2. Who has no cost of its own takes no part, and where nobody
    has any, nothing moves."""
    here = opened(tmp_path, worlds, *MONEY)
    rules = "".join(f"1,,,{team},,,,,,{team},,,,\n" for team in ("a", "b", "c", "idle"))
    rules += "2,,,even,,,,,,shared,,,,even\n2,,,cost,,,,,,,,,,Cost\n3,,,alone,,,,,,,,,,even\n"
    used = {"a": 10, "b": 10, "c": 20, "idle": 0, "even": 10, "cost": 20, "other": 5}
    land(
        here.settings,
        *(Neon(it, COMPUTE, "2026-08-02", hours * 3600, "launch") for it, hours in used.items()),
        Forge("alone", "KVS_READ", "2026-08-02", "1.1"),
    )
    owned(here, rules)

    def split(key: str, by: str) -> list[tuple[Any, ...]]:
        return here.read(
            "select owner_key, quantity, billed_quantity, cost"
            " from reports.cost_by_owner where shared_by = $1 and split_by = $2 order by 1",
            key,
            by,
        )

    thirds = split("team=shared", "even")
    assert [row[0] for row in thirds] == ["team=a", "team=b", "team=c"]
    for at, whole in enumerate((Decimal(36_000), Decimal(10), Decimal("1.06")), start=1):
        assert sum(row[at] for row in thirds) == whole  # to the last place
        assert all(abs(row[at] - whole / 3) < whole * Decimal("1e-12") for row in thirds)
        assert thirds[1][at] == thirds[2][at]
    quarter, half = Decimal("0.53"), Decimal("1.06")
    assert split("unassigned", "cost") == [
        ("team=a", 18_000, 5, quarter),
        ("team=b", 18_000, 5, quarter),
        ("team=c", 36_000, 10, half),
    ]
    # 0.1 GB is included
    assert split("unassigned", "even") == [
        ("unassigned", Decimal("1.1"), Decimal("1.1"), Decimal("0.055"))
    ]
    own = "select owner_key, cost from reports.cost_by_owner where split_by is null order by 1"
    assert here.read(own) == [
        ("team=a", Decimal("1.06")),
        ("team=b", Decimal("1.06")),
        ("team=c", Decimal("2.12")),
        ("team=idle", 0),
        ("unassigned", Decimal("0.53")),
    ]
    assert here.read("from reports.owner_conservation") == []
