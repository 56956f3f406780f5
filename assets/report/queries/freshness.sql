-- Up to when each source is held, and since when every day of it is.
select
    fresh.source, fresh.verdict, fresh.scope_count,
    coalesce(fresh.hourly_until, fresh.daily_until, fresh.monthly_until, fresh.listed_at) as held_until,
    complete.complete_since_date
from reports.freshness as fresh
left join reports.complete_days as complete on fresh.source = complete.source
order by fresh.source, fresh.verdict
