-- One row per thing, meter and UTC day on which a period of it began: hours added up, so that what is
-- about days and longer need not read them. Longer periods are here as they are.
-- grain: series_key, granularity, day_start
-- window: day_start
select
    -- the same text as there, for each day: that of each hour is not looked at, which takes longer
    md5(cast(json_array(
        usage.source, usage.org_id, usage.project_id, usage.branch_id, usage.site_id,
        usage.environment_id, usage.user_id, usage.meter, usage.unit, usage.plan
    ) as varchar)) as series_key, -- source, all ids, meter, unit and plan
    usage.source, usage.resource, usage.scope, usage.org_id, usage.project_id, usage.branch_id,
    usage.site_id, usage.environment_id, usage.user_id, usage.family, usage.meter, usage.unit,
    usage.granularity,
    cast(date_trunc('day', usage.period_start) as timestamptz) as day_start, -- UTC day
    coalesce(min(case when usage.quantity <> 0 then usage.period_start end), min(usage.period_start))
        as period_start, -- first instant of its first period with usage, or else of its first, UTC
    min(usage.period_end) as first_period_end, -- first instant after its first period, UTC
    coalesce(max(case when usage.quantity <> 0 then usage.period_end end), max(usage.period_end))
        as period_end, -- first instant after its last one, UTC
    min(usage.told_from) as told_from, -- since when it was used, where that is before; else null
    cast(count(*) as bigint) as period_count, -- periods added up
    cast(sum(usage.quantity) as decimal(38, 9)) as quantity, -- in `unit`, of all of them
    cast(bool_or(usage.is_open) as boolean) as is_open, -- true: one of them will still change
    max(usage.observed_at) as observed_at, -- when the last of them was asked
    usage.plan
from intermediate.int_usage as usage
group by
    usage.source, usage.resource, usage.scope, usage.org_id, usage.project_id,
    usage.branch_id, usage.site_id, usage.environment_id, usage.user_id, usage.family,
    usage.meter, usage.unit, usage.granularity, date_trunc('day', usage.period_start),
    usage.plan
