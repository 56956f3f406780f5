-- One row per allowance owner, meter, scope and period, a day or longer: what it used, and the allowance
-- that this counts against. Where a source tells what each owner used, it is that; else what the facts of a
-- calendar month add up to, for owners that seeds/allowances.csv or a contract names.
-- grain: allowance_key, scope, period_start, period_end
-- window: period_start, by month
with metered as (
    -- most usage has no allowance
    select
        usage.*, owner.owner_type,
        case owner.owner_type
            when 'org' then usage.org_id when 'project' then usage.project_id
            when 'site' then usage.site_id when 'workspace' then usage.site_id
            when 'user' then usage.user_id
        end as owner_id
    from intermediate.int_usage_by_day as usage
    inner join (
        select source, meter, replace(allowed_per, 'user, pooled', 'org') as owner_type
        from seeds.allowances where period <> 'bucket'
        union
        select source, meter, replace(allowed_per, 'user, pooled', 'org')
        from seeds.price_overrides where period <> 'bucket'
    ) as owner on usage.source = owner.source and usage.meter = owner.meter
    where usage.source <> 'atlassian_platform'
),

told as (
    -- what a contract includes lasts as long as it says, as in the bill
    select
        told.*,
        exists (
            select 1
            from seeds.price_overrides as own
            where told.source = own.source and told.meter = own.meter
                and told.owner_type = replace(own.allowed_per, 'user, pooled', 'org')
                and own.period = 'month' and own.quantity_included is not null
                and coalesce(own.valid_from_date <= cast(told.period_start as date), true)
                and coalesce(own.valid_until_date > cast(told.period_start as date), true)
        ) as is_of_contract
    from intermediate.int_platform_allowance_usage as told
),

used as (
    select
        told.source, told.resource, told.scope, told.org_id, told.meter, told.unit, told.owner_type,
        told.owner_id, told.period_start, told.period_end, told.quantity, told.is_settled,
        told.is_of_contract,
        case when told.is_of_contract then date_trunc('month', told.period_start)
            else told.allowed_from end as allowed_from,
        case when told.is_of_contract
            then date_trunc('month', told.period_start) + interval '1' month
            else told.resets_at end as resets_at,
        told.observed_at, cast(null as varchar) as plan
    from told
    union all
    select
        metered.source, metered.resource, metered.scope, metered.org_id, metered.meter,
        metered.unit, metered.owner_type, metered.owner_id, metered.day_start,
        max(case metered.granularity when 'monthly' then metered.day_start + interval '1' month
            else metered.day_start + interval '1' day end),
        sum(metered.quantity), cast(null as boolean), false,
        date_trunc('month', metered.day_start),
        date_trunc('month', metered.day_start) + interval '1' month, max(metered.observed_at),
        max(metered.plan)
    from metered
    where metered.owner_id is not null
    group by
        metered.source, metered.resource, metered.scope, metered.org_id, metered.meter,
        metered.unit, metered.owner_type, metered.owner_id, metered.day_start, metered.granularity
)

select
    -- as a list, quoted: null is not '', and no two owners' parts are one text
    md5(cast(json_array(
        used.source, used.meter, used.unit, used.org_id, used.owner_type, used.owner_id
    ) as varchar)) as allowance_key, -- source, meter, unit, org, owner type and owner
    used.source, -- vendor API family
    used.resource, -- the table in raw.* whose receipts or lines tell which days are known
    used.scope, -- what was asked about, or exported together
    used.org_id, -- the vendor's organization; null where it names none
    used.meter, -- what is metered
    used.unit, -- of all quantities here
    cast(used.owner_type as varchar) as owner_type, -- org, project, workspace, site, user
    cast(used.owner_id as varchar) as owner_id, -- whose allowance it is
    cast(used.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(used.period_end as timestamptz) as period_end, -- first instant after it, UTC
    cast(used.quantity as decimal(38, 9)) as quantity, -- used
    cast(used.period_end > used.period_start + interval '1' day as boolean)
        as is_month, -- told by the month, not by the day
    used.is_settled, -- true: it cannot change; null: the receipts of its day tell
    cast(used.allowed_from as timestamptz) as allowed_from, -- when the allowance last renewed, UTC
    cast(used.resets_at as timestamptz) as resets_at, -- when it renews next, UTC
    cast(used.is_of_contract as boolean)
        as is_of_contract, -- true: of a calendar month that a contract says, and of no cycle
    used.observed_at, -- when the vendor said so
    used.plan -- as the vendor reported it; on the day of a change one of both; null: it reports none
from used
