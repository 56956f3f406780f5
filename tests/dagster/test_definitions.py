"""Dagster: what it shows of every asset, and what real runs on a real instance do."""

import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster_shared.yaml_utils import load_yaml_from_path

from assets.catalog.checks import check_name, evaluations
from assets.catalog.freshness import WATCHED
from assets.catalog.page import PAGE, picture
from assets.catalog.partitions import partition_key
from assets.catalog.tables import model_key, preview, raw_key
from assets.definitions import defs
from assets.raw_assets import loader_resource, where_set
from assets.runs.opening import open_warehouse
from assets.sources import ENDPOINTS
from dbt_like_sql.engine.checks import CheckResult
from dbt_like_sql.engine.lakes.address import beside
from dbt_like_sql.engine.models import PACKAGE_FOLDER, SCHEMAS, load_models
from pipelines.endpoint import SNAPSHOT
from pipelines.windows import Window, next_bucket
from tests.clock import MINUTE, NOW
from tests.conftest import Open, World, Worlds, copy_warehouse
from tests.sandbox.desk import Fault

ROOT = Path(__file__).parents[2]
HOURLY = raw_key("neon_project_usage", "hourly")
RAW_KEYS = [
    raw_key(call.table, grain)
    for call in ENDPOINTS
    if call.part_of is None
    for grain in call.grains
]
SMALL: dict[str, Any] = {"projects": 5, "branches": 2, "orgs": 1, "apps": 0, "workspaces": 0}
SMALL |= {"oddities": False}
SPECS = {spec.key: spec for spec in defs.resolve_all_asset_specs()}


@pytest.fixture
def configured(world: Open, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small company of which nothing is built, with the settings that runs read pointed at its
    vendor."""
    opened = world(**SMALL)
    opened.configure(monkeypatch)
    return opened


def run(
    instance: dg.DagsterInstance, job: str, keys: list[dg.AssetKey] | None, *between: str
) -> dg.ExecuteInProcessResult:
    """A run of these assets of a job, over partitions first..last where they are given."""
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        asset_selection=keys,
        tags=dict(zip(names, between, strict=False)),
        raise_on_error=False,
    )


def hours(count: int) -> list[str]:
    """The partition keys of the latest hours, the open one included."""
    end = next_bucket(NOW, "hourly")
    return [partition_key("hourly", end - timedelta(hours=n)) for n in range(count, 0, -1)]


def today() -> str:
    """The key of the daily partition that is filling."""
    return partition_key("daily", NOW)


def materialized(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str | None, Any]:
    """Metadata of every partition that the run materialized."""
    events = [
        event.step_materialization_data for event in result.get_asset_materialization_events()
    ]
    found = [event.materialization for event in events if event.materialization.asset_key == key]
    return {
        event.partition: {name: value.value for name, value in event.metadata.items()}
        for event in found
    }


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What a person reads on the page of a failed run."""
    (event,) = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    shown = data.user_failure_data.description if data.user_failure_data else None
    return shown or (data.error.message if data.error else "")


def log_of(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str:
    """Everything that the instance kept of a run."""
    return "\n".join(str(entry) for entry in instance.all_logs(result.run_id))


def test_the_workspace_is_these_definitions() -> None:
    """And test_contacts.py runs them with no setting at all."""
    workspace: Any = load_yaml_from_path(str(ROOT / "workspace.yaml"))
    (place,) = workspace["load_from"]
    module = import_module(place["python_module"]["module_name"])
    assert module.defs is defs


@pytest.mark.slow
def test_definitions_are_valid_with_no_setting_at_all(tmp_path: Path) -> None:
    """`dagster definitions validate -w workspace.yaml` succeeds with an empty environment."""
    done = subprocess.run(
        [
            Path(sys.executable).parent / "dagster",
            "definitions",
            "validate",
            "-w",
            "workspace.yaml",
        ],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_asset_says_what_it_is() -> None:
    """Every asset has a description, an owner, a kind and a group; of a table its name, and every
    column with what it is."""
    assert len(SPECS) > 30
    for key, spec in SPECS.items():
        assert spec.description, key
        assert spec.owners, key
        assert spec.kinds, key
        assert spec.group_name != "default", key
        if key != PAGE.key:
            assert spec.metadata["dagster/table_name"], key
            columns = spec.metadata["dagster/column_schema"].columns
            assert columns, key
            assert all(column.description for column in columns), key


def test_every_raw_asset_says_when_it_is_stale() -> None:
    """One asset per vendor call and granularity; stale can be what a schedule or person fills: by
    when it was listed, or by what was told last of it."""
    # Neon, Forge, Bitbucket, files, meters; names first, then usage by granularity
    assert len(RAW_KEYS) == (3 + 3 * 3) + 4 * 2 + (2 + 1) + 1 + 1
    backfilled = {raw_key(c.table, grain) for c in ENDPOINTS for grain in c.only_backfilled}
    listed = {raw_key(call.table, SNAPSHOT) for call in ENDPOINTS}
    watched = {raw_key(call.table, grain) for call, grain in WATCHED}
    for key in RAW_KEYS:
        assert (SPECS[key].freshness_policy is not None) == (key in listed), key
        assert (key in watched) == (key not in listed | backfilled), key


def test_partitioned_raw_assets_are_backfilled_by_one_run() -> None:
    """However many hours, days or months a backfill has, it is a single run."""
    partitioned = [
        asset
        for asset in defs.assets or ()
        if isinstance(asset, dg.AssetsDefinition)
        and asset.keys <= set(RAW_KEYS)
        and asset.partitions_def
    ]
    assert sum(len(asset.keys) for asset in partitioned) == 3 * 3 + 4 * 2 + 1 + 1
    for asset in partitioned:
        assert asset.backfill_policy == dg.BackfillPolicy.single_run(), asset.keys


def test_every_model_is_an_asset_with_its_columns_and_their_lineage() -> None:
    """The asset of dbt_like_sql/<schema>/<table>.sql is <schema>/<table>."""
    files = {path for schema in SCHEMAS for path in (PACKAGE_FOLDER / schema).rglob("*.sql")}
    models = load_models()
    assert {model.path for model in models.values()} == files
    for model in models.values():
        spec = SPECS[
            dg.AssetKey([model.path.relative_to(PACKAGE_FOLDER).parts[0], model.path.stem])
        ]
        columns = [column.name for column in spec.metadata["dagster/column_schema"].columns]
        assert columns == [*model.columns]
        lineage = spec.metadata["dagster/column_lineage"].deps_by_column
        assert set(lineage) == set(columns)


def test_types_of_columns_are_known_before_anything_is_built() -> None:
    """Of every model, as DuckDB will have them."""
    schemas = {
        key: spec.metadata["dagster/column_schema"]
        for key, spec in SPECS.items()
        if key != PAGE.key
    }
    types = {column.name: column.type for column in schemas[model_key("marts.fct_usage")].columns}
    assert types["quantity"] == "DECIMAL(38,9)"
    assert types["period_start"] == "TIMESTAMP WITH TIME ZONE"
    assert all(column.type for schema in schemas.values() for column in schema.columns)


def test_column_lineage_leads_from_a_fact_to_the_model_before() -> None:
    """marts.fct_compute.quantity comes from marts.fct_usage.quantity."""
    metadata = SPECS[dg.AssetKey(["marts", "fct_compute"])].metadata
    assert metadata["dagster/column_lineage"].deps_by_column["quantity"] == [
        dg.TableColumnDep(dg.AssetKey(["marts", "fct_usage"]), "quantity")
    ]
    columns = {c.name: c.description for c in metadata["dagster/column_schema"].columns}
    assert f"{columns['quantity']}".endswith("; from `marts.fct_usage.quantity`")


def test_every_check_of_a_model_is_an_asset_check() -> None:
    """Grains and checks of every file, under names that differ and with what must hold."""
    expected = {
        (model_key(model.name), check_name(kind, expression))
        for model in load_models().values()
        for kind, expression in [
            *[("grain", ", ".join(model.grain))] * bool(model.grain),
            *[("check", check) for check in model.checks],
            *[("expect", "no rows")] * model.expects_no_rows,
        ]
    }
    unmapped = model_key("reports.unmapped_meters")
    assert (unmapped, "has_no_rows") in expected
    specs = {
        (spec.asset_key, spec.name): f"{spec.description}"
        for asset in defs.assets or ()
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    assert specs.keys() == expected
    assert specs[unmapped, "has_no_rows"] == (
        "There should be no rows.\n\n```sql\nselect * from reports.unmapped_meters\n```"
    )
    assert all("```sql" in text for text in specs.values())


def test_the_resource_shows_what_is_set_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting of every vendor, of every account; never its value."""
    monkeypatch.setenv("NEON_API_KEY__ACME", "napi_secret")
    rows = [*where_set()]
    assert "| Neon | `NEON_API_KEY__ACME` | the environment |" in rows
    assert "| Bitbucket | `BITBUCKET_BASE_URL` | default |" in rows
    assert "| Bitbucket | `BITBUCKET_TOKEN` | not set |" in rows
    assert not any("napi" in row for row in rows)
    assert "| vendor | setting | from |" in f"{loader_resource.description}"


def test_a_check_that_fails_shows_rows_and_how_to_find_them(configured: World) -> None:
    """In words, with the first rows as a table, and the SQL; where a build was undone, the rows as
    it found them."""
    configured.raw("create schema if not exists reports")
    configured.raw(
        "create or replace table reports.coverage as select 'neon' as source, null as resource,"
        " 'org-1' as scope, true as is_at_risk"
    )
    failed = CheckResult("reports.coverage", "not is_at_risk", "check", False, 2, ("(a, b)",))
    with open_warehouse(configured.settings) as connection:
        ((_, shown),) = evaluations([failed], connection).items()
    ((_, undone),) = evaluations([failed]).items()
    assert shown.description == "reports.coverage: check `not is_at_risk` is not true for 2 rows"
    rows = str(shown.metadata["up to 5 rows"].value).splitlines()
    assert rows[0] == "| source | resource | scope | is_at_risk |"
    assert rows[2] == "| neon |  | org-1 | True |"
    assert "where (not is_at_risk) is not true" in str(shown.metadata["SQL"].value)
    assert undone.metadata["up to 5 rows"].value == "(a, b)"


def test_raw_assets_say_when_they_are_asked_and_how_far_back() -> None:
    """In the first sentence; and their partitions begin there, where a vendor keeps no more."""
    hourly, forge = SPECS[HOURLY], SPECS[raw_key("forge_app_usage", "daily")]
    assert f"{hourly.description}".startswith("Asked every hour; Neon keeps 168 hours.\n")
    assert f"{forge.description}".startswith("Asked once a day, for 60 days at most; what is older")
    kinds = [hourly.partitions_def, forge.partitions_def]
    starts = [k.start for k in kinds if isinstance(k, dg.TimeWindowPartitionsDefinition)]
    # the definitions of tests are of two weeks before NOW: the week before that, on the 31st
    assert starts == [datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]


def test_assets_are_sorted_by_tags_and_link_to_their_code() -> None:
    """By layer, vendor and family; the file is the one that says what the table holds."""
    raw, fact = SPECS[HOURLY], SPECS[model_key("marts.fct_compute")]
    staging = SPECS[model_key("staging.stg_neon__usage")]
    assert raw.tags == {"layer": "raw", "vendor": "neon", "family": "neon", "grain": "hourly"} | {
        tag: value for tag, value in raw.tags.items() if tag.startswith("dagster/")
    }
    assert (fact.tags["layer"], fact.tags["family"]) == ("marts", "compute")
    assert (staging.tags["layer"], staging.tags["vendor"]) == ("staging", "neon")
    assert (raw.group_name, fact.group_name) == ("raw_neon", "marts")
    (file,) = fact.metadata["dagster/code_references"].code_references
    assert Path(file.file_path) == PACKAGE_FOLDER / "marts" / "fct_compute.sql"
    assert file.label == "fct_compute.sql"


def test_168_hours_are_one_walk_and_168_partitions(
    configured: World, instance: dg.DagsterInstance
) -> None:
    """One request for the organizations and one for everything that a week's hours hold."""
    keys = hours(168)
    result = run(instance, "load_neon_hourly", [HOURLY], keys[0], keys[-1])
    assert result.success
    assert [request.path for request in configured.new_requests()] == [
        "/users/me/organizations",
        "/consumption_history/v2/projects",
    ]
    assert instance.get_materialized_partitions(HOURLY) == set(keys)
    found = materialized(result, HOURLY)
    ((rows,),) = configured.raw("select count(*) from raw.neon_project_usage")
    assert rows > 0
    assert sum(metadata["dagster/partition_row_count"] for metadata in found.values()) == rows
    assert {metadata["rows landed"] for metadata in found.values()} == {rows}
    assert {metadata["dagster/row_count"] for metadata in found.values()} == {rows}
    assert {metadata["requests sent"] for metadata in found.values()} == {2}
    assert configured.sandbox.api_key not in log_of(instance, result)


def test_what_is_out_of_reach_stays_empty_and_says_so(
    configured: World, instance: dg.DagsterInstance
) -> None:
    """Hours that Neon keeps turn green; the 4 before them carry an observation."""
    keys = hours(172)[:8]
    result = run(instance, "load_neon_hourly", [HOURLY], keys[0], keys[-1])
    assert result.success
    assert instance.get_materialized_partitions(HOURLY) == set(keys[4:])
    assert set(materialized(result, HOURLY)) == set(keys[4:])
    observed = {
        event.asset_observation_data.asset_observation.partition: text
        for event in result.get_asset_observation_events()
        if (text := event.asset_observation_data.asset_observation.description)
    }
    assert set(observed) == set(keys[:4])
    assert observed[keys[0]].startswith("Neon keeps hourly for 168 hours; asked for ")
    assert configured.raw("select distinct complete from raw.loads") == [(True,)]


def test_only_out_of_reach_partitions_ask_nothing(
    configured: World, instance: dg.DagsterInstance
) -> None:
    """A run that cannot be answered is green, sends no request and materializes nothing."""
    keys = hours(300)
    result = run(instance, "load_neon_hourly", [HOURLY], keys[0], keys[9])
    assert result.success
    assert configured.new_requests() == []
    assert materialized(result, HOURLY) == {}


def test_a_source_without_a_key_is_skipped(
    configured: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key: the run is green, says which setting is missing, and materializes nothing."""
    monkeypatch.delenv("NEON_API_KEY")
    result = run(instance, "load_neon_hourly", [HOURLY], hours(1)[0], hours(1)[0])
    assert result.success
    assert result.get_asset_materialization_events() == []
    assert "neon is skipped: NEON_API_KEY is not set" in log_of(instance, result)
    assert configured.new_requests() == []


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/users/me/organizations", marks=pytest.mark.slow),
        "/consumption_history/v2/projects",
    ],
)
def test_a_refusing_vendor_fails_the_run_in_words(
    configured: World, instance: dg.DagsterInstance, path: str
) -> None:
    """The failure names what was asked and what to do, never the key."""
    key = configured.sandbox.api_key
    configured.sandbox.faults.append(Fault(path, 401, message=f"bad credentials {key}"))
    result = run(instance, "load_neon_hourly", [HOURLY], hours(1)[0], hours(1)[0])
    assert not result.success
    said = failure_of(result)
    assert "Neon" in said
    assert "401" in said
    assert "NEON_API_KEY" in said
    assert key not in log_of(instance, result)


@pytest.mark.slow  # by default tests/neon/test_refusals.py has a free organization
def test_a_free_org_keeps_no_branches_from_starting(
    world: Open, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run succeeds, the partitions are green, and the log says how to leave it out."""
    here = world(projects=2, branches=1, orgs=1, apps=0, workspaces=0, free_org=True)
    here.configure(monkeypatch)
    branches = raw_key("neon_branch_usage", "hourly")
    result = run(instance, "load_neon_hourly", [HOURLY, branches], hours(2)[0], hours(2)[-1])
    assert result.success
    assert {*materialized(result, HOURLY), *materialized(result, branches)} == {*hours(2)}
    assert "name the others in NEON_ORG_IDS" in log_of(instance, result)
    free = here.company.free_org
    asked = [r for r in here.new_requests() if free and r.query.get("org_id") == [free.id]]
    assert len(asked) == 1


@pytest.mark.slow
def test_an_org_that_fails_keeps_no_branches_of_others_from_being_asked(
    world: Open, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails in words, once all that answers has landed."""
    here = world(projects=2, branches=1, orgs=2, apps=0, workspaces=0)
    here.configure(monkeypatch)
    here.sandbox.faults.append(Fault("/consumption_history/v2/projects", 422))
    branches = raw_key("neon_branch_usage", "hourly")
    result = run(instance, "load_neon_hourly", [HOURLY, branches], hours(2)[0], hours(2)[-1])
    assert not result.success
    assert "HTTP 422: scripted fault" in failure_of(result)
    landed = here.raw(
        "select count(distinct scope) from raw.loads where resource = 'neon_branch_usage'"
    )
    assert landed == [(2,)]
    assert [*materialized(result, HOURLY)] == []
    assert {*materialized(result, branches)} == {*hours(2)}


def land_two_days(here: World) -> None:
    """The hours of today and yesterday, as the command line would land them."""
    end = next_bucket(NOW, "hourly")
    window = Window("hourly", end.replace(hour=0) - timedelta(days=1), end)
    assert not here.land("neon_project_usage", window).failures
    assert here.new_requests()


YESTERDAY = partition_key("daily", NOW - timedelta(days=1))
COMPUTE, COVERAGE = model_key("marts.fct_compute"), model_key("reports.coverage")


@dataclass(frozen=True)
class Built:
    """A company of which two days landed and were built by a run, and that run."""

    here: World
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Iterator[Built]:
    """All was built, and two models and the page were selected."""
    with (
        worlds.empty(tmp_path_factory.mktemp("built"), built=True, **SMALL) as here,
        dg.DagsterInstance.ephemeral() as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        here.configure(patch)
        land_two_days(here)
        result = run(opened, "build", [COMPUTE, COVERAGE, PAGE.key], YESTERDAY, today())
        assert result.success
        yield Built(here, opened, result)


def test_a_build_materializes_what_was_selected(built: Built) -> None:
    """Selected models turn green, marts for the run's days, with row counts and check results; so
    does a table that they are made from, where it was written."""
    found = materialized(built.result, COMPUTE)
    assert set(found) == {YESTERDAY, today()}
    ((rows,),) = built.here.read("select count(*) from marts.fct_compute")
    assert found[today()]["dagster/row_count"] == rows > 0
    assert set(materialized(built.result, COVERAGE)) == {None}
    checks = {(check.asset_key, check.check_name): check.passed
              for check in built.result.get_asset_check_evaluations()}  # fmt: skip
    assert checks[COMPUTE, "grain_is_unique"]
    assert {COMPUTE, COVERAGE} <= {key for key, _ in checks}  # of others too, where it was tried
    facts = model_key("intermediate.int_neon_usage")
    assert set(materialized(built.result, facts)) == {None}
    ((built_at,),) = built.here.raw("select max(built_at) from meta.builds")
    assert built.result.dagster_run.tags["meterhouse/built"] == built_at.isoformat()
    assert str(found[today()]["some rows"]).startswith("| source | org_id |")


@pytest.mark.slow
def test_what_is_as_before_is_told_of_its_days_alone(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table without days has no event. With one that has, its checks are told, though none was
    asked for, as in the runs of the sensor: Dagster shows a check that is older than its table as
    not evaluated."""
    built.here.configure(monkeypatch)
    owners = model_key("marts.series_owners")
    job = defs.resolve_job_def("build").get_subset(
        asset_selection={COMPUTE, COVERAGE, owners}, asset_check_selection=set()
    )
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    again = job.execute_in_process(instance=built.instance, tags=dict.fromkeys(names, today()))
    keys = {event.asset_key for event in again.get_asset_materialization_events()}
    assert {COMPUTE, owners} <= keys
    assert not keys & {COVERAGE, model_key("marts.dim_org"), model_key("staging.stg_neon__usage")}
    assert materialized(again, owners)[today()]["built"] == "unchanged"
    checks = {check.check_name: check.passed for check in again.get_asset_check_evaluations()
              if check.asset_key == owners}  # fmt: skip
    assert checks == {"grain_is_unique": True, "owner_key_is_not_null": True}


def test_the_page_is_an_asset_with_a_picture(built: Built) -> None:
    """It follows the tables that it reads, is written beside the warehouse by each build, and shows
    what each day cost."""
    assert {dep.asset_key for dep in SPECS[PAGE.key].deps} >= {
        model_key("marts.usage_by_day"),
        model_key("reports.needs_you"),
    }
    about = materialized(built.result, PAGE.key)[None]
    file = beside(built.here.settings.warehouse).with_suffix(".report.html")
    assert about["page"] == str(file)
    assert file.read_text().startswith("<!doctype html>")
    assert str(about["cost by day"]).startswith("![US dollars a day, 2026-11-20 to 2026-11-21")


def test_names_are_shown_to_dagster_as_they_are() -> None:
    """No markup of Markdown or HTML, whatever a vendor calls a project; and cut before that."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table t as"
            " select '<b>x</b> *y* `z` _u_ ~~v~~ a_b' as project_name, 'p\\|q' as two"
        )
        shown = str(preview(connection, "t").value)
    assert shown.splitlines() == [
        "| project_name | two |",
        "| --- | --- |",
        r"| \<b\>x\</b\> \*y\* \`z\` \_u\_ \~\~v\~\~ a_b | p\\\|q |",
    ]


def test_the_picture_has_a_bar_for_each_day() -> None:
    """As high as what the day cost, in Markdown that needs no other file."""
    days = [(date(2026, 11, 20), Decimal(4)), (date(2026, 11, 21), Decimal(1))]
    text, _, encoded = picture(days).partition("](data:image/svg+xml;base64,")
    assert text == "![US dollars a day, 2026-11-20 to 2026-11-21; at most 4.00"
    svg = b64decode(encoded.removesuffix(")")).decode()
    assert re.findall('height="([0-9.]+)"', svg) == ["100.0", "25.0"]
    assert picture([]) == "nothing is priced yet"


def test_a_day_without_cost_has_its_place_in_the_picture() -> None:
    """Two days of one week are not side by side; one of last year is not beside them, and what is
    taken back is no bar."""
    costs = ((date(2025, 1, 1), 9), (date(2026, 11, 1), 4), (date(2026, 11, 4), 1))
    days = [(day, Decimal(cost)) for day, cost in (*costs, (date(2026, 11, 5), -1))]
    text, _, encoded = picture(days).partition("](data:image/svg+xml;base64,")
    assert text == "![US dollars a day, 2026-11-01 to 2026-11-05; at most 4.00"
    svg = b64decode(encoded.removesuffix(")")).decode()
    bars = re.findall('x="([0-9]+)" .* height="([-0-9.]+)"', svg.replace("/>", "/>\n"))
    assert bars == [("0", "100.0"), ("60", "25.0"), ("80", "0.0")]


def test_a_blocking_check_fails_the_run_and_keeps_the_tables(
    built: Built,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    worlds: Worlds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Usage in no unit stops the build: the facts of the last one stand."""
    copy_warehouse(beside(built.here.settings.warehouse).parent, tmp_path)
    with worlds.empty(tmp_path, later_by=MINUTE, **SMALL) as here:
        here.configure(monkeypatch)
        before = here.facts()
        land_two_days(here)
        here.raw("update seeds.meters set unit = null")
        result = run(instance, "build", None, today(), today())
        assert not result.success
        said = failure_of(result)
        assert "quantity is not null" in said
        assert "Nothing was changed: the tables of the last build stand." in said
        failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
        assert failed
        assert all("quantity_is_not_null" in check.check_name for check in failed)
        assert before
        assert here.facts() == before
