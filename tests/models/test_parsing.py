"""Model files: what the parser understands, and what it refuses with file and line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_like_sql.engine import models as reading
from dbt_like_sql.engine.models import (
    PACKAGE_FOLDER,
    Model,
    ModelError,
    load_models,
)
from dbt_like_sql.engine.models.parsing import HEADER_WORDS
from dbt_like_sql.engine.seeds import column_type
from tests.clock import NOW
from tests.models.test_storage import files_up_to

STAGING = """-- What the vendor said.
-- Second line: prose may hold a colon.
--
-- A new paragraph.
-- grain: org_id, used_at
-- window: used_at
select
    usage.org_id, -- who used it
    usage.used_at,
    cast(usage.value as decimal(38, 9)) as quantity -- how much
from raw.usage as usage
"""


def load(folder: Path, **files: str) -> dict[str, Model]:
    """Models of a project written as `schema__table=sql`."""
    for name, sql in files.items():
        schema, table = name.split("__", 1)
        (folder / schema).mkdir(exist_ok=True)
        (folder / schema / f"{table}.{'csv' if schema == 'seeds' else 'sql'}").write_text(sql)
    return load_models(folder)


def test_a_model_is_its_file(tmp_path: Path) -> None:
    """Name, description, header words, inputs and columns all come from one file."""
    model = load(tmp_path, staging__stg_usage=STAGING)["staging.stg_usage"]
    assert (model.schema, model.table, model.is_view) == ("staging", "stg_usage", True)
    assert not model.expects_no_rows
    assert model.description == (
        "What the vendor said. Second line: prose may hold a colon.\nA new paragraph."
    )
    assert model.grain == ("org_id", "used_at")
    assert model.window == "used_at"
    assert model.inputs == ("raw.usage",)
    assert model.columns == ("org_id", "used_at", "quantity")


def test_models_come_after_what_they_read(tmp_path: Path) -> None:
    """Build order follows the inputs, not the names."""
    models = load(
        tmp_path,
        marts__a="select b.x from intermediate.b as b",
        intermediate__b="select c.x from staging.c as c",
        staging__c="select r.x from raw.r as r",
    )
    assert list(models) == ["staging.c", "intermediate.b", "marts.a"]


@pytest.mark.parametrize(
    ("sql", "line", "message"),
    [
        ("-- ok\n-- owner: me\nselect 1 as x", 2, "unknown header word `owner:`"),
        ("-- expect: rows\nselect 1 as x", 1, "`expect:` is `expect: no rows`, or is left out"),
        ("-- materialized: no\nselect 1 as x", 1, "`materialized:` is `materialized: view` or"),
        ("-- materialized: view\n-- x\nselect 1 as x,\n now() as y", 4, "may not ask for the time"),
        ("-- window: x\nselect\n current_date as x", 3, "may not ask for the time"),
        ("select\n localtime as x", 2, "localtime follows a time zone"),
        ("-- grain: y\nselect 1 as x", 1, "`grain:` names y, which is no output column"),
        ("--\n-- window: y\nselect 1 as x", 2, "`window:` names y, which is no output column"),
        ("-- check:\nselect 1 as x", 1, "`check:` must be written once and say something"),
        ("-- check: x >\nselect 1 as x", 1, "Required keyword"),
        ("select 1 as x;\nselect 2 as x", 2, "a model is one SELECT, here are 2 statements"),
        ("-- only prose", 1, "here are 0 statements"),
        ("-- a\n\ndelete from marts.t", 3, "a model is a SELECT"),
        ("select 1 as x\nfrom nowhere", 2, "nowhere is no CTE; tables are written schema.table"),
        ("select 1 as x\nfrom marts.nowhere as n", 2, "there is no table marts.nowhere"),
        ("select 1 as x\n\nfrom raw.usage", 3, "only staging may read raw.*, not marts.fct"),
        ("select *\nfrom seeds.known", 1, "name every output column"),
        ("select\n    1 + 1", 2, "output column 1 has no name"),
        ("select 1 as x, 2 as x", 1, "two output columns are called x"),
        ("select seeds.known.a\nfrom seeds.known", 1, "write known.a, without the schema"),
        ("select 1 as x\nwhere where", 2, "Required keyword"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, sql: str, line: int, message: str) -> None:
    """Each mistake is told with the file, the line and what to do."""
    with pytest.raises(ModelError) as raised:
        load(tmp_path, marts__fct=sql, seeds__known="a\n1\n")
    assert str(raised.value).startswith(f"{tmp_path}/marts/fct.sql:{line}: ")
    assert message in str(raised.value)


def test_a_circle_is_refused(tmp_path: Path) -> None:
    """Two models that read each other can never be built."""
    with pytest.raises(ModelError, match=r"sql:2: models read each other in a circle: .* reads "):
        load(
            tmp_path,
            marts__a="select b.x\nfrom marts.b as b",
            marts__b="select a.x\nfrom marts.a as a",
        )


def test_comments_after_columns_are_their_documentation(tmp_path: Path) -> None:
    """By place in the text: after the column or its comma, and on below it."""
    sql = """with a as (select 1 as x) -- not this
select distinct
    -- nor this
    a.x, -- first
         -- and more
    coalesce(a.x, 1) as y -- before a comma
    , a.x is distinct from 2 as differs, a.x + 1 as z, -- the last of its line
    (select max(b.x) as m from a as b) as subquery, -- not its inside
    -- why this one is here
    'not -- a comment' as literal
from a -- nor this
union all
select 1, 2, true, 3, 4, 'x' -- nor this
"""
    assert load(tmp_path, marts__m=sql)["marts.m"].column_docs == {
        "x": "first and more",
        "y": "before a comma",
        "z": "the last of its line",
        "subquery": "not its inside",
    }


def test_documentation_is_passed_on(tmp_path: Path) -> None:
    """A column that is only passed on, or cast, means what it meant; a computed one does not."""
    models = load(
        tmp_path,
        staging__stg_usage=STAGING,
        marts__fct="""with usage as (select u.* from staging.stg_usage as u)
select
    cast(usage.org_id as varchar) as org_id,
    usage.quantity as amount,
    usage.quantity * 2 as doubled,
    usage.used_at -- when
from usage""",
    )
    assert models["marts.fct"].column_docs == {
        "org_id": "who used it",
        "amount": "how much",
        "used_at": "when",
    }


def test_lineage_goes_through_ctes_joins_and_unions(tmp_path: Path) -> None:
    """Every output column names the input columns it is made from; a constant names none."""
    models = load(
        tmp_path,
        staging__stg_usage=STAGING,
        staging__stg_starred="with r as (select raw.page.* from raw.page) select r.body from r",
        seeds__meters="meter,quantity_per_unit\nx,2\n",
        marts__fct="""with both as (
    select u.org_id, u.quantity from staging.stg_usage as u
    union all
    select m.meter, m.quantity_per_unit from seeds.meters as m
)
select
    both.org_id,
    both.quantity * meter.quantity_per_unit as amount,
    count(*) as row_count,
    'constant' as word
from both
left join seeds.meters as meter on both.org_id = meter.meter
group by both.org_id, both.quantity * meter.quantity_per_unit""",
        reports__focus="select f.amount as BilledCost from marts.fct as f",
        reports__charge="select focus.BilledCost from reports.focus as focus",
    )
    lineage = {name: dict(model.lineage) for name, model in models.items()}
    assert lineage["marts.fct"] == {
        "org_id": (("seeds.meters", "meter"), ("staging.stg_usage", "org_id")),
        "amount": (("seeds.meters", "quantity_per_unit"), ("staging.stg_usage", "quantity")),
        "row_count": (),
        "word": (),
    }
    assert lineage["staging.stg_usage"]["quantity"] == (("raw.usage", "value"),)
    assert lineage["staging.stg_starred"]["body"] == (("raw.page", "body"),)
    # of names as they are written, capitals and all
    assert lineage["reports.charge"] == {"BilledCost": (("reports.focus", "BilledCost"),)}


def test_the_fingerprint_is_of_what_is_computed(tmp_path: Path) -> None:
    """Comments and layout leave it; the SELECT, the header words, inputs and seeds change it."""
    files = {
        "staging__s": "select r.x from raw.r as r",
        "marts__m": "-- check: x > 0\nselect s.x from staging.s as s join seeds.t as t on true",
        "seeds__t": "a\n1\n",
    }

    def fingerprint(**changed: str) -> str:
        return load(tmp_path, **(files | changed))["marts.m"].fingerprint

    first = fingerprint()
    same = files["marts__m"].replace("select", "-- prose\nselect\n   ")
    assert fingerprint(marts__m=same) == first
    others = [
        fingerprint(marts__m=files["marts__m"].replace("> 0", "> 1")),
        fingerprint(marts__m=files["marts__m"].replace("s.x", "s.x + 1 as x")),
        fingerprint(staging__s="select r.y as x from raw.r as r"),
        fingerprint(seeds__t="a\n2\n"),
    ]
    assert len({first, *others}) == 5


@pytest.mark.parametrize(
    ("sql", "keeps"),
    [
        ("select u.org_id, u.used_at from staging.stg_usage as u where u.quantity > 0", True),
        ("select u.org_id, u.used_at from staging.stg_usage as u, staging.stg_usage as v", False),
        ("select u.org_id, u.used_at, unnest([1, 2]) as x from staging.stg_usage as u", False),
        (
            "select u.org_id, date_trunc('day', u.used_at) as used_at from staging.stg_usage as u",
            False,
        ),
        (
            "select u.org_id, u.used_at from staging.stg_usage as u"
            " union all select u.org_id, u.used_at from staging.stg_usage as u",
            False,
        ),
    ],
)
def test_what_only_passes_rows_on_keeps_their_grain(tmp_path: Path, sql: str, keeps: bool) -> None:
    """What joins, unites, unfolds or changes the key may break it, and is tried."""
    view = f"-- grain: org_id, used_at\n-- materialized: view\n{sql}"
    models = load(tmp_path, staging__stg_usage=STAGING, marts__fct=view)
    assert models["marts.fct"].keeps_grain is keeps


def test_a_clock_is_noticed(tmp_path: Path) -> None:
    """A model that asks what time it is follows the hour, one that asks for the day the day."""
    models = load(
        tmp_path,
        reports__a="select now() as x",
        reports__b="select current_date as x",
        reports__c="select 'now()' as x",
    )
    moments = [models[f"reports.{name}"].moment(NOW) for name in "abc"]
    assert moments == ["2026-11-21 15", "2026-11-21", ""]


def test_a_seed_column_is_typed_by_its_name() -> None:
    """Instants, days, amounts and counts by their suffix; everything else is text."""
    kinds = {
        "valid_from_date": "DATE",
        "date": "DATE",
        "seen_at": "TIMESTAMPTZ",
        "amount_usd": "DECIMAL(27,9)",
        "usd_per_unit": "DECIMAL(18,9)",
        "quantity": "DECIMAL(27,9)",
        "quantity_included": "DECIMAL(20,9)",
        "quantity_per_billed_unit": "BIGINT",
        "kept_hours": "INTEGER",
        "meter": "VARCHAR",
    }
    assert {name: column_type(name) for name in kinds} == kinds


def test_the_page_on_the_format_is_true(tmp_path: Path) -> None:
    """Its example is a model, and its table has every header word."""
    page = (PACKAGE_FOLDER / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```sql\n(.*?)```", page, re.S)
    usage = "select r.project_id, r.period_start, r.quantity from raw.usage as r"
    model = load(tmp_path, staging__stg_usage=usage, marts__usage=example)["marts.usage"]
    assert model.grain == ("project_id", "period_start")
    assert model.column_docs["quantity"] == "in GB"
    assert re.findall(r"^\| `(\w+): ", page, re.M) == [*HEADER_WORDS]


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forgets what this process has read."""
    return lambda: monkeypatch.setattr(reading, "_known", {})


def test_what_was_read_is_kept_for_the_next_process(
    tmp_path: Path, anew: Callable[[], None]
) -> None:
    """In a file that is believed for as long as all that it was made from is the same, and it is
    as it was written: a disk that changes a letter of SQL is not to change a number."""
    kept = tmp_path / "meterhouse.models.json"

    def load_anew(**files: str) -> tuple[str, bool]:
        load(tmp_path, **files)
        anew()
        before = kept.stat().st_mtime_ns if kept.exists() else 0
        said = load_models(tmp_path, kept)["staging.stg_usage"].description
        return said, kept.stat().st_mtime_ns == before

    read = load(tmp_path, staging__stg_usage=STAGING, seeds__t="a\n1\n")
    said, is_believed = load_anew()
    assert not is_believed
    anew()
    assert load_models(tmp_path, kept) == read
    assert load_anew(seeds__t="a\n2\n") == (said, True)
    assert load_anew(seeds__t="b\n2\n") == (said, False)
    assert load_anew(staging__stg_usage=f"-- More.\n{STAGING}") == (f"More. {said}", False)
    whole = kept.read_bytes()
    for broken in (b"", b"{", b"\xff\n", whole[:-1], whole.replace(b"vendor", b"vandor")):
        kept.write_bytes(broken)
        assert load_anew() == (f"More. {said}", False)


def test_a_file_that_cannot_be_kept_keeps_nobody_from_reading(
    tmp_path: Path, anew: Callable[[], None]
) -> None:
    """As in a folder that is not there, or may not be written to; or a full disk, where no part of
    it stays."""
    load(tmp_path, staging__stg_usage=STAGING)
    anew()
    assert load_models(tmp_path, tmp_path / "not there" / "meterhouse.models.json")
    anew()
    with files_up_to(10):
        assert load_models(tmp_path, tmp_path / "meterhouse.models.json")
    assert not [*tmp_path.glob("meterhouse.*")]


def test_the_shipped_models_load() -> None:
    """Every model of the project can be read, says what it is and what its grain is."""
    for model in load_models().values():
        assert model.description, model.path
        assert model.grain, model.path


def test_every_column_that_is_published_is_documented() -> None:
    """In marts and reports, by its own comment or by that of the column it passes on."""
    published = [model for model in load_models().values() if model.schema in ("marts", "reports")]
    assert [
        (model.name, column)
        for model in published
        for column in model.columns
        if column not in model.column_docs
    ] == []


def test_the_facts_mean_the_same() -> None:
    """A column has one comment, however many facts have it."""
    models = load_models()
    usage = models["marts.fct_usage"].column_docs
    for family in ("compute", "storage", "transfer", "credits", "operations"):
        assert models[f"marts.fct_{family}"].column_docs.items() <= usage.items()
    assert usage["period_date"] == "UTC day of period_start"
    assert usage["source"] == "vendor API family: neon, forge, bitbucket, atlassian_platform"
