-- Usage of every kind: one row per thing that used something, meter, plan and period. A meter that
-- seeds/meters.csv does not know is not here (reports.unmapped_meters has it).
-- Additive: sum(quantity) under any filter on one meter and unit is what the vendor metered (of a
-- gauge, such as indexed objects: within one month, of which it has the last reading); no
-- period is held at two granularities and no usage under both a whole and its parts.
-- grain: source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit, period_start, plan
-- check: quantity is not null and unit is not null and period_start < period_end
-- window: period_start
-- materialized: view
select
    usage.source, usage.org_id, usage.project_id, usage.branch_id, usage.site_id,
    usage.environment_id, usage.user_id, usage.family, usage.meter, usage.granularity,
    usage.period_start, usage.period_end,
    cast(usage.period_start at time zone 'UTC' as date) as period_date, -- UTC day of period_start
    usage.quantity, usage.unit, usage.is_open, usage.observed_at, usage.plan
from intermediate.int_usage as usage
where usage.family is not null
