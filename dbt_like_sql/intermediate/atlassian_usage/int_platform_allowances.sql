-- One row per Atlassian allowance and period of which an export showed how much is included. The last
-- export that did so counts, whether or not its usage does; a later one need not show it again. Apps
-- share it.
-- grain: allowance_key, period_start
select
    period.allowance_key,
    period.period_start,
    max(line.included_quantity) as included_quantity, -- the allowance shown
    max(line.extra_usage_limit) as extra_usage_limit, -- the cap beyond it
    cast(sum(case when line.granularity = 'month' then line.forecast_quantity end)
        as decimal(38, 9)) as forecast_quantity -- as the page forecast
from intermediate.int_allowance_periods as period
inner join intermediate.int_platform_lines as line
    on period.meter = line.meter
    and period.unit = line.unit
    and period.org_id = line.org_id
    and period.owner_type = line.scope_type
    and period.owner_id = line.holder_id
    and line.period_start >= period.period_start
    and line.period_start < period.resets_at
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
