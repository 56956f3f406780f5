-- One row per allowance owner, meter, scope and period, a day or longer: what it used, and the allowance
-- that this counts against. It is what the price counts, day by day; where a vendor shows an allowance
-- itself, and no contract says another, it is what it tells that the owner used.
-- grain: allowance_key, scope, period_start, period_end
-- window: period_start, by month
with counted as (
    select
        usage.source, usage.resource, usage.scope, usage.org_id, usage.meter, usage.unit,
        allowance.owner_type, allowance.owner_id, usage.day_start as period_start,
        case usage.granularity when 'monthly' then usage.day_start + interval '1' month
            else usage.day_start + interval '1' day end as period_end,
        usage.quantity, cast(null as boolean) as is_settled,
        date_trunc('month', usage.day_start) as allowed_from,
        date_trunc('month', usage.day_start) + interval '1' month as resets_at,
        allowance.included_quantity, usage.observed_at
    from intermediate.int_allowance_days as allowance
    inner join intermediate.int_usage_by_day as usage
        on allowance.series_key = usage.series_key
        and allowance.granularity = usage.granularity and allowance.day_start = usage.day_start
    where allowance.period = 'month' and usage.source <> 'atlassian_platform'
    union all
    select
        'atlassian_platform', 'platform_usage',
        concat_ws('/', 'facts', fact.owner_type, fact.meter, fact.unit, fact.org_id), fact.org_id,
        fact.meter, fact.unit, fact.owner_type, fact.owner_id, fact.period_start, fact.period_end,
        fact.quantity, fact.observed_at >= fact.period_end, fact.allowed_from, fact.resets_at,
        fact.contract_quantity, fact.observed_at
    from intermediate.int_platform_counted as fact
    where fact.is_of_contract and fact.period <> 'bucket' and fact.owner_id is not null
),

used as (
    select
        counted.source, counted.resource, counted.scope, counted.org_id, counted.meter,
        counted.unit, counted.owner_type, counted.owner_id, counted.period_start,
        counted.period_end, sum(counted.quantity) as quantity,
        bool_and(counted.is_settled) as is_settled, counted.allowed_from, counted.resets_at,
        max(counted.included_quantity) as included_quantity,
        max(counted.observed_at) as observed_at
    from counted
    group by
        counted.source, counted.resource, counted.scope, counted.org_id, counted.meter,
        counted.unit, counted.owner_type, counted.owner_id, counted.period_start,
        counted.period_end, counted.allowed_from, counted.resets_at
    union all
    select
        told.source, told.resource, told.scope, told.org_id, told.meter, told.unit,
        told.owner_type, told.owner_id, told.period_start, told.period_end, told.quantity,
        told.is_settled, told.allowed_from, told.resets_at, null, told.observed_at
    from intermediate.int_platform_allowance_usage as told
    -- a contract says of whom the allowance is, too: what others are shown or published to have they
    -- have not
    anti join intermediate.int_platform_counted as contract
        on contract.is_of_contract and told.org_id = contract.org_id
        and told.meter = contract.meter and told.unit = contract.unit
        and (
            (told.period_start < contract.period_end and told.period_end > contract.period_start)
            -- nor what was used in a cycle of theirs on days of which the price includes nothing
            or (told.owner_type = contract.owner_type and told.owner_id = contract.owner_id
                and told.allowed_from = contract.allowed_from)
        )
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
    cast(used.included_quantity as decimal(38, 9))
        as included_quantity, -- as the price of the day has it; null: the vendor shows it, or a plan has it
    used.observed_at -- when the vendor said so
from used
