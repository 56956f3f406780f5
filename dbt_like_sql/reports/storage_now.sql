-- What each project (of what names none: organization) stores now, by meter: the average of the last UTC
-- day of its scope that is known and settled, or the last reading. What was stored no more by then is not
-- here, nor what was last told 62 days ago.
-- grain: source, org_id, project_id, meter, unit
with told as (
    select
        day.source, day.resource, day.scope, day.org_id, day.project_id, day.meter, day.unit,
        day.day_start, day.quantity, false as is_month
    from intermediate.int_daily_usage as day
    where day.day_start >= current_date - interval '62' day
    union all
    -- a gauge is known by the month in which it was read
    select
        usage.source, usage.resource, usage.scope, usage.org_id, usage.project_id, usage.meter,
        usage.unit, usage.day_start, usage.quantity, true
    from intermediate.int_usage_by_day as usage
    where usage.granularity = 'monthly' and usage.observed_at >= current_date - interval '62' day
),

-- of a meter that nobody uses any more, the last day with usage may be the last of its month
settled as (
    select day.scope, day.resource, max(day.day_start) as day_start
    from intermediate.int_days_known as day
    anti join intermediate.int_usage_by_day as open_usage
        on day.resource = open_usage.resource and day.scope = open_usage.scope
        and day.day_start = open_usage.day_start and open_usage.is_open
        and open_usage.day_start >= current_date - interval '62' day
    where day.is_settled and day.day_start >= current_date - interval '62' day
    group by day.scope, day.resource
),

stored as (
    select
        told.*,
        case meter.aggregation when 'last' then told.quantity
            else cast(told.quantity as double) * meter.billed_unit_hours / 24
                / cast(meter.quantity_per_billed_unit as double)
        end as stored_quantity,
        case meter.aggregation when 'last' then told.unit
            else replace(replace(meter.billed_unit, '-month', ''), '-hour', '')
        end as stored_unit
    from told
    inner join seeds.meters as meter
        on told.source = meter.source and told.meter = meter.meter and told.unit = meter.unit
    left join settled
        on told.resource = settled.resource and told.scope = settled.scope and not told.is_month
    where meter.family = 'storage' and told.is_month = (meter.aggregation = 'last')
    qualify told.day_start = coalesce(
        settled.day_start,
        max(told.day_start) over (partition by told.source, told.scope, told.meter)
    )
)

select
    stored.source, -- vendor API family
    stored.org_id, -- the vendor's organization; null where it names none
    stored.project_id, -- the vendor's project; null: what none accounts for
    project.project_name,
    stored.meter, -- the vendor's name of what is metered
    -- floats add up to another last digit in another order
    cast(sum(cast(stored.stored_quantity as decimal(38, 9))) as double)
        as quantity, -- in `unit`; null: cannot be told
    cast(stored.stored_unit as varchar) as unit, -- GB, mostly
    cast(max(stored.day_start) as date)
        as as_of_date -- UTC day; of a reading the first of its month
from stored
left join marts.dim_project as project
    on stored.source = project.source
    and stored.org_id is not distinct from project.org_id
    and stored.project_id = project.project_id
where stored.quantity <> 0
group by
    stored.source, stored.org_id, stored.project_id, project.project_name, stored.meter,
    stored.stored_unit
