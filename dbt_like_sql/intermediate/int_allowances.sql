-- One row per allowance and period in which it was used: how much is included, and when it starts anew.
-- Atlassian's as exported last, or else by the dated rows of seeds/allowances.csv for the plan in
-- seeds/plans.csv; Forge's and Neon's by those rows, Neon's for the plan of the org.
-- grain: source, meter, unit, holder_type, holder_id, period_start
with plans as (
    select cast('neon' as varchar) as source, org.org_id, cast(null as varchar) as meter,
        org.plan, 1 as user_count
    from staging.stg_neon__organizations as org
    union all
    select plan.source, plan.org_id, plan.meter, plan.plan, coalesce(plan.user_count, 1)
    from seeds.plans as plan
),

used as (
    select distinct
        usage.source, usage.meter, usage.unit, usage.org_id, holders.holder_type,
        case holders.holder_type when 'org' then usage.org_id when 'user' then usage.user_id
            when 'workspace' then usage.site_id else usage.project_id end as holder_id,
        date_trunc('month', usage.period_start) as month_start
    from intermediate.int_usage as usage
    cross join (values ('org'), ('project'), ('workspace'), ('user')) as holders (holder_type)
    -- most usage has no allowance
    where exists (
        select 1 from seeds.allowances as allowance
        where usage.source = allowance.source and usage.meter = allowance.meter
    )
),

by_plan as (
    select
        used.source, used.meter, used.unit, used.org_id, used.holder_type, used.holder_id,
        used.month_start as period_start, used.month_start + interval '1' month as resets_at,
        -- the users of every plan of an organization fill one pool
        case when allowance.allowed_per = 'user, pooled'
            then sum(allowance.quantity * plans.user_count) else max(allowance.quantity)
        end as quantity
    from used
    inner join seeds.allowances as allowance
        on used.source = allowance.source
        and used.meter = allowance.meter
        and used.unit = allowance.unit
        and used.holder_type
        = case when allowance.allowed_per = 'user, pooled' then 'org' else allowance.allowed_per end
        and cast(used.month_start as date)
        >= coalesce(allowance.valid_from_date, date '1970-01-01')
        and cast(used.month_start as date)
        < coalesce(allowance.valid_until_date, date '9999-12-31')
    left join plans
        on used.source = plans.source and used.org_id = plans.org_id
        and coalesce(plans.meter, used.meter) = used.meter
    where used.holder_id is not null
        and (allowance.plan is null or lower(plans.plan) = lower(allowance.plan))
    group by
        used.source, used.meter, used.unit, used.org_id, used.holder_type, used.holder_id,
        used.month_start, allowance.allowed_per
),

-- a month is its own period; a day lies in the month that ends where the page says it starts anew
shown as (
    select
        scope.*,
        case when scope.granularity = 'month' and not scope.is_reading then scope.period_start
            when scope.is_reading or scope.allowance_reset_at is null
                then date_trunc('month', scope.period_start)
            else scope.allowance_reset_at - interval '1' month end as allowed_from,
        case when scope.granularity = 'month' and not scope.is_reading then scope.period_end
            when scope.is_reading or scope.allowance_reset_at is null
                then date_trunc('month', scope.period_start) + interval '1' month
            else scope.allowance_reset_at end as resets_at
    from intermediate.int_platform_scopes as scope
    where scope.included_quantity is not null
),

exported as (
    select
        cast('atlassian_platform' as varchar) as source, shown.meter, shown.unit, shown.org_id,
        shown.scope_type as holder_type,
        coalesce(shown.user_id, shown.project_id, shown.site_id, shown.org_id) as holder_id,
        shown.allowed_from as period_start, shown.resets_at,
        shown.included_quantity as quantity, shown.extra_usage_limit,
        case when shown.granularity = 'month' then shown.forecast_quantity end
            as forecast_quantity
    from shown
    qualify row_number() over (
        partition by
            shown.meter, shown.unit, shown.org_id, shown.scope_type, shown.user_id,
            shown.project_id, shown.site_id, shown.allowed_from
        order by shown.exported_at desc, shown.period_end desc
    ) = 1
),

either as (
    select exported.* from exported
    union all
    select by_plan.source, by_plan.meter, by_plan.unit, by_plan.org_id, by_plan.holder_type,
        by_plan.holder_id, by_plan.period_start, by_plan.resets_at, by_plan.quantity,
        cast(null as decimal(38, 9)), cast(null as decimal(38, 9))
    from by_plan
    anti join exported
        on by_plan.source = exported.source
        and by_plan.meter = exported.meter
        and by_plan.unit = exported.unit
        and by_plan.holder_type = exported.holder_type
        and by_plan.holder_id = exported.holder_id
        and by_plan.period_start < exported.resets_at
        and by_plan.resets_at > exported.period_start
)

select
    either.source, -- vendor API family
    either.meter, -- what is metered
    either.unit, -- of the quantity
    either.org_id, -- the vendor's organization; null where it names none
    cast(either.holder_type as varchar) as holder_type, -- org, project, workspace, site, user
    cast(either.holder_id as varchar) as holder_id, -- whose allowance it is
    cast(either.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(either.resets_at as timestamptz) as resets_at, -- when it starts anew, UTC
    cast(either.quantity as decimal(38, 9)) as included_quantity, -- the allowance
    cast(either.extra_usage_limit as decimal(38, 9)) as extra_usage_limit, -- the cap beyond it
    cast(either.forecast_quantity as decimal(38, 9)) as forecast_quantity -- as the page forecast
from either
