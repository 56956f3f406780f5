-- Of each day of the last 60, how well it is known, by source: as the thing of which least is known. A day
-- is known by the hour or by the day, whichever is better.
with spans as (
    select
        span.source, span.resource, span.scope, span.span_start, span.span_end,
        case span.state when 'held' then 1 when 'open' then 2 when 'provisional' then 2
            when 'missing' then 3 when 'lost' then 4 end as rank
    from reports.coverage as span
    where span.state <> 'ended' and span.span_end > $today - 60 and span.granularity <> 'monthly'
),

known as (
    select spans.source, spans.resource, spans.scope, calendar.date, min(spans.rank) as rank
    from seeds.calendar_days as calendar
    inner join spans
        on cast(spans.span_start as date) <= calendar.date
        and spans.span_end > cast(calendar.date as timestamp) at time zone 'UTC'
    where calendar.date > $today - 60 and calendar.date <= $today
    group by spans.source, spans.resource, spans.scope, calendar.date
)

select
    known.source, known.date,
    case max(known.rank) when 1 then 'held' when 2 then 'open' when 3 then 'missing' else 'lost' end
        as state,
    count(*) filter (known.rank > 2) as not_held, count(*) as asked_about
from known
group by known.source, known.date
order by known.source, known.date
