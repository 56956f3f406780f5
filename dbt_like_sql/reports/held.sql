-- One row per table of answers and granularity: how much of it is held, over all scopes; the spans that
-- are missing are in reports.coverage.
-- grain: source, resource, granularity
select
    span.source,
    span.resource,
    span.granularity,
    cast(count(distinct span.scope) as bigint) as scopes, -- how many things are asked about
    min(span.span_start) as held_since, -- first instant of the first bucket held, UTC
    max(case when span.state in ('held', 'open', 'provisional') then span.span_end end)
        as held_until, -- first instant after the last bucket that was asked for, UTC
    cast(
        coalesce(
            sum(case when span.state in ('missing', 'lost') then span.bucket_count end), 0
        ) as bigint
    ) as missing, -- buckets in between that were not asked for, over all scopes
    max(span.last_asked_at) as asked_at -- when any of it was last asked, UTC
from reports.coverage as span
group by span.source, span.resource, span.granularity
