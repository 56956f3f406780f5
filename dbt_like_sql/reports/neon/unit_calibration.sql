-- One row per org, month and unit that seeds/meters.csv gives root-branch storage: does the reported
-- number, read in that unit, come out near the size of the branches? Neon's *_bytes_month metrics
-- were byte-hours before mid-2026 and are byte-months since, a factor of 744; the date is not
-- published. Only projects that have root branches alone, as last listed.
-- grain: org_id, period_month, unit
-- check: looks_like = unit
with sizes as (
    select
        branch.org_id, branch.project_id,
        sum(branch.logical_size_bytes) as logical_size_bytes,
        max(branch.created_at) as last_created_at
    from marts.dim_branch as branch
    where branch.source = 'neon' and not branch.is_deleted
    group by branch.org_id, branch.project_id
    having bool_and(branch.parent_branch_id is null) and sum(branch.logical_size_bytes) > 0
),

-- a day is as long for all branches and plans of a project together as for each of them
days as (
    select
        usage.org_id, usage.project_id, usage.unit, date_trunc('month', usage.day_start) as month_start,
        max(sizes.logical_size_bytes) as logical_size_bytes, sum(usage.quantity) as quantity,
        date_diff('hour', min(usage.period_start), max(usage.period_end)) as hour_count
    from intermediate.int_usage_by_day as usage
    inner join sizes on usage.org_id = sizes.org_id and usage.project_id = sizes.project_id
    where usage.source = 'neon' and usage.family = 'storage' and usage.meter = 'root_branch_bytes_month'
        and not usage.is_open
        and usage.period_start >= sizes.last_created_at
    group by usage.org_id, usage.project_id, usage.unit, usage.day_start
),

projects as (
    select
        days.org_id, days.project_id, days.unit, cast(days.month_start as date) as period_month,
        cast(sum(days.quantity) as double) / cast(sum(days.hour_count) as double)
        / cast(max(days.logical_size_bytes) as double) as bytes_per_stored_byte_hour
    from days
    group by days.org_id, days.project_id, days.unit, days.month_start
)

select
    projects.org_id, -- Neon organization
    projects.period_month, -- first of the UTC month
    projects.unit, -- unit by seeds/meters.csv
    cast(count(*) as bigint) as project_count, -- projects with root branches only
    -- reported bytes per hour over bytes stored: about 1 for byte-hours, 1/744 for byte-months
    cast(median(projects.bytes_per_stored_byte_hour) as double)
        as bytes_per_stored_byte_hour, -- about 1: byte-hours; about 1/744: byte-months
    -- half way between the two on a logarithmic scale: 1 / sqrt(744)
    cast(case when median(projects.bytes_per_stored_byte_hour) > 0.0367 then 'byte-hours'
        else 'byte-months' end as varchar) as looks_like -- the unit that the numbers suggest
from projects
group by projects.org_id, projects.period_month, projects.unit
