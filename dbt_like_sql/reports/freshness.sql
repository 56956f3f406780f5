-- One row per source and verdict: up to when usage is held, and whether newer should be there. A source
-- whose things all stand alike is one row. What is asked about but names is looked at; where two tables
-- or things of a row differ, the one that is behind counts.
-- Verdicts are ok; late, where seeds/retention.csv has it that something newer should have been told;
-- stopped, where all of it has ended, or was late for a month; nothing told, where no more than names
-- was; and never loaded.
-- grain: source, verdict
with asked as (
    select
        span.source, span.scope, span.granularity, bool_or(span.state = 'ended') as is_ended,
        coalesce(
            max(case when span.state = 'held' then span.span_end end), min(span.span_start)
        ) as held_until,
        max(span.told_until) + max(retention.stale_hours) * interval '1' hour as late_at,
        is_ended or late_at < current_timestamp - interval '30' day as is_stopped
    from reports.coverage as span
    inner join seeds.retention as retention
        on span.resource = retention.resource and span.granularity = retention.granularity
    group by span.source, span.resource, span.scope, span.granularity
),

judged as (
    select
        asked.*,
        case when bool_and(asked.is_stopped) over same_scope then 'stopped'
            when min(case when not asked.is_stopped then asked.late_at end) over same_scope
                <= current_timestamp then 'late'
            else 'ok' end as verdict
    from asked
    window same_scope as (partition by asked.source, asked.scope)
    qualify not asked.is_stopped or bool_and(asked.is_stopped) over same_scope
),

-- what is looked at whenever there is a run, and by no tick, is no list of names
sources as (
    select
        retention.source, max(listing.last_listed_at) as asked_at,
        max(case when retention.tick_hour is null then listing.last_listed_at end) as listed_at
    from seeds.retention as retention
    left join staging.stg_loads__listings as listing
        on retention.resource = listing.resource and retention.granularity = 'snapshot'
    group by retention.source
)

select
    source.source, -- vendor API family
    cast(coalesce(judged.verdict, case
        when source.listed_at is not null then 'ok'
        when source.asked_at is not null then 'nothing told'
        else 'never loaded'
    end) as varchar) as verdict, -- ok, late, stopped, nothing told or never loaded, at the build
    cast(count(distinct judged.scope) as bigint)
        as scope_count, -- things asked about that stand so: orgs, repositories, app/resource
    min(judged.scope) as scope, -- the first of them by name
    min(case when judged.granularity = 'hourly' then judged.held_until end)
        as hourly_until, -- hours are held up to here, UTC: asked for once they had settled
    min(case when judged.granularity = 'daily' then judged.held_until end)
        as daily_until, -- days are held up to here, UTC
    min(case when judged.granularity = 'monthly' then judged.held_until end)
        as monthly_until, -- months are held up to here, UTC
    source.listed_at, -- when files last brought something, UTC; null: none did
    cast(extract(epoch from current_timestamp - coalesce(
        min(case when judged.granularity = 'hourly' then judged.held_until end),
        min(case when judged.granularity = 'daily' then judged.held_until end),
        min(judged.held_until), source.listed_at
    )) / 3600 as double) as age_hours, -- of the finest of these, at the build
    min(judged.late_at)
        as late_at -- from when on it is late, unless something newer is told, UTC; null: never
from sources as source
left join judged on source.source = judged.source
group by source.source, source.listed_at, source.asked_at, judged.verdict
