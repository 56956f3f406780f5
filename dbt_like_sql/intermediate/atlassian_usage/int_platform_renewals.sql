-- One row per exported reading, and per day that shows when its allowance renews: the renewal cycle that
-- it is in. A reading that shows no renewal is in the cycle that begins with the last one shown before
-- it, else in its UTC month. A reading's cycle begins where another one ended, if that is a month (27 to
-- 32 days) before its own end: renewals move by a day now and then.
-- grain: file_sha256, line
with shown as (
    select line.org_id, line.usage_type, date_trunc('day', line.allowance_reset_at) as renewed_at
    from staging.stg_atlassian__platform_usage as line
    where line.allowance_reset_at is not null
    union
    select line.org_id, line.usage_type, line.period_start
    from staging.stg_atlassian__platform_usage as line
    where line.granularity = 'month'
    union
    select line.org_id, line.usage_type, line.period_end
    from staging.stg_atlassian__platform_usage as line
    where line.granularity = 'month'
),

dated as (
    select
        line.file_sha256, line.line, line.org_id, line.usage_type, line.granularity,
        line.period_start,
        coalesce(
            case when line.granularity = 'snapshot' then line.allowance_reset_at
                else date_trunc('day', line.allowance_reset_at) end,
            (
                select max(shown.renewed_at) from shown
                where shown.org_id = line.org_id and shown.usage_type = line.usage_type
                    and shown.renewed_at <= line.period_start
            ),
            date_trunc('month', line.period_start)
        ) as renewal -- any of them
    from staging.stg_atlassian__platform_usage as line
    where line.granularity = 'snapshot'
        or (line.granularity = 'day' and line.allowance_reset_at is not null)
),

-- renewals are whole months apart: the first one after the line
cycles as (
    select
        dated.*,
        cast(
            (extract(year from dated.renewal) - extract(year from dated.period_start)) * 12
            + extract(month from dated.renewal) - extract(month from dated.period_start)
            as integer
        ) as months_away,
        months_away - case when dated.renewal - interval '1' month * months_away
            > dated.period_start then 0 else 1 end as months_after,
        dated.renewal - interval '1' month * (months_after + 1) as renewed_at,
        dated.renewal - interval '1' month * months_after as renews_at
    from dated
)

select
    cycles.file_sha256, -- the content of its file
    cycles.line,
    cast(coalesce(
        max(case when shown.renewed_at = date_trunc('day', cycles.renewed_at)
            then shown.renewed_at end),
        max(shown.renewed_at), cycles.renewed_at
    ) as timestamptz) as renewed_at, -- when its allowance renewed last, UTC
    cast(cycles.renews_at as timestamptz) as renews_at -- when it renews next, UTC
from cycles
left join shown
    on cycles.granularity = 'snapshot'
    and cycles.org_id = shown.org_id and cycles.usage_type = shown.usage_type
    and shown.renewed_at >= cycles.renews_at - interval '32' day
    and shown.renewed_at <= cycles.renews_at - interval '27' day
group by cycles.file_sha256, cycles.line, cycles.renewed_at, cycles.renews_at
