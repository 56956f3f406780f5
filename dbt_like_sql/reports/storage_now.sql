-- What each project (of what names none: organization) stores now, by meter: the average of the last UTC
-- day that is known (of today: of its hours so far), or the last reading. What was stored no more on
-- the meter's last day is not here.
-- grain: source, org_id, project_id, meter, unit
with told as (
    select
        usage.*, meter.aggregation, meter.billed_unit, meter.billed_unit_hours,
        meter.quantity_per_billed_unit,
        case usage.granularity when 'hourly' then usage.period_count
            else 24 * date_diff('day', usage.period_start, usage.period_end)
        end as hour_count
    from intermediate.int_usage_by_day as usage
    inner join seeds.meters as meter
        on usage.source = meter.source and usage.meter = meter.meter and usage.unit = meter.unit
    where usage.family = 'storage' and usage.day_start >= current_date - interval '62' day
        and (not usage.is_open or meter.aggregation = 'last')
    qualify usage.day_start
        = max(usage.day_start) over (partition by usage.source, usage.org_id, usage.meter)
),

-- a day on which the plan changed has rows of both plans: of its own hours each, or of all of them
stored as (
    select
        told.source, told.org_id, told.project_id, told.meter, told.day_start,
        case told.aggregation
            when 'last' then cast(sum(told.quantity) as double)
            else cast(sum(told.quantity) as double)
                / cast(told.quantity_per_billed_unit as double)
                * told.billed_unit_hours
                / cast(greatest(max(told.hour_count), least(sum(told.hour_count), 24)) as double)
        end as quantity,
        case told.aggregation when 'last' then told.unit
            else replace(replace(told.billed_unit, '-month', ''), '-hour', '')
        end as unit
    from told
    group by
        told.source, told.org_id, told.project_id, told.branch_id, told.site_id,
        told.environment_id, told.user_id, told.meter, told.unit, told.day_start,
        told.aggregation, told.billed_unit, told.billed_unit_hours, told.quantity_per_billed_unit
)

select
    stored.source,
    stored.org_id,
    stored.project_id,
    project.project_name,
    stored.meter,
    -- floats add up to another last digit in another order
    cast(sum(cast(stored.quantity as decimal(38, 9))) as double)
        as quantity, -- in `unit`; null: cannot be told
    cast(stored.unit as varchar) as unit, -- GB, mostly
    cast(stored.day_start as date) as as_of_date -- UTC day; of a reading the first of its month
from stored
left join marts.dim_project as project
    on stored.source = project.source
    and stored.org_id is not distinct from project.org_id
    and stored.project_id = project.project_id
group by
    stored.source, stored.org_id, stored.project_id, project.project_name, stored.meter,
    stored.unit, stored.day_start
