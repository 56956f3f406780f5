-- What vendors corrected in the last 35 days after it had settled. An hour that was is a part of a day and a
-- month that were, too: grains do not add up.
select
    restated.source, restated.meter, restated.unit, restated.granularity, count(*) as buckets,
    cast(sum(
        coalesce(restated.quantity_after, 0) - coalesce(restated.quantity_before, 0)
    ) as double) as difference,
    cast(min(restated.period_start) as date) as since, cast(max(restated.observed_at) as date) as last_seen
from reports.restatements as restated
where restated.observed_at >= $today - 35 and restated.observed_at < $until
    -- wholes alone: their parts are corrected with them
    and restated.branch_id is null and restated.site_id is null
group by restated.source, restated.meter, restated.unit, restated.granularity
order by buckets desc, restated.source, restated.meter, restated.granularity
