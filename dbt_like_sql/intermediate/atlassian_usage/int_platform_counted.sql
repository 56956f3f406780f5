-- One row per fact of Atlassian platform usage whose price has an allowance: whose it is, from when to
-- when, and how much a contract includes. A billing cycle is the owner's own, or else that of its
-- organization. What names no such owner counts against none.
-- grain: org_id, project_id, site_id, user_id, meter, unit, period_start
with cycles as (
    select
        used.org_id, used.meter, used.unit, used.owner_type, used.owner_id,
        used.allowed_from as renewed_at, max(used.resets_at) as renews_at
    from intermediate.int_platform_allowance_usage as used
    group by
        used.org_id, used.meter, used.unit, used.owner_type, used.owner_id, used.allowed_from
),

priced as (
    select
        usage.*, price.owner_type as owner_kind, price.period,
        price.included_quantity as contract_quantity,
        case price.owner_column
            when 'org_id' then usage.org_id when 'project_id' then usage.project_id
            when 'site_id' then usage.site_id when 'user_id' then usage.user_id
        end as owner_id
    from intermediate.int_platform_usage as usage
    inner join intermediate.int_prices as price
        on price.source = 'atlassian_platform' and usage.meter = price.meter
        and usage.unit = price.unit and usage.granularity = price.granularity
        and usage.period_start = price.day_start
    where price.is_included
),

counted as (
    select
        priced.*,
        -- in the word of the lines: facts have sites and workspaces in one column
        case when cycle.owner_id = priced.owner_id then cycle.owner_type else priced.owner_kind end
            as owner_type,
        case priced.period when 'cycle' then cycle.renewed_at
            else date_trunc('month', priced.period_start) end as allowed_from,
        case priced.period when 'cycle' then cycle.renews_at
            else date_trunc('month', priced.period_start) + interval '1' month end as resets_at
    from priced
    left join cycles as cycle
        on priced.org_id = cycle.org_id and priced.meter = cycle.meter
        and priced.unit = cycle.unit and priced.period_start >= cycle.renewed_at
        and priced.period_start < cycle.renews_at
        and (cycle.owner_type = 'org' or (
            replace(cycle.owner_type, 'workspace', 'site')
            = replace(priced.owner_kind, 'workspace', 'site') and cycle.owner_id = priced.owner_id
        ))
    -- a renewal that moved may put a day under two
    qualify row_number() over (
        partition by
            priced.org_id, priced.project_id, priced.site_id, priced.user_id, priced.meter,
            priced.unit, priced.period_start
        order by coalesce(cycle.owner_id = priced.owner_id, false) desc, cycle.renewed_at desc
    ) = 1
)

select
    counted.org_id, counted.project_id, counted.site_id, counted.user_id, counted.meter,
    counted.unit, counted.period_start, counted.period_end, counted.quantity,
    counted.observed_at, counted.period,
    cast(counted.owner_type as varchar) as owner_type, -- org, project, workspace, site, user
    cast(counted.owner_id as varchar) as owner_id, -- whose allowance it is; null: nobody tells
    counted.contract_quantity, -- as a contract says; null: it does not
    -- else it is what the vendor shows, or a plan includes
    cast(counted.period <> 'cycle' or bool_or(counted.contract_quantity is not null) over (
        partition by
            counted.org_id, counted.meter, counted.unit, counted.owner_type, counted.owner_id,
            counted.period, counted.allowed_from
    ) as boolean) as is_of_contract, -- true: a contract says how much, or for how long
    cast(counted.allowed_from as timestamptz) as allowed_from, -- when the allowance last renewed, UTC
    cast(counted.resets_at as timestamptz) as resets_at -- when it renews next, UTC
from counted
