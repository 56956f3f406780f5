-- One row per thing that exports of platform usage say in two ways: a workspace's minutes beside
-- Bitbucket's runs, a scope's month beside its days that are the fact. Settled periods only.
-- grain: comparison, org_id, project_id, meter, unit, period_start
with runs as (
    select
        told.org_id, told.site_id as project_id, told.meter, told.unit, told.period_start,
        told.quantity, cast(sum(run.build_seconds) / 60 as decimal(38, 9)) as minutes
    from intermediate.int_platform_scopes as told
    inner join intermediate.int_bitbucket_minutes as run
        on told.site_id = run.workspace_uuid and run.period_start >= told.period_start
        and run.period_end <= told.period_end
    where told.meter = 'pipelines_build_minutes' and told.scope_type = 'workspace'
        and told.exported_at >= told.period_end
    group by
        told.org_id, told.site_id, told.meter, told.unit, told.period_start, told.quantity
),

months as (
    select line.scope_key, line.period_start, line.period_end, line.quantity
    from intermediate.int_platform_lines as line
    where line.granularity = 'month' and line.app is null
        and line.exported_at >= line.period_end
    qualify row_number() over (
        partition by line.scope_key, line.period_start
        order by line.exported_at desc, line.precedence desc, line.line desc
    ) = 1
)

select
    cast('pipeline runs' as varchar) as comparison, -- what is compared with the facts
    runs.org_id, -- Atlassian organization
    runs.project_id, -- workspace, or user:ann; null: the whole org
    runs.meter, -- what was used
    runs.unit, -- of the quantities
    runs.period_start, -- first instant, UTC
    cast(runs.quantity as decimal(38, 9)) as fact_quantity, -- what counts
    runs.minutes as other_quantity, -- what the other side says
    -- the runs of repositories that are gone are missing: below the export is as it should be
    cast(greatest(runs.quantity - runs.minutes, 1) as decimal(38, 9))
        as tolerance -- by how much they may differ
from runs
union all
-- each day may be off by its rounding
select
    'exported month', day.org_id,
    case when day.scope_type <> 'org' then concat(day.scope_type, ':', day.holder_id) end,
    day.meter, day.unit, months.period_start, cast(sum(day.quantity) as decimal(38, 9)),
    months.quantity, count(*)
from months
inner join intermediate.int_platform_scopes as day
    on months.scope_key = day.scope_key and day.is_told_by_days
    and day.period_start >= months.period_start and day.period_end <= months.period_end
group by
    day.org_id, day.scope_type, day.holder_id, day.meter, day.unit, months.period_start,
    months.period_end, months.quantity
having count(*) = date_diff('day', months.period_start, months.period_end)
