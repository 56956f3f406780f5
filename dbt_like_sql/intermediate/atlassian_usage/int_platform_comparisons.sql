-- One row per thing that exports of platform usage say in two ways: minutes beside Bitbucket's runs, a
-- way of splitting that does not count beside the one that does, a month beside its days, two files
-- read at the same instant. Settled periods only.
-- grain: comparison, org_id, project_id, meter, unit, granularity, period_start
with runs as (
    select
        exported.org_id, exported.site_id, exported.meter, exported.unit, exported.period_start,
        exported.period_end, exported.quantity, sum(minutes.build_seconds) / 60 as minutes
    from intermediate.int_platform_periods as exported
    inner join intermediate.int_bitbucket_minutes as minutes
        on exported.site_id = minutes.workspace_uuid
        and minutes.period_start >= exported.period_start
        and minutes.period_end <= exported.period_end
    where exported.meter = 'pipelines_build_minutes' and exported.scope_type = 'workspace'
        and exported.exported_at >= exported.period_end
    group by
        exported.org_id, exported.site_id, exported.meter, exported.unit, exported.period_start,
        exported.period_end, exported.quantity
),

-- users and sites that do not count, because another split of the same usage does
uncounted as (
    select
        period.scope_type, period.org_id, period.meter, period.unit, period.period_start,
        period.period_end, sum(period.quantity) as quantity
    from intermediate.int_platform_periods as period
    anti join intermediate.int_platform_parts as part
        on period.scope_type = part.scope_type and period.org_id = part.org_id
        and period.meter = part.meter and period.unit = part.unit
        and period.holder_id = coalesce(part.user_id, part.site_id)
        and period.period_start = part.period_start and period.period_end = part.period_end
    where period.scope_type in ('user', 'site') and period.exported_at >= period.period_end
    group by
        period.scope_type, period.org_id, period.meter, period.unit, period.period_start,
        period.period_end
),

-- of those that begin together, the longest
longest as (
    select uncounted.*
    from uncounted
    qualify row_number() over (
        partition by
            uncounted.org_id, uncounted.meter, uncounted.unit, uncounted.period_start
        order by uncounted.period_end desc, uncounted.quantity desc, uncounted.scope_type
    ) = 1
),

splits as (
    select
        longest.org_id, longest.meter, longest.unit, longest.period_start, longest.period_end,
        longest.quantity as other_quantity,
        (
            select coalesce(sum(usage.quantity), 0)
            from intermediate.int_platform_usage as usage
            where usage.org_id = longest.org_id and usage.meter = longest.meter
                and usage.unit = longest.unit
                and usage.period_start < longest.period_end
                and usage.period_end > longest.period_start
        ) as fact_quantity
    from longest
),

months as (
    select
        month.org_id, month.scope_type, month.holder_id, month.meter, month.unit,
        month.period_start, month.quantity, sum(day.quantity) as day_quantity,
        count(*) as day_count
    from intermediate.int_platform_months as month
    inner join intermediate.int_platform_periods as day
        on month.org_id = day.org_id and month.meter = day.meter and month.unit = day.unit
        and month.scope_type = day.scope_type and month.holder_id = day.holder_id
        and day.period_start >= month.period_start and day.period_end <= month.period_end
        and day.period_end < day.period_start + interval '2' day
    where month.exported_at >= month.period_end
    group by
        month.org_id, month.scope_type, month.holder_id, month.meter, month.unit,
        month.period_start, month.quantity
),

twice as (
    select
        line.org_id, line.scope_type, line.holder_id, line.meter, line.unit, line.granularity,
        line.period_start, min(line.quantity) as least_quantity,
        max(line.quantity) as greatest_quantity
    from intermediate.int_platform_lines as line
    inner join intermediate.int_platform_scopes as counted
        on line.org_id = counted.org_id and line.meter = counted.meter
        and line.unit = counted.unit and line.scope_type = counted.scope_type
        and line.holder_id = counted.holder_id and line.granularity = counted.granularity
        and line.period_start = counted.period_start and line.period_end = counted.period_end
        and line.exported_at = counted.exported_at
    where line.exported_at >= line.period_end
    group by
        line.org_id, line.scope_type, line.holder_id, line.meter, line.unit, line.granularity,
        line.period_start, line.app, line.read_at
    having min(line.quantity) < max(line.quantity)
)

select
    cast('pipeline runs' as varchar) as comparison, -- what is compared with the facts
    runs.org_id, -- Atlassian organization
    cast(runs.site_id as varchar) as project_id, -- workspace, or user:ann; null: the whole org
    runs.meter, -- what was used
    runs.unit, -- of the quantities
    cast(case when runs.period_end = runs.period_start + interval '1' day
        then 'daily' else 'monthly' end as varchar) as granularity, -- of the other side
    cast(runs.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(runs.quantity as decimal(38, 9)) as fact_quantity, -- what counts
    cast(runs.minutes as decimal(38, 9)) as other_quantity, -- what the other side says
    -- the runs of repositories that are gone are missing: below the export is as it should be
    cast(greatest(runs.quantity - cast(runs.minutes as decimal(38, 9)), 1) as decimal(38, 9))
        as tolerance -- by how much they may differ
from runs
union all
select
    'another split', splits.org_id, null, splits.meter, splits.unit,
    case when splits.period_end = splits.period_start + interval '1' day
        then 'daily' else 'monthly' end,
    splits.period_start, splits.fact_quantity, splits.other_quantity,
    greatest(splits.fact_quantity - splits.other_quantity, 0)
from splits
union all
-- each day may be off by its rounding
select
    'exported month', months.org_id,
    case when months.scope_type <> 'org'
        then concat(months.scope_type, ':', months.holder_id) end,
    months.meter, months.unit,
    'monthly', months.period_start, months.day_quantity, months.quantity, months.day_count
from months
union all
select
    'same instant', twice.org_id,
    case when twice.scope_type <> 'org' then concat(twice.scope_type, ':', twice.holder_id) end,
    twice.meter, twice.unit,
    case twice.granularity when 'day' then 'daily' else 'monthly' end, twice.period_start,
    min(twice.least_quantity), max(twice.greatest_quantity), 0
from twice
group by
    twice.org_id, twice.scope_type, twice.holder_id, twice.meter, twice.unit,
    twice.granularity, twice.period_start
