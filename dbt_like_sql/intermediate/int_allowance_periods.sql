-- One row per allowance owner, meter and period from one renewal to the next: what it used in all.
-- grain: allowance_key, period_start
select
    usage.allowance_key,
    usage.source,
    usage.resource,
    usage.scope,
    usage.org_id,
    usage.meter,
    usage.unit,
    usage.owner_type,
    usage.owner_id,
    usage.allowed_from as period_start, -- when the allowance last renewed, UTC
    max(usage.resets_at) as resets_at, -- when it renews next, UTC
    cast(sum(usage.quantity) as decimal(38, 9)) as quantity, -- used so far
    cast(bool_or(usage.is_month) as boolean) as has_months, -- not all of it is told by the day
    max(usage.observed_at) as observed_at -- when the vendor said so
from intermediate.int_allowance_usage as usage
group by
    usage.allowance_key, usage.source, usage.resource, usage.scope, usage.org_id, usage.meter,
    usage.unit, usage.owner_type, usage.owner_id, usage.allowed_from
