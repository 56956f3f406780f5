-- One row per scope and month-long period that was exported and overlaps no other: gauges and readings
-- count once a UTC month, with the last value; of two calendars that overlap (billing cycles beside
-- months), the one exported last counts.
-- grain: org_id, meter, unit, scope_type, site_id, project_id, user_id, period_start
with classified as (
    select
        scope.*,
        date_trunc('month', scope.period_start) as month_start
    from intermediate.int_platform_scopes as scope
),

spans as (
    select
        classified.*,
        case when classified.is_reading then classified.month_start
            else classified.period_start end as span_start,
        case when classified.is_reading then classified.month_start + interval '1' month
            else classified.period_end end as span_end
    from classified
    where classified.is_reading or classified.granularity = 'month'
    -- the last reading of the month; of a month that was exported twice, the last word
    qualify row_number() over (
        partition by
            classified.org_id, classified.meter, classified.unit, classified.scope_type,
            classified.site_id, classified.project_id, classified.user_id,
            case when classified.is_reading then classified.month_start
                else classified.period_start end
        order by
            -- a month that was exported before its end was read when it was exported
            case when classified.is_reading
                    then least(classified.period_end, classified.exported_at)
                else classified.exported_at end desc,
            classified.exported_at desc, classified.period_end desc
    ) = 1
),

-- months that begin at the same instant of the month are one calendar, and do not overlap
starts as (
    select spans.*, strftime(spans.span_start, '%d %H:%M:%S') as starts_on
    from spans
),

calendars as (
    select
        starts.*,
        max(starts.exported_at) over (
            partition by
                starts.org_id, starts.meter, starts.unit, starts.scope_type, starts.site_id,
                starts.project_id, starts.user_id, starts.starts_on
        ) as calendar_exported_at
    from starts
)

select
    calendar.org_id, -- Atlassian organization
    calendar.meter, -- what was used
    calendar.unit, -- of the quantity
    calendar.scope_type, -- org, site, workspace, user or repository
    calendar.site_id, -- site, or workspace; null for org and user
    calendar.project_id, -- repository; else null
    calendar.user_id, -- user; else null
    cast(calendar.span_start as timestamptz) as period_start, -- first instant, UTC
    cast(calendar.span_end as timestamptz) as period_end, -- first instant after the period, UTC
    calendar.quantity, -- as exported
    calendar.included_quantity, -- the allowance, where the page showed it
    calendar.allowance_reset_at, -- when it starts anew
    cast(calendar.is_reading as boolean) as is_reading, -- a value at an instant, not a sum
    calendar.is_final, -- cannot change
    calendar.exported_at -- when it was read off the page
from calendars as calendar
where not exists (
    select 1
    from calendars as other
    where other.org_id = calendar.org_id
        and other.meter = calendar.meter
        and other.unit = calendar.unit
        and other.scope_type = calendar.scope_type
        and other.site_id is not distinct from calendar.site_id
        and other.project_id is not distinct from calendar.project_id
        and other.user_id is not distinct from calendar.user_id
        and other.starts_on <> calendar.starts_on
        and other.span_start < calendar.span_end
        and other.span_end > calendar.span_start
        and (other.calendar_exported_at, other.starts_on)
        > (calendar.calendar_exported_at, calendar.starts_on)
)
