-- One row per workspace, repository and period of what was exported by workspace: repositories stand
-- for their workspace, and what it has over them is a row without a repository. Where minutes were
-- exported without repositories, the runs that Bitbucket's API knows attribute them.
-- grain: org_id, meter, unit, site_id, project_id, period_start, period_end
with exported as (
    select
        period.scope_type, period.org_id, period.meter, period.unit, period.site_id,
        period.project_id, period.period_start, period.period_end, period.quantity,
        period.exported_at
    from intermediate.int_platform_periods as period
    where period.scope_type in ('workspace', 'repository')
),

months_of_parts as (
    select
        part.org_id, part.meter, part.unit, part.site_id, part.period_start, part.period_end,
        sum(part.quantity) as quantity
    from exported as part
    where part.scope_type = 'repository'
        and part.period_end > part.period_start + interval '1' day
    group by
        part.org_id, part.meter, part.unit, part.site_id, part.period_start, part.period_end
),

-- days of a workspace that are not all there, and add up to less than a month of its repositories
outdone as (
    select
        month.org_id, month.meter, month.unit, month.site_id, month.period_start,
        month.period_end
    from months_of_parts as month
    inner join exported as whole
        on whole.scope_type = 'workspace'
        and month.org_id = whole.org_id and month.meter = whole.meter
        and month.unit = whole.unit and month.site_id = whole.site_id
        and month.period_start < whole.period_end and month.period_end > whole.period_start
    group by
        month.org_id, month.meter, month.unit, month.site_id, month.period_start,
        month.period_end, month.quantity
    having sum(whole.quantity) < month.quantity and bool_and(
        whole.period_start >= month.period_start and whole.period_end <= month.period_end
        and whole.period_end = whole.period_start + interval '1' day
    ) and count(*) < date_diff('day', month.period_start, month.period_end)
),

wholes as (
    select exported.*
    from exported
    anti join outdone
        on exported.org_id = outdone.org_id and exported.meter = outdone.meter
        and exported.unit = outdone.unit and exported.site_id = outdone.site_id
        and exported.period_start >= outdone.period_start
        and exported.period_end <= outdone.period_end
    where exported.scope_type = 'workspace'
),

parts as (
    select
        exported.org_id, exported.meter, exported.unit, exported.site_id, exported.project_id,
        exported.period_start, exported.period_end, exported.quantity, exported.exported_at
    from exported
    where exported.scope_type = 'repository'
    union all
    select
        run.org_id, run.meter, run.unit, run.site_id, run.project_id, run.period_start,
        run.period_end, run.quantity, run.exported_at
    from intermediate.int_platform_runs as run
),

attributed as (
    select
        wholes.org_id, wholes.meter, wholes.unit, wholes.site_id, wholes.period_start,
        sum(parts.quantity) as quantity
    from wholes
    inner join parts
        on wholes.org_id = parts.org_id
        and wholes.meter = parts.meter
        and wholes.unit = parts.unit
        and wholes.site_id = parts.site_id
        and parts.period_start >= wholes.period_start
        and parts.period_end <= wholes.period_end
    group by
        wholes.org_id, wholes.meter, wholes.unit, wholes.site_id, wholes.period_start
),

rows_of_both as (
    select
        wholes.org_id, wholes.meter, wholes.unit, wholes.site_id,
        cast(null as varchar) as project_id, wholes.period_start, wholes.period_end,
        wholes.quantity - coalesce(attributed.quantity, 0) as quantity, wholes.exported_at
    from wholes
    left join attributed
        on wholes.org_id = attributed.org_id
        and wholes.meter = attributed.meter
        and wholes.unit = attributed.unit
        and wholes.site_id = attributed.site_id
        and wholes.period_start = attributed.period_start
    where attributed.org_id is null or wholes.quantity <> attributed.quantity
    union all
    -- a part counts within a whole, or where no whole says anything; where its workspace cannot be
    -- named as the wholes are, it is in one of them
    select
        parts.org_id, parts.meter, parts.unit, parts.site_id, parts.project_id,
        parts.period_start, parts.period_end, parts.quantity, parts.exported_at
    from parts
    anti join wholes
        on parts.org_id = wholes.org_id
        and parts.meter = wholes.meter
        and parts.unit = wholes.unit
        and parts.site_id = wholes.site_id
        and parts.period_start < wholes.period_end
        and parts.period_end > wholes.period_start
        and not (
            parts.period_start >= wholes.period_start and parts.period_end <= wholes.period_end
        )
    anti join (
        select distinct
            wholes.org_id, wholes.meter, wholes.unit, wholes.period_start, wholes.period_end,
            wholes.site_id like '{%' as is_named_by_uuid
        from wholes
    ) as spans
        on parts.org_id = spans.org_id
        and parts.meter = spans.meter
        and parts.unit = spans.unit
        and parts.period_start < spans.period_end
        and parts.period_end > spans.period_start
        and (
            parts.site_id is null or (parts.site_id not like '{%' and spans.is_named_by_uuid)
        )
)

select
    rows_of_both.org_id, -- Atlassian organization
    rows_of_both.meter, -- what was used
    rows_of_both.unit, -- of the quantity
    rows_of_both.site_id, -- workspace
    rows_of_both.project_id, -- repository; null: what none accounts for
    cast(rows_of_both.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(rows_of_both.period_end as timestamptz) as period_end, -- first instant after it, UTC
    cast(rows_of_both.quantity as decimal(38, 9)) as quantity, -- as exported
    cast(rows_of_both.exported_at as timestamptz) as exported_at -- when it was read off the page
from rows_of_both
