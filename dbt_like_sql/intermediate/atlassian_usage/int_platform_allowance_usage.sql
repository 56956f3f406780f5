-- One row per owner of an Atlassian allowance and period, a day or longer: what its own lines say that
-- it used, whichever way of splitting the organization is the fact. An organization without a total of
-- its own has what its parts add up to.
-- grain: org_id, meter, unit, owner_type, owner_id, period_start, period_end
with own as (
    select
        period.org_id, period.meter, period.unit, period.scope_type as owner_type,
        period.holder_id as owner_id, period.period_start, period.period_end, period.quantity,
        period.is_final or period.exported_at >= period.period_end as is_settled,
        period.allowed_from, period.resets_at, period.exported_at
    from intermediate.int_platform_periods as period
    -- the only two readers of int_platform_wholes here: of an organization, what counts
    left join intermediate.int_platform_wholes as whole
        on period.scope_type = 'org'
        and period.org_id = whole.org_id and period.meter = whole.meter
        and period.unit = whole.unit and period.period_start >= whole.period_start
        and period.period_end <= whole.period_end
    where period.scope_type <> 'org' or whole.org_id is not null
),

-- parts of periods that no total of their organization touches
parts as (
    select
        part.*,
        part.period_end > part.period_start + interval '1' day as is_month,
        date_trunc('month', part.period_start) as month_start
    from intermediate.int_platform_usage as part
    anti join intermediate.int_platform_wholes as whole
        on part.org_id = whole.org_id and part.meter = whole.meter and part.unit = whole.unit
        and part.period_start < whole.period_end and part.period_end > whole.period_start
),

both as (
    select own.*
    from own
    union all
    select
        parts.org_id, parts.meter, parts.unit, 'org', parts.org_id, parts.period_start,
        parts.period_end, sum(parts.quantity), min(parts.observed_at) >= parts.period_end,
        case when parts.is_month then parts.period_start else parts.month_start end,
        case when parts.is_month then parts.period_end
            else parts.month_start + interval '1' month end,
        max(parts.observed_at)
    from parts
    group by
        parts.org_id, parts.meter, parts.unit, parts.period_start, parts.period_end,
        parts.is_month, parts.month_start
)

select
    cast('atlassian_platform' as varchar) as source, -- vendor API family
    cast('platform_usage' as varchar) as resource, -- the table in raw.*
    -- a day on which one user was exported is known of all users of the organization
    concat_ws('/', both.owner_type, both.meter, both.unit, both.org_id)
        as scope, -- owners whose days are exported together
    both.org_id, -- Atlassian organization
    both.meter, -- what was used
    both.unit, -- of the quantity
    cast(both.owner_type as varchar) as owner_type, -- org, site, workspace, user or repository
    cast(both.owner_id as varchar) as owner_id, -- whose usage
    both.period_start, -- first instant, UTC
    both.period_end, -- first instant after it, UTC
    cast(both.quantity as decimal(38, 9)) as quantity, -- as exported
    cast(both.is_settled as boolean) as is_settled, -- exported after its end, or final
    cast(both.allowed_from as timestamptz) as allowed_from, -- when the allowance last renewed
    cast(both.resets_at as timestamptz) as resets_at, -- when it renews next, UTC
    both.exported_at as observed_at -- when it was read off the page
from both
