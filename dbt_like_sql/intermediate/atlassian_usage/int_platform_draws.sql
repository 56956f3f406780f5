-- One row per fact of Atlassian platform usage whose allowance is known, from one renewal to the next:
-- how much its owner had used of it before, in order of time, and of one time in order of ids.
-- grain: org_id, project_id, site_id, user_id, meter, unit, period_start
with owned as (
    select
        usage.*, allowance.allowance_key, allowance.period_start as renewed_at,
        allowance.included_quantity
    from intermediate.int_platform_usage as usage
    inner join intermediate.int_allowances as allowance
        on usage.org_id = allowance.org_id and usage.meter = allowance.meter
        and usage.unit = allowance.unit
        and allowance.owner_id = case allowance.owner_type
            when 'org' then usage.org_id when 'workspace' then usage.site_id
            when 'user' then usage.user_id
        end
        and usage.period_start >= allowance.period_start
        and usage.period_start < allowance.resets_at
    inner join (
        select distinct
            allowed.meter,
            case allowed.allowed_per when 'user, pooled' then 'org' else allowed.allowed_per end
                as owner_type
        from seeds.allowances as allowed
        where allowed.source = 'atlassian_platform'
    ) as owner on usage.meter = owner.meter and allowance.owner_type = owner.owner_type
    where allowance.source = 'atlassian_platform'
    -- a renewal that moved may put a day under two
    qualify row_number() over (
        partition by
            usage.org_id, usage.project_id, usage.site_id, usage.user_id, usage.meter,
            usage.unit, usage.period_start
        order by allowance.period_start desc
    ) = 1
)

select
    owned.org_id, owned.project_id, owned.site_id, owned.user_id, owned.meter, owned.unit,
    owned.period_start,
    owned.included_quantity,
    cast(sum(owned.quantity) over (
        partition by owned.allowance_key, owned.renewed_at
        order by
            owned.period_start, owned.site_id, owned.project_id, owned.user_id
        rows between unbounded preceding and current row
    ) - owned.quantity as decimal(38, 9)) as quantity_before -- used since it renewed
from owned
