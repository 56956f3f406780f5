# ruff: noqa: S608  (names are our own, of endpoints; DuckDB takes no name as a parameter)
"""Tables of 0.1, which stored every answer whole, made into logs of what changed (log.py).

Every answer can still be told at every receipt. The file is copied first, to <name>.0.1.duckdb.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pipelines import log
from pipelines.endpoint import Endpoint
from pipelines.log import Connection, same

# what meta.warehouse says of tables like these; 0.1, which kept no format, is 1
FORMAT = 2
# how 0.1 named the scope of a row, where it has these columns
_SCOPES = {
    ("org_id",): "answer.org_id",
    ("workspace_uuid",): "answer.workspace_uuid",
    ("app_id", "resource"): "answer.app_id || '/' || answer.resource",
    ("file_sha256",): "answer.file_sha256",
}


def upgrade(connection: Connection, endpoints: Iterable[Endpoint]) -> None:
    """Make a warehouse of 0.1 one of today, in one transaction; nothing is done where it is one."""
    ((found,),) = connection.execute("select format from meta.warehouse").fetchall()
    if found >= FORMAT:
        return
    columns = [(endpoint, log.columns_of(connection, endpoint.table)) for endpoint in endpoints]
    old = [endpoint for endpoint, its in columns if its and "landed_at" not in its]
    if old:
        _keep_copy(connection)
    connection.execute("begin")
    for endpoint in old:
        _make_log(connection, endpoint)
    connection.execute(f"update meta.warehouse set format = {FORMAT}")
    connection.execute("commit")


def _make_log(connection: Connection, endpoint: Endpoint) -> None:
    connection.execute(f"alter table raw.{endpoint.table} rename to answers_of_0_1")
    log.create_table(connection, endpoint.table, log.columns_of_log(endpoint))
    log.create_table(connection, "answers_of_0_1", log.columns_for(endpoint.schema))
    connection.execute(_changes(endpoint))
    connection.execute("drop table raw.answers_of_0_1")


def _keep_copy(connection: Connection) -> None:
    """Copy the file as it is, once; it is closed to others while this process holds it."""
    connection.execute("checkpoint")
    ((path,),) = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    copy = Path(path).with_suffix(f".0.1{Path(path).suffix}")
    if not copy.exists():
        draft = copy.with_suffix(".draft")
        try:
            shutil.copyfile(path, draft)
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.replace(copy)
        finally:
            draft.unlink(missing_ok=True)  # a full disk is not to stay full of it


def _changes(endpoint: Endpoint) -> str:
    """SQL that keeps, of what was told of each key at each receipt, what was told otherwise."""
    columns, withdraws = endpoint.schema.names, endpoint.withdraws
    scopes = [scope for needed, scope in _SCOPES.items() if {*needed} <= {*columns}]
    key = [f'"{column}"' for column in endpoint.key]
    in_bucket = ["bucket_start"] if endpoint.is_windowed else []
    in_bucket += ["granularity"] if endpoint.tells_grain else []
    return f"""
        insert into raw.{endpoint.table} by name
        with receipts as (
            from ({_RECEIPTS.format(table=endpoint.table)}) as receipt
            -- what was asked for in part is not known to lack anything
            where not {withdraws} or receipt.bucket_start is null
                or (receipt.bucket_start >= receipt.window_start
                    and receipt.bucket_start + receipt.step <= receipt.window_end)
        ),

        told as (
            select
                {", ".join(f"answer.{column}" for column in key)}, receipt.scope, receipt.load_id,
                receipt.landed_at, receipt.asked_at,
                struct_pack({", ".join(f'"{c}" := answer."{c}"' for c in columns)}) as content
            from raw.answers_of_0_1 as answer
            inner join receipts as receipt
                on answer.load_id = receipt.load_id and {same(in_bucket, "answer", "receipt")}
                and (receipt.scope in ({", ".join(scopes)}) or receipt.scope like 'all%')
            qualify row_number() over (
                partition by receipt.landed_at, {", ".join(f"answer.{column}" for column in key)}
                order by answer.page desc
            ) = 1
        ),

        asked as (
            select told.* exclude (content) from told
            union
            select known.*, receipt.load_id, receipt.landed_at, receipt.asked_at
            from (select distinct {", ".join(key)}, scope from told) as known
            inner join receipts as receipt
                on known.scope = receipt.scope and {same(in_bucket, "known", "receipt")}
            where receipt.complete and {withdraws}
        ),

        answers as (
            select asked.*, told.content
            from asked
            left join told on asked.scope = told.scope and asked.landed_at = told.landed_at
                and {same(endpoint.key, "asked", "told")}
            -- one that a later one overtook says nothing new
            qualify asked.asked_at >= max(asked.asked_at) over (
                partition by asked.scope, {", ".join(f"asked.{column}" for column in key)}
                order by asked.landed_at
            )
        ),

        steps as (
            select
                answers.*,
                lag(answers.content) over (
                    partition by answers.scope, {", ".join(f"answers.{column}" for column in key)}
                    order by answers.landed_at
                ) as content_before
            from answers
        )

        select
            scope, load_id, landed_at, content is null as is_withdrawn,
            unnest(coalesce(content, content_before))
        from steps
        where content is distinct from content_before
        """


# a row per bucket that a receipt touches; a snapshot has none
_RECEIPTS = """
    select receipt.*, unnest(coalesce(
        generate_series(
            date_trunc(receipt.unit, receipt.window_start),
            receipt.window_end - interval 1 microsecond, receipt.step
        ), [null]
    )) as bucket_start
    from (
        select
            loads.*, units.unit, cast('1 ' || units.unit as interval) as step
        from raw.loads as loads
        cross join lateral (
            select case loads.granularity
                when 'hourly' then 'hour' when 'monthly' then 'month' else 'day' end as unit
        ) as units
        where loads.resource = '{table}'
    ) as receipt
"""
