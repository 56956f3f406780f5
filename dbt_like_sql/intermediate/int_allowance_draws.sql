-- One row per usage row that counts against an allowance: how much of it its owner had used before, and
-- how much is included. Rows of one owner and period are in order of time, and of one instant in order
-- of project, branch, site, environment, user and plan, those without one last.
-- grain: series_key, period_start
-- window: period_start
select
    usage.series_key, usage.period_start,
    cast(case when allowance.period = 'bucket'
        then allowance.included_quantity * cast(
            extract(epoch from usage.period_end) - extract(epoch from usage.period_start)
            as bigint
        ) / 3600
        else allowance.included_quantity
    end as decimal(38, 9)) as included_quantity, -- in `unit`; null: not known
    cast(allowance.quantity_before + sum(usage.quantity) over (
        partition by
            allowance.allowance_key,
            case when allowance.period = 'bucket' then usage.period_start else allowance.day_start end
        order by
            usage.period_start, usage.project_id, usage.branch_id, usage.site_id,
            usage.environment_id, usage.user_id, usage.plan, usage.series_key
        rows between unbounded preceding and current row
    ) - usage.quantity as decimal(38, 9)) as quantity_before -- used in the period before this
from intermediate.int_usage as usage
inner join intermediate.int_allowance_days as allowance
    on usage.series_key = allowance.series_key and usage.granularity = allowance.granularity
    and date_trunc('day', usage.period_start) = allowance.day_start
union all
select usage.series_key, usage.period_start, cycle.included_quantity, cycle.quantity_before
from intermediate.int_usage as usage
inner join intermediate.int_platform_draws as cycle
    on usage.org_id = cycle.org_id and usage.meter = cycle.meter and usage.unit = cycle.unit
    and usage.period_start = cycle.period_start
    and usage.project_id is not distinct from cycle.project_id
    and usage.site_id is not distinct from cycle.site_id
    and usage.user_id is not distinct from cycle.user_id
where usage.source = 'atlassian_platform'
