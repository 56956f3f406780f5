-- One row per allowance and period from one renewal to the next in which its owner used something: how
-- much that is, and how much is included. What the price of the last of its days has counts (a contract's,
-- or that of the plan that was reported), else what the vendor showed, else the dated rows of
-- seeds/allowances.csv for the plan that seeds/plans.csv has.
-- grain: allowance_key, period_start
with periods as (
    select
        usage.allowance_key, usage.source, usage.org_id, usage.meter, usage.unit, usage.owner_type,
        usage.owner_id, usage.allowed_from as period_start,
        max(usage.resets_at) as resets_at, sum(usage.quantity) as quantity,
        bool_or(usage.is_month) as has_months, max(usage.observed_at) as observed_at,
        max_by(usage.included_quantity, case when usage.included_quantity is not null
            then usage.period_start end) as included_quantity
    from intermediate.int_allowance_usage as usage
    group by
        usage.allowance_key, usage.source, usage.org_id, usage.meter, usage.unit, usage.owner_type,
        usage.owner_id, usage.allowed_from
),

-- the last export that showed one counts, whether or not its usage does; apps share it
shown as (
    select
        period.allowance_key, period.period_start,
        max(line.included_quantity) as included_quantity,
        max(line.extra_usage_limit) as extra_usage_limit,
        max(line.pay_as_you_go) as pay_as_you_go,
        sum(case when line.granularity = 'month' then line.forecast_quantity end)
            as forecast_quantity
    from periods as period
    inner join intermediate.int_platform_lines as line
        on period.org_id = line.org_id and period.meter = line.meter and period.unit = line.unit
        and period.owner_id = line.scope_id and period.owner_type = line.owner_type
        and line.period_start >= period.period_start and line.period_start < period.resets_at
    where period.source = 'atlassian_platform' and line.included_quantity is not null
    group by
        period.allowance_key, period.period_start, line.granularity, line.period_start,
        line.period_end, line.exported_at
    qualify row_number() over (
        partition by period.allowance_key, period.period_start
        order by
            line.exported_at desc, line.granularity desc, line.period_start desc,
            line.period_end desc
    ) = 1
),

by_plan as (
    select
        period.allowance_key, period.period_start,
        -- the users of every plan of an organization fill one pool
        case when included.allowed_per = 'user, pooled'
            then sum(included.quantity * coalesce(plans.user_count, 1))
            else max(included.quantity) end as quantity
    from periods as period
    inner join seeds.allowances as included
        on period.source = included.source and period.meter = included.meter
        and period.unit = included.unit
        and period.owner_type
        = case included.allowed_per when 'user, pooled' then 'org' else included.allowed_per end
        and coalesce(included.valid_from_date <= cast(period.period_start as date), true)
        and coalesce(included.valid_until_date > cast(period.period_start as date), true)
    left join intermediate.int_plans as plans
        on period.source = plans.source and lower(period.org_id) = plans.org_id
        and coalesce(plans.meter, period.meter) = period.meter
    where included.period <> 'bucket'
        and (included.plan is null or plans.plan = lower(included.plan))
    group by period.allowance_key, period.period_start, included.allowed_per
)

select
    period.allowance_key, period.source, period.org_id, period.meter, period.unit,
    period.owner_type, period.owner_id,
    period.period_start, -- when the allowance last renewed, UTC
    period.resets_at, -- when it renews next, UTC
    cast(period.quantity as decimal(38, 9)) as quantity, -- used so far
    cast(period.has_months as boolean) as has_months, -- not all of it is told by the day
    period.observed_at, -- when the vendor said so
    cast(coalesce(period.included_quantity, shown.included_quantity, by_plan.quantity)
        as decimal(38, 9)) as included_quantity, -- the allowance
    cast(coalesce(shown.included_quantity, by_plan.quantity) as decimal(38, 9))
        as published_quantity, -- the same on days of which no contract says it
    shown.extra_usage_limit, -- the cap beyond it, where one was shown
    shown.pay_as_you_go, -- of what is used beyond it, in the vendor's words; null: not told
    cast(shown.forecast_quantity as decimal(38, 9)) as forecast_quantity -- as the vendor forecast
from periods as period
left join shown
    on period.allowance_key = shown.allowance_key and period.period_start = shown.period_start
left join by_plan
    on period.allowance_key = by_plan.allowance_key
    and period.period_start = by_plan.period_start
where coalesce(period.included_quantity, shown.included_quantity, by_plan.quantity) is not null
