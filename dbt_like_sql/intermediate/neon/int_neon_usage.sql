-- One row per project, branch, metric, plan and served period, billing periods added up. Branches stand
-- for their project; what the project's total has over them (project-only metrics, branches that
-- Neon no longer reports, lag) is one row without a branch, which may be negative. The sum over any
-- project is therefore the total that v2/projects reports, which is what Neon bills. A bucket in which the
-- plan changed is a row under each, and its remainder is made of what was used under that plan.
-- grain: org_id, project_id, branch_id, meter, period_start, plan
-- window: period_start
with reported as (
    select usage.*
    from staging.stg_neon__usage as usage
    inner join intermediate.int_resolution as resolution
        on usage.org_id = resolution.scope
        and date_trunc('day', usage.bucket_start) = resolution.period_start
        and usage.granularity = resolution.served_by
    where usage.resource in ('neon_project_usage', 'neon_branch_usage')
        and resolution.resource = 'neon_project_usage'
),

-- all of an organization is under one plan, until that changes
plans as (
    select reported.org_id, reported.bucket_start, min(reported.period_plan) as plan
    from reported
    group by reported.org_id, reported.bucket_start
    having min(reported.period_plan) = max(reported.period_plan)
),

-- each row counts for what it names, and a branch is taken off its project's total
entries as (
    select
        reported.org_id, reported.project_id, reported.branch_id, reported.meter,
        reported.granularity, reported.bucket_start, reported.bucket_end, reported.quantity,
        reported.observed_at, reported.period_plan, false as is_taken_off
    from reported
    union all
    select
        reported.org_id, reported.project_id, cast(null as varchar), reported.meter,
        reported.granularity, reported.bucket_start, reported.bucket_end, -reported.quantity,
        reported.observed_at, reported.period_plan, true
    from reported
    where reported.branch_id is not null
)

select
    entries.org_id,
    entries.project_id, -- Neon project
    entries.branch_id, -- Neon branch; null: what no branch accounts for
    entries.meter,
    entries.granularity, -- which of hourly, daily, monthly served this period
    entries.bucket_start as period_start, -- first instant, UTC
    entries.bucket_end as period_end, -- first instant of the next period, UTC
    cast(sum(entries.quantity) as decimal(38, 9)) as quantity, -- as Neon reports it
    cast(bool_or(entries.is_taken_off) as boolean)
        as is_remainder, -- what a total has over its parts, and not what was reported
    coalesce(
        max(case when not entries.is_taken_off then entries.observed_at end),
        max(entries.observed_at)
    ) as observed_at, -- when Neon said so
    coalesce(entries.period_plan, plans.plan)
        as plan -- as Neon reports it of the billing period, there or beside it
from entries
left join plans
    on entries.org_id = plans.org_id and entries.bucket_start = plans.bucket_start
group by
    entries.org_id, entries.project_id, entries.branch_id, entries.meter, entries.granularity,
    entries.bucket_start, entries.bucket_end, coalesce(entries.period_plan, plans.plan)
-- a total that its branches add up to has nothing left
having sum(entries.quantity) <> 0 or not bool_or(entries.is_taken_off)
