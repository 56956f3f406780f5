-- One row per allowance and period in which it was used: how much is included, and when it starts anew.
-- Atlassian's as exported last, or else by the dated rows of seeds/allowances.csv for the plan in
-- seeds/plans.csv; Forge's and Neon's by those rows, Neon's for the plan of the org.
-- grain: source, meter, unit, org_id, holder_type, holder_id, period_start
with plans as (
    select cast('neon' as varchar) as source, org.org_id, cast(null as varchar) as meter,
        org.plan, 1 as user_count
    from staging.stg_neon__organizations as org
    union all
    select
        plan.source, case plan.source when 'atlassian_platform' then lower(plan.org_id)
            else plan.org_id end,
        plan.meter, plan.plan, coalesce(plan.user_count, 1)
    from seeds.plans as plan
),

periods as (
    select
        usage.source, usage.meter, usage.unit, usage.org_id, usage.holder_type, usage.holder_id,
        usage.allowed_from, max(usage.resets_at) as resets_at
    from intermediate.int_allowance_usage as usage
    where usage.holder_id is not null
    group by
        usage.source, usage.meter, usage.unit, usage.org_id, usage.holder_type, usage.holder_id,
        usage.allowed_from
),

by_plan as (
    select
        periods.source, periods.meter, periods.unit, periods.org_id, periods.holder_type,
        periods.holder_id, periods.allowed_from,
        -- the users of every plan of an organization fill one pool
        case when allowance.allowed_per = 'user, pooled'
            then sum(allowance.quantity * plans.user_count) else max(allowance.quantity)
        end as quantity
    from periods
    inner join seeds.allowances as allowance
        on periods.source = allowance.source
        and periods.meter = allowance.meter
        and periods.unit = allowance.unit
        and periods.holder_type
        = case when allowance.allowed_per = 'user, pooled' then 'org' else allowance.allowed_per end
        and cast(periods.allowed_from as date)
        >= coalesce(allowance.valid_from_date, date '1970-01-01')
        and cast(periods.allowed_from as date)
        < coalesce(allowance.valid_until_date, date '9999-12-31')
    left join plans
        on periods.source = plans.source and periods.org_id = plans.org_id
        and coalesce(plans.meter, periods.meter) = periods.meter
    where allowance.plan is null or lower(plans.plan) = lower(allowance.plan)
    group by
        periods.source, periods.meter, periods.unit, periods.org_id, periods.holder_type,
        periods.holder_id, periods.allowed_from, allowance.allowed_per
),

-- by the latest export that shows it, whether or not its usage counts; apps share it
shown as (
    select
        periods.meter, periods.unit, periods.org_id, periods.holder_type, periods.holder_id,
        periods.allowed_from, max(line.included_quantity) as included_quantity,
        max(line.extra_usage_limit) as extra_usage_limit,
        sum(case when line.granularity = 'month' then line.forecast_quantity end)
            as forecast_quantity
    from periods
    inner join intermediate.int_platform_lines as line
        on periods.source = 'atlassian_platform' and periods.meter = line.meter
        and periods.unit = line.unit and periods.org_id = line.org_id
        and periods.holder_type = line.scope_type and periods.holder_id = line.holder_id
        and line.period_start >= periods.allowed_from
        and line.period_start < periods.resets_at
    where line.included_quantity is not null
    group by
        periods.meter, periods.unit, periods.org_id, periods.holder_type, periods.holder_id,
        periods.allowed_from, line.granularity, line.period_start, line.period_end,
        line.exported_at
    qualify row_number() over (
        partition by
            periods.meter, periods.unit, periods.org_id, periods.holder_type,
            periods.holder_id, periods.allowed_from
        order by
            line.exported_at desc, line.granularity desc, line.period_start desc,
            line.period_end desc
    ) = 1
)

select
    periods.source, -- vendor API family
    periods.meter, -- what is metered
    periods.unit, -- of the quantity
    periods.org_id, -- the vendor's organization; null where it names none
    periods.holder_type, -- org, project, workspace, site, user
    periods.holder_id, -- whose allowance it is
    periods.allowed_from as period_start, -- first instant, UTC
    periods.resets_at, -- when it starts anew, UTC
    cast(coalesce(shown.included_quantity, by_plan.quantity) as decimal(38, 9))
        as included_quantity, -- the allowance
    shown.extra_usage_limit, -- the cap beyond it
    shown.forecast_quantity -- as the page forecast
from periods
left join shown
    on periods.source = 'atlassian_platform'
    and periods.meter = shown.meter
    and periods.unit = shown.unit
    and periods.org_id = shown.org_id
    and periods.holder_type = shown.holder_type
    and periods.holder_id = shown.holder_id
    and periods.allowed_from = shown.allowed_from
left join by_plan
    on periods.source = by_plan.source
    and periods.meter = by_plan.meter
    and periods.unit = by_plan.unit
    and periods.org_id is not distinct from by_plan.org_id
    and periods.holder_type = by_plan.holder_type
    and periods.holder_id = by_plan.holder_id
    and periods.allowed_from = by_plan.allowed_from
where coalesce(shown.included_quantity, by_plan.quantity) is not null
