-- One row per series that was told of in a UTC month, and part of the month in which the same rules of
-- seeds.owners hold: days added up, so that what asks who used something, or since when, need not read
-- them.
-- grain: series_key, since_at
-- window: month_start, by month
with rule_dates as (
    select cast(rule.valid_from_date as timestamptz) as changes_at
    from intermediate.int_owner_rules as rule
    union
    select cast(rule.valid_until_date as timestamptz)
    from intermediate.int_owner_rules as rule
),

days as (
    select
        used.day_start, date_trunc('month', used.day_start) as month_start,
        max(case when rule.changes_at <= used.day_start then rule.changes_at end) as changed_at,
        min(case when rule.changes_at > used.day_start then rule.changes_at end) as changes_at
    from (select distinct usage.day_start from intermediate.int_usage_by_day as usage) as used
    left join rule_dates as rule
        on date_trunc('month', used.day_start) = date_trunc('month', rule.changes_at)
    group by used.day_start
)

select
    usage.series_key,
    cast(days.month_start as timestamptz) as month_start, -- UTC month
    cast(coalesce(days.changed_at, days.month_start) as timestamptz)
        as since_at, -- first UTC day of this part of it
    cast(coalesce(days.changes_at, days.month_start + interval '1' month) as timestamptz)
        as until_at, -- first UTC day after it
    -- a series has one of each
    any_value(usage.source) as source, -- vendor API family
    any_value(usage.org_id) as org_id, -- the vendor's organization
    any_value(usage.project_id) as project_id, -- the vendor's project
    any_value(usage.branch_id) as branch_id, -- the vendor's branch
    any_value(usage.site_id) as site_id, -- the vendor's site
    any_value(usage.user_id) as user_id, -- the vendor's user
    any_value(usage.family) as family, -- null: not classified on any of these days
    min(case when usage.quantity <> 0 and usage.family is not null then usage.day_start end)
        as first_day, -- first UTC day on which it is a fact that it used something; null: none of them
    max(case when usage.quantity <> 0 and usage.family is not null then usage.day_start end)
        as last_day, -- last such UTC day
    min(usage.first_period_end) as first_told_at, -- first instant after its first period, UTC
    min(case when usage.quantity <> 0 then usage.period_start end)
        as first_used_at, -- start of its first period with usage, UTC; null: it used nothing
    max(case when usage.quantity <> 0 then usage.period_end end)
        as last_used_at, -- end of its last period with usage, UTC
    max(case when usage.quantity <> 0 and usage.family = 'compute' then usage.period_end end)
        as last_computed_at -- the same where that is compute; null: it is none
from intermediate.int_usage_by_day as usage
inner join days on usage.day_start = days.day_start
group by usage.series_key, days.month_start, days.changed_at, days.changes_at
