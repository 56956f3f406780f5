-- Storage over time, of marts.fct_usage (Neon's byte-months; Forge's GB-hours; of Bitbucket the
-- month's last reading of large files and packages).
-- grain: source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit, period_start, plan
-- window: period_start
-- materialized: view
select
    usage.source, usage.org_id, usage.project_id, usage.branch_id, usage.site_id,
    usage.environment_id, usage.user_id, usage.meter, usage.granularity, usage.period_start,
    usage.period_end, usage.period_date, usage.quantity, usage.unit, usage.is_open,
    usage.observed_at, usage.plan
from marts.fct_usage as usage
where usage.family = 'storage'
