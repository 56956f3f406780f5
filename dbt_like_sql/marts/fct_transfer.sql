-- Transfer, of marts.fct_usage: what was sent, read or written (Neon's bytes over the network; Forge's
-- key-value store and logs; Bitbucket's network traffic).
-- grain: source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit, period_start, plan
-- window: period_start
-- materialized: view
select
    usage.source, usage.org_id, usage.project_id, usage.branch_id, usage.site_id,
    usage.environment_id, usage.user_id, usage.meter, usage.granularity, usage.period_start,
    usage.period_end, usage.period_date, usage.quantity, usage.unit, usage.is_open,
    usage.observed_at, usage.plan
from marts.fct_usage as usage
where usage.family = 'transfer'
