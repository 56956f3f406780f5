-- One row per organization, meter and period by which its usage is told: the months and cycles that
-- were exported, which never overlap. Those of the organization's own total come first, then those
-- that were told when they were over, then those of a calendar (the day of the month on which they
-- begin) of readings, or those of files, whichever told last. Of calendars of files it is the one of
-- which a period that was over was exported last, else that begins first: what is exported before its
-- end, by turns, moves nothing. A day that is in none of them is a period of its own, and so are the
-- days of the first reading of a cycle.
-- grain: org_id, meter, unit, period_start
with calendars as (
    select
        line.org_id, line.meter, line.unit, line.period_start, line.period_end,
        bool_or(line.scope_type = 'org') as is_whole,
        -- a cycle that is still read takes no month away that was told whole
        bool_or(line.exported_at >= line.period_end) as is_over,
        max(line.exported_at) as exported_at,
        bool_or(bool_or(line.is_reading)) over same_calendar as is_read,
        max(max(line.exported_at)) over same_calendar as calendar_told_at,
        max(max(case when not line.is_reading then line.exported_at end)) over (
            partition by line.org_id, line.meter, line.unit
        ) as files_told_at,
        min(line.period_start) over same_calendar as first_start,
        max(case when max(line.exported_at) >= line.period_end then max(line.exported_at) end)
            over same_calendar as whole_exported_at
    from intermediate.int_platform_lines as line
    where line.granularity = 'month'
    group by line.org_id, line.meter, line.unit, line.period_start, line.period_end
    window same_calendar as (
        partition by line.org_id, line.meter, line.unit, extract(day from line.period_start)
    )
),

ranked as (
    select
        calendars.*,
        row_number() over (
            partition by calendars.org_id, calendars.meter, calendars.unit
            order by
                calendars.is_whole desc, calendars.is_over desc,
                case when calendars.is_over then null
                    when calendars.is_read then calendars.calendar_told_at
                    else calendars.files_told_at end desc,
                (calendars.is_read and not calendars.is_over) desc,
                calendars.whole_exported_at desc nulls last, calendars.first_start,
                calendars.exported_at desc, calendars.period_start desc, calendars.period_end desc
        ) as place
    from calendars
),

chosen as (
    select
        ranked.org_id, ranked.meter, ranked.unit, ranked.period_start, ranked.period_end
    from ranked
    anti join ranked as better
        on ranked.org_id = better.org_id and ranked.meter = better.meter
        and ranked.unit = better.unit and ranked.place > better.place
        and ranked.period_start < better.period_end and ranked.period_end > better.period_start
)

select
    chosen.org_id, chosen.meter, chosen.unit,
    cast(chosen.period_start as timestamptz) as period_start,
    cast(chosen.period_end as timestamptz) as period_end, -- first instant after the period, UTC
    cast(chosen.period_start as timestamptz) as renewed_at, -- when allowances renewed, UTC
    cast(chosen.period_end as timestamptz) as renews_at -- when they do next, UTC
from chosen
union all
select
    line.org_id, line.meter, line.unit, line.period_start, line.period_end, line.renewed_at,
    line.renews_at
from intermediate.int_platform_lines as line
anti join chosen
    on line.org_id = chosen.org_id and line.meter = chosen.meter and line.unit = chosen.unit
    and line.period_start < chosen.period_end and line.period_end > chosen.period_start
where line.granularity = 'day' and line.scope_type = 'org'
    and line.period_end > line.period_start + interval '1' day
