-- One row per fact of Atlassian platform usage that counts against an allowance, known or not, from one
-- renewal to the next: how much the owner that its price names had used before, in order of time, and of
-- one time in order of ids.
-- grain: org_id, project_id, site_id, user_id, meter, unit, period_start
with cycles as (
    select
        used.allowance_key, used.org_id, used.meter, used.unit, used.owner_type, used.owner_id,
        used.allowed_from as renewed_at, max(used.resets_at) as renews_at
    from intermediate.int_allowance_usage as used
    where used.source = 'atlassian_platform' and not used.is_of_contract
    group by
        used.allowance_key, used.org_id, used.meter, used.unit, used.owner_type, used.owner_id,
        used.allowed_from
),

owned as (
    select
        usage.*, cycle.allowance_key, cycle.renewed_at,
        coalesce(price.included_quantity, allowance.published_quantity) as included_quantity
    from intermediate.int_platform_usage as usage
    inner join cycles as cycle
        on usage.org_id = cycle.org_id and usage.meter = cycle.meter and usage.unit = cycle.unit
        and cycle.owner_id = case cycle.owner_type
            when 'org' then usage.org_id when 'project' then usage.project_id
            when 'site' then usage.site_id when 'workspace' then usage.site_id
            when 'user' then usage.user_id
        end
        and usage.period_start >= cycle.renewed_at and usage.period_start < cycle.renews_at
    inner join intermediate.int_prices as price
        on price.source = 'atlassian_platform' and usage.meter = price.meter
        and usage.unit = price.unit and usage.granularity = price.granularity
        and usage.period_start = price.day_start and price.is_included and price.period = 'cycle'
        and cycle.owner_type
        = case price.allowed_per when 'user, pooled' then 'org' else price.allowed_per end
    left join intermediate.int_allowances as allowance
        on cycle.allowance_key = allowance.allowance_key
        and cycle.renewed_at = allowance.period_start
    -- a renewal that moved may put a day under two
    qualify row_number() over (
        partition by
            usage.org_id, usage.project_id, usage.site_id, usage.user_id, usage.meter,
            usage.unit, usage.period_start
        order by allowance.published_quantity is null, cycle.renewed_at desc
    ) = 1
)

select
    owned.org_id, owned.project_id, owned.site_id, owned.user_id, owned.meter, owned.unit,
    owned.period_start,
    cast(owned.included_quantity as decimal(38, 9))
        as included_quantity, -- as a contract says, or else as published; null: not known
    cast(sum(owned.quantity) over (
        partition by owned.allowance_key, owned.renewed_at
        order by owned.period_start, owned.project_id, owned.site_id, owned.user_id
        rows between unbounded preceding and current row
    ) - owned.quantity as decimal(38, 9)) as quantity_before -- used since it renewed
from owned
