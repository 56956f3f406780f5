-- One row per allowance and period: what was used of it so far, and where the period will end if it
-- goes on so. Forge's are per app and month, Neon's transfer per project or org, Atlassian's as its
-- page showed them.
-- grain: source, meter, unit, holder_type, holder_id, period_start
with used as (
    select
        allowance.source, allowance.meter, allowance.unit, allowance.org_id,
        allowance.holder_type, allowance.holder_id, allowance.period_start, allowance.resets_at,
        allowance.included_quantity, usage.quantity, usage.observed_at,
        usage.period_start as used_since, usage.period_end as used_until,
        least(allowance.resets_at, date_trunc('day', max(usage.observed_at) over (
            partition by allowance.source, allowance.meter, allowance.org_id
        ))) as known_until
    from intermediate.int_allowances as allowance
    inner join intermediate.int_usage as usage
        on allowance.source = usage.source
        and allowance.meter = usage.meter
        and allowance.unit = usage.unit
        and allowance.org_id is not distinct from usage.org_id
        and allowance.holder_id
        = case allowance.holder_type when 'org' then usage.org_id when 'user' then usage.user_id
            when 'project' then usage.project_id when 'repository' then usage.project_id
            else usage.site_id end
        and usage.period_start >= date_trunc('day', allowance.period_start)
        and usage.period_start < allowance.resets_at
),

measured as (
    select
        used.source, used.meter, used.unit, used.org_id, used.holder_type, used.holder_id,
        used.period_start, used.resets_at, used.included_quantity,
        sum(used.quantity) as used_quantity,
        max(used.observed_at) as observed_at,
        date_diff('day', used.period_start, used.resets_at) as day_count,
        greatest(0, date_diff('day', used.period_start, max(used.known_until))) as days_passed,
        sum(used.quantity) filter (used.used_until <= used.known_until) as passed_quantity,
        sum(used.quantity) filter (
            used.used_since >= used.known_until - interval '7' day
            and used.used_until <= used.known_until
        ) as last_7_days_quantity,
        bool_and(used.used_until <= used.used_since + interval '1' day) as is_told_by_day
    from used
    group by
        used.source, used.meter, used.unit, used.org_id, used.holder_type, used.holder_id,
        used.period_start, used.resets_at, used.included_quantity
),

-- per day: over the whole days where usage is told by the day, else up to the hour it was observed
paced as (
    select
        measured.*,
        gauge.meter is not null as is_reading,
        case
            when measured.is_told_by_day
                then cast(measured.passed_quantity as double) / nullif(measured.days_passed, 0)
            else cast(measured.used_quantity as double) / nullif(
                least(
                    measured.day_count,
                    date_diff('day', measured.period_start, measured.observed_at)
                    + extract(hour from measured.observed_at) / 24.0
                ), 0
            )
        end as daily_quantity
    from measured
    left join (
        select distinct meter.source, meter.meter from seeds.meters as meter
        where meter.aggregation = 'last'
    ) as gauge on measured.source = gauge.source and measured.meter = gauge.meter
),

projected as (
    select
        paced.*,
        case when paced.is_reading then cast(paced.used_quantity as double)
            else paced.daily_quantity * paced.day_count end as straight_line,
        case when paced.is_told_by_day and not paced.is_reading and paced.days_passed >= 7
            then cast(paced.passed_quantity as double)
            + cast(coalesce(paced.last_7_days_quantity, 0) as double) / 7
            * (paced.day_count - paced.days_passed) end as by_last_7_days
    from paced
)

select
    projected.source, -- vendor API family
    projected.meter, -- what is metered
    projected.unit, -- of all quantities here
    projected.holder_type, -- org, project, workspace, site, user
    projected.holder_id, -- whose allowance it is
    projected.org_id, -- the vendor's organization; null where it names none
    projected.period_start, -- first instant, UTC
    projected.resets_at, -- when it starts anew, UTC
    cast(projected.used_quantity as decimal(38, 9)) as used_quantity, -- so far
    projected.included_quantity, -- the allowance
    cast(
        cast(projected.used_quantity as double)
        / nullif(cast(projected.included_quantity as double), 0) as double
    ) as used_share, -- 1: used up; null where nothing is included
    cast(greatest(projected.used_quantity - projected.included_quantity, 0) as decimal(38, 9))
        as overage_quantity, -- beyond it so far
    cast(projected.days_passed as bigint) as days_passed, -- whole days that projections stand on
    cast(projected.straight_line as double) as straight_line_quantity, -- at the reset, as so far
    cast(projected.by_last_7_days as double)
        as last_7_days_quantity, -- at the reset, as in the last 7 days; null: not told by day
    cast(greatest(projected.straight_line - cast(projected.included_quantity as double), 0)
        as double) as projected_overage_quantity, -- beyond it at the reset, as so far
    -- null: it lasts, as so far
    cast(case
        when projected.straight_line > cast(projected.included_quantity as double)
            and not projected.is_reading
            then projected.period_start + cast(floor(
                cast(projected.included_quantity as double) / projected.straight_line
                * projected.day_count
            ) as integer) * interval '1' day
    end as date) as exhausted_on, -- UTC day on which it is used up; null: it lasts
    projected.observed_at -- when the vendor said so
from projected
