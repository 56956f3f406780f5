-- One row per project, branch, metric and served period, billing periods added up. Branches stand
-- for their project; what the project's total has over them (project-only metrics, branches that
-- Neon no longer reports, lag) is one row without a branch, which may be negative. The sum over any
-- project is therefore the total that v2/projects reports, which is what Neon bills.
-- grain: org_id, project_id, branch_id, meter, period_start
-- window: period_start
with totals as (
    select
        usage.org_id,
        usage.project_id,
        usage.meter,
        usage.granularity,
        usage.bucket_start,
        usage.bucket_end,
        sum(usage.quantity) as quantity,
        max(usage.observed_at) as observed_at
    from staging.stg_neon__project_usage as usage
    inner join intermediate.int_resolution as resolution
        on usage.org_id = resolution.scope
        and date_trunc('day', usage.bucket_start) = resolution.period_start
        and usage.granularity = resolution.served_by
    where resolution.resource = 'neon_project_usage'
    group by
        usage.org_id, usage.project_id, usage.meter, usage.granularity, usage.bucket_start,
        usage.bucket_end
),

branches as (
    select
        usage.org_id,
        usage.project_id,
        usage.branch_id,
        usage.meter,
        usage.granularity,
        usage.bucket_start,
        usage.bucket_end,
        sum(usage.quantity) as quantity,
        max(usage.observed_at) as observed_at
    from staging.stg_neon__branch_usage as usage
    inner join intermediate.int_resolution as resolution
        on usage.org_id = resolution.scope
        and date_trunc('day', usage.bucket_start) = resolution.period_start
        and usage.granularity = resolution.served_by
    where resolution.resource = 'neon_project_usage'
    group by
        usage.org_id, usage.project_id, usage.branch_id, usage.meter, usage.granularity,
        usage.bucket_start, usage.bucket_end
),

attributed as (
    select
        branches.org_id,
        branches.project_id,
        branches.meter,
        branches.granularity,
        branches.bucket_start,
        branches.bucket_end,
        sum(branches.quantity) as quantity,
        max(branches.observed_at) as observed_at
    from branches
    group by
        branches.org_id, branches.project_id, branches.meter, branches.granularity,
        branches.bucket_start, branches.bucket_end
),

parts as (
    select
        branches.org_id,
        branches.project_id,
        branches.branch_id,
        branches.meter,
        branches.granularity,
        branches.bucket_start,
        branches.bucket_end,
        branches.quantity,
        branches.observed_at
    from branches
    union all
    select
        coalesce(totals.org_id, attributed.org_id) as org_id,
        coalesce(totals.project_id, attributed.project_id) as project_id,
        cast(null as varchar) as branch_id,
        coalesce(totals.meter, attributed.meter) as meter,
        coalesce(totals.granularity, attributed.granularity) as granularity,
        coalesce(totals.bucket_start, attributed.bucket_start) as bucket_start,
        coalesce(totals.bucket_end, attributed.bucket_end) as bucket_end,
        coalesce(totals.quantity, 0) - coalesce(attributed.quantity, 0) as quantity,
        coalesce(totals.observed_at, attributed.observed_at) as observed_at
    from totals
    full join attributed
        on totals.org_id = attributed.org_id
        and totals.project_id = attributed.project_id
        and totals.meter = attributed.meter
        and totals.granularity = attributed.granularity
        and totals.bucket_start = attributed.bucket_start
    where attributed.org_id is null
        or coalesce(totals.quantity, 0) <> attributed.quantity
)

select
    parts.org_id, -- Neon organization
    parts.project_id, -- Neon project
    parts.branch_id, -- Neon branch; null: what no branch accounts for
    parts.meter, -- Neon's name of the metric
    parts.granularity, -- which of hourly, daily, monthly served this period
    parts.bucket_start as period_start, -- first instant, UTC
    parts.bucket_end as period_end, -- first instant of the next period, UTC
    cast(parts.quantity as decimal(38, 9)) as quantity, -- as Neon reports it
    parts.observed_at -- when Neon said so
from parts
