-- One row per Atlassian allowance and period of which an export showed how much is included. The last
-- export that did so counts: a later one need not show it again.
-- grain: allowance_key, period_start
select
    period.allowance_key,
    period.period_start,
    shown.included_quantity, -- the allowance shown
    shown.extra_usage_limit, -- the cap beyond it
    cast(case when shown.granularity = 'month' then shown.forecast_quantity end
        as decimal(38, 9)) as forecast_quantity -- as the page forecast
from intermediate.int_allowance_periods as period
inner join intermediate.int_platform_scopes as shown
    on period.meter = shown.meter
    and period.unit = shown.unit
    and period.org_id = shown.org_id
    and period.owner_type = shown.scope_type
    and period.owner_id = shown.holder_id
    and shown.period_start >= period.period_start
    and shown.period_start < period.resets_at
where period.source = 'atlassian_platform' and shown.included_quantity is not null
qualify row_number() over (
    partition by period.allowance_key, period.period_start
    order by
        shown.exported_at desc, shown.granularity desc, shown.period_start desc,
        shown.period_end desc
) = 1
