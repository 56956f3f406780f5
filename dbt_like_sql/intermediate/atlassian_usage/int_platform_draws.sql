-- One row per fact of Atlassian platform usage that counts against an allowance, known or not, from one
-- renewal to the next: how much the owner that its price names had used before, in order of time, and of
-- one time in order of ids.
-- grain: org_id, project_id, site_id, user_id, meter, unit, period_start
select
    counted.org_id, counted.project_id, counted.site_id, counted.user_id, counted.meter,
    counted.unit, counted.period_start,
    cast(coalesce(counted.contract_quantity, allowance.published_quantity) as decimal(38, 9))
        as included_quantity, -- as a contract says, or else as published; null: not known
    cast(sum(counted.quantity) over (
        partition by
            counted.org_id, counted.meter, counted.unit, counted.owner_type, counted.owner_id,
            counted.allowed_from
        order by counted.period_start, counted.project_id, counted.site_id, counted.user_id
        rows between unbounded preceding and current row
    ) - counted.quantity as decimal(38, 9)) as quantity_before -- used since it renewed
from intermediate.int_platform_counted as counted
left join intermediate.int_allowances as allowance
    on allowance.source = 'atlassian_platform' and counted.org_id = allowance.org_id
    and counted.meter = allowance.meter and counted.unit = allowance.unit
    and counted.owner_type = allowance.owner_type and counted.owner_id = allowance.owner_id
    and counted.allowed_from = allowance.period_start
where counted.period = 'cycle' and counted.owner_id is not null
