-- One row per scope, app and time of its own usage: the last word on it, in the period of its
-- organization. What lies in a period and beside it is of a calendar that does not count. Of a period
-- that was exported and asked for, what was read later counts; of a month that was exported when it was
-- over, no days of another calendar do.
-- grain: scope_key, app, granularity, period_start
-- materialized: view
with placed as (
    select
        line.*,
        coalesce(period.period_start, line.period_start) as whole_start,
        coalesce(period.period_end, line.period_end) as whole_end,
        coalesce(line.renewed_at, period.renewed_at, date_trunc('month', line.period_start))
            as allowed_from,
        coalesce(
            line.renews_at, period.renews_at,
            date_trunc('month', line.period_start) + interval '1' month
        ) as resets_at
    from intermediate.int_platform_lines as line
    left join intermediate.int_platform_periods as period
        on line.org_id = period.org_id and line.meter = period.meter and line.unit = period.unit
        -- what was told at once of days in an exported period and after it lies beside it, too; a first
        -- reading of a cycle is a period that takes nothing from accounts which it lacks
        and case when period.period_end = period.renews_at
            then line.told_from else line.period_start end < period.period_end
        and line.period_end > period.period_start
    where case line.granularity when 'day' then period.period_start is null
        or (line.told_from >= period.period_start and line.period_end <= period.period_end)
        else line.period_start = period.period_start and line.period_end = period.period_end end
    qualify row_number() over (
        partition by line.scope_key, line.app, line.granularity, line.period_start, line.is_asked
        order by line.read_at desc, line.exported_at desc, line.precedence desc, line.line desc
    ) = 1
),

-- when files and the meters API last told of it
sides as (
    select
        placed.*,
        max(case when placed.is_asked then placed.exported_at end) over same_kind as asked_at,
        max(case when not placed.is_asked then placed.exported_at end) over same_kind
            as last_exported_at,
        max(case when not placed.is_asked and placed.granularity = 'month'
            then placed.exported_at end) over same_kind as month_exported_at,
        coalesce(bool_or(
            not placed.is_asked and placed.granularity = 'month'
            and placed.exported_at >= placed.whole_end
        ) over same_kind, false)
        and not bool_or(placed.is_asked and placed.granularity = 'month') over same_kind
            as is_exported_alone
    from placed
    window same_kind as (
        partition by placed.org_id, placed.meter, placed.unit, placed.scope_type, placed.whole_start
    )
)

select
    sides.scope_key, sides.org_id, sides.meter, sides.unit, sides.app, sides.scope_type,
    sides.owner_type, sides.scope_id, sides.site_id, sides.project_id, sides.user_id, sides.granularity,
    sides.period_start, sides.period_end, sides.told_from, sides.quantity, sides.is_final,
    sides.exported_at, sides.is_asked,
    cast(sides.whole_start as timestamptz) as whole_start, -- of the period that it lies in, UTC
    cast(sides.whole_end as timestamptz) as whole_end, -- first instant after that, UTC
    cast(sides.allowed_from as timestamptz) as allowed_from, -- when its allowance renewed, UTC
    cast(sides.resets_at as timestamptz) as resets_at -- when it does again, UTC
from sides
-- exported days that were read later may not tell all of the period: what was asked still does
where sides.asked_at is null
    or (
        not sides.is_exported_alone
        and sides.asked_at >= coalesce(case sides.granularity when 'day'
            then sides.last_exported_at else sides.month_exported_at end, sides.asked_at)
    ) = sides.is_asked
