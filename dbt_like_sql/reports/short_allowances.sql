-- One row per allowance of a period that is under way, which is exhausted or projected to be before it
-- renews.
-- grain: source, meter, unit, org_id, owner_type, owner_id, period_start
select
    allowance.source, allowance.meter, allowance.unit, allowance.org_id, allowance.owner_type,
    allowance.owner_id, allowance.owner_name, allowance.period_start, allowance.resets_at,
    allowance.included_quantity, allowance.used_share,
    cast(
        allowance.straight_line_quantity / cast(allowance.included_quantity as double) as double
    ) as projected_share, -- of the allowance, at its renewal, as so far; 1: all of it
    cast(allowance.used_quantity > allowance.included_quantity as boolean)
        as is_exhausted, -- false: it is projected to be
    allowance.exhausted_on
from reports.allowance as allowance
where current_timestamp >= allowance.period_start and current_timestamp < allowance.resets_at
    and allowance.included_quantity > 0
    and (
        allowance.used_quantity > allowance.included_quantity
        or allowance.straight_line_quantity > cast(allowance.included_quantity as double)
    )
