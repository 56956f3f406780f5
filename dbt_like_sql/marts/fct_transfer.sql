-- Transfer: one row per thing that moved data, meter and period (Neon: bytes out).
-- Additive: sum(quantity) under any filter on one meter and unit is what the vendor metered; no
-- period is held at two granularities and no usage under both a whole and its parts.
-- grain: source, org_id, project_id, branch_id, site_id, environment_id, user_id, meter, unit, period_start
-- check: quantity is not null and unit is not null and period_start < period_end
-- window: period_start
select
    usage.source, -- vendor API family: neon, forge
    usage.org_id, -- the vendor's organization; null where it names none (Forge)
    usage.project_id, -- the vendor's project (Neon project, Forge app)
    usage.branch_id, -- Neon branch; null: what no branch accounts for
    usage.site_id, -- Atlassian site; null: what no site accounts for, and for other sources
    usage.environment_id, -- Forge environment, where asked for by site; else null
    usage.user_id, -- user, where the vendor says so
    usage.meter, -- the vendor's name of what is metered; explained in seeds.meters
    usage.granularity, -- which of hourly, daily, monthly served this period
    usage.period_start, -- first instant, UTC
    usage.period_end, -- first instant of the next period, UTC
    usage.quantity, -- in `unit`; may be negative where no branch or site is named and those exceed the total
    usage.unit, -- the vendor's unit
    usage.is_open, -- true: the period was still filling, or not yet settled, when observed
    usage.observed_at -- when the vendor said so
from intermediate.int_usage as usage
where usage.family = 'transfer'
