-- One row per owner of an Atlassian allowance and period, a day or longer: what its own lines say that
-- it used, whichever way of splitting the organization is the fact. An organization without a total of
-- its own, or with days of it that come to less than its parts, has what these add up to.
-- grain: org_id, meter, unit, owner_type, owner_id, period_start, period_end
with totals as (
    select
        part.org_id, part.meter, part.unit, part.split_start, max(part.period_end) as split_end,
        any_value(renewal.allowed_from) as allowed_from,
        any_value(renewal.resets_at) as resets_at,
        sum(part.quantity) as quantity, min(part.observed_at) as first_observed_at,
        max(part.observed_at) as observed_at
    from intermediate.int_platform_usage as part
    inner join (
        select
            scope.org_id, scope.meter, scope.unit, scope.split_start,
            max(scope.allowed_from) as allowed_from, max(scope.resets_at) as resets_at
        from intermediate.int_platform_scopes as scope
        group by scope.org_id, scope.meter, scope.unit, scope.split_start
    ) as renewal
        on part.org_id = renewal.org_id and part.meter = renewal.meter
        and part.unit = renewal.unit and part.split_start = renewal.split_start
    group by part.org_id, part.meter, part.unit, part.split_start
),

own as (
    select scope.*
    from intermediate.int_platform_scopes as scope
    left join totals
        on scope.scope_type = 'org' and scope.org_id = totals.org_id
        and scope.meter = totals.meter and scope.unit = totals.unit
        and scope.split_start = totals.split_start
    qualify totals.org_id is null or totals.quantity
        <= sum(scope.quantity) over (partition by scope.scope_key, scope.split_start)
)

select
    cast('atlassian_platform' as varchar) as source, -- vendor API family
    cast('platform_usage' as varchar) as resource, -- the table in raw.*
    -- a day on which one user was exported is known of all users of the organization
    concat_ws('/', own.scope_type, own.meter, own.unit, own.org_id)
        as scope, -- owners whose days are exported together
    own.org_id, own.meter, own.unit,
    own.owner_type,
    own.scope_id as owner_id,
    cast(least(own.told_from, own.period_start) as timestamptz) as period_start, -- first instant, UTC
    own.period_end, -- first instant after it, UTC
    own.quantity, -- as exported
    cast(own.is_final or own.exported_at >= own.period_end as boolean)
        as is_settled, -- exported after its end, or final
    own.allowed_from, -- when the allowance last renewed
    own.resets_at, -- when it renews next, UTC
    own.exported_at as observed_at -- when it was read off the page
from own
union all
select
    'atlassian_platform', 'platform_usage',
    concat_ws('/', 'org', totals.meter, totals.unit, totals.org_id), totals.org_id, totals.meter,
    totals.unit, 'org', totals.org_id, totals.split_start, totals.split_end,
    cast(totals.quantity as decimal(38, 9)), totals.first_observed_at >= totals.split_end,
    totals.allowed_from, totals.resets_at, totals.observed_at
from totals
anti join own
    on own.scope_type = 'org' and own.org_id = totals.org_id and own.meter = totals.meter
    and own.unit = totals.unit and own.split_start = totals.split_start
