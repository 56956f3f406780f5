-- Whether a source can be compared with the period before: where fewer days of it are known on one side, or
-- some of it is told by the month while this one is not over, the difference says nothing of use.
with periods (period, since, until, since_before, until_before) as (
    values
        ('month', $month, $until, $month_before, $until_before),
        ('week', $today - 7, $today, $today - 14, $today - 7),
        ('thirty', $today - 30, $today, $today - 60, $today - 30)
),

counted as (
    select
        told.source, periods.period,
        count(distinct told.period_date) filter (
            not told.is_month and told.period_date >= periods.since
            and told.period_date < periods.until
        ) as day_count,
        count(distinct told.period_date) filter (
            not told.is_month and told.period_date >= periods.since_before
            and told.period_date < periods.until_before
        ) as day_count_before,
        periods.period = 'month' and bool_or(told.is_month) as has_months
    from reports.told_days as told
    cross join periods
    where told.period_date >= periods.since_before and told.period_date < periods.until
    group by told.source, periods.period
)

select
    counted.source, counted.period, counted.day_count, counted.day_count_before, counted.has_months,
    case when counted.has_months then $today = $until
        else least(counted.day_count, counted.day_count_before)
            >= 0.9 * greatest(counted.day_count, counted.day_count_before)
    end as is_comparable
from counted
order by counted.source, counted.period
