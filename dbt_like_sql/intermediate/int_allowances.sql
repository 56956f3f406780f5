-- One row per allowance and period in which its owner used something: how much is included. What the
-- vendor showed counts, else the dated rows of seeds/allowances.csv for the plan of the organization, as
-- the vendor lists it or as seeds/plans.csv says.
-- grain: allowance_key, period_start
with plans as (
    select org.source, org.org_id, cast(null as varchar) as meter, org.plan, 1 as user_count
    from marts.dim_org as org
    where org.plan is not null
    union all
    select
        plan.source, plan.org_id, plan.meter, plan.plan, coalesce(plan.user_count, 1)
    from seeds.plans as plan
),

by_plan as (
    select
        period.allowance_key, period.period_start,
        -- the users of every plan of an organization fill one pool
        case when included.allowed_per = 'user, pooled'
            then sum(included.quantity * plans.user_count)
            else max(included.quantity) end as quantity
    from intermediate.int_allowance_periods as period
    inner join seeds.allowances as included
        on period.source = included.source
        and period.meter = included.meter
        and period.unit = included.unit
        and period.owner_type
        = case included.allowed_per when 'user, pooled' then 'org' else included.allowed_per end
        and cast(period.period_start as date)
        >= coalesce(included.valid_from_date, date '1970-01-01')
        and cast(period.period_start as date)
        < coalesce(included.valid_until_date, date '9999-12-31')
    left join plans
        on period.source = plans.source
        and lower(period.org_id) = lower(plans.org_id)
        and coalesce(plans.meter, period.meter) = period.meter
    where included.plan is null or lower(plans.plan) = lower(included.plan)
    group by period.allowance_key, period.period_start, included.allowed_per
)

select
    period.allowance_key,
    period.source,
    period.resource,
    period.scope,
    period.org_id,
    period.meter,
    period.unit,
    period.owner_type,
    period.owner_id,
    period.period_start,
    period.resets_at,
    period.quantity,
    period.has_months,
    period.observed_at,
    cast(coalesce(shown.included_quantity, by_plan.quantity) as decimal(38, 9))
        as included_quantity, -- the allowance
    shown.extra_usage_limit,
    shown.forecast_quantity
from intermediate.int_allowance_periods as period
left join intermediate.int_platform_allowances as shown
    on period.allowance_key = shown.allowance_key and period.period_start = shown.period_start
left join by_plan
    on period.allowance_key = by_plan.allowance_key
    and period.period_start = by_plan.period_start
where coalesce(shown.included_quantity, by_plan.quantity) is not null
