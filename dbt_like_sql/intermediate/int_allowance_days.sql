-- One row per allowance, period and UTC day of which it is known what the holder used, with nothing on
-- days on which only others did, and whether that can still change. A day that is not here was not
-- asked for or exported, or is told by the month.
-- grain: source, meter, unit, org_id, holder_type, holder_id, period_start, day_start
with used as (
    select
        usage.source, usage.meter, usage.unit, usage.org_id, usage.holder_type, usage.holder_id,
        usage.allowed_from as period_start, usage.resets_at, usage.period_start as day_start,
        usage.quantity, usage.is_settled
    from intermediate.int_allowance_usage as usage
    where not usage.is_month
),

-- most usage has no allowance
allowed as (
    select used.*
    from used
    semi join intermediate.int_allowances as allowance
        on used.source = allowance.source
        and used.meter = allowance.meter
        and used.unit = allowance.unit
        and used.org_id is not distinct from allowance.org_id
        and used.holder_type = allowance.holder_type
        and used.holder_id = allowance.holder_id
        and used.period_start = allowance.period_start
),

asked as (
    select
        allowance.source, allowance.meter, allowance.unit, allowance.org_id,
        allowance.holder_type, allowance.holder_id, allowance.period_start, asked.day_start,
        cast(0 as decimal(38, 9)) as quantity, asked.is_settled
    from intermediate.int_allowances as allowance
    inner join intermediate.int_days_asked as asked
        on allowance.source = asked.source
        and asked.scope = case allowance.source
            when 'forge' then concat(allowance.holder_id, '/', allowance.meter)
            else allowance.org_id end
        and asked.day_start >= allowance.period_start
        and asked.day_start < allowance.resets_at
),

-- days on which others of their kind were exported, for users (or sites, ...) told by the day
exported_days as (
    select
        used.meter, used.unit, used.org_id, used.holder_type, used.day_start,
        bool_or(used.is_settled) as is_settled
    from used
    where used.source = 'atlassian_platform'
    group by used.meter, used.unit, used.org_id, used.holder_type, used.day_start
),

left_out as (
    select
        holder.source, holder.meter, holder.unit, holder.org_id, holder.holder_type,
        holder.holder_id, holder.period_start, day.day_start,
        cast(0 as decimal(38, 9)) as quantity, day.is_settled
    from (
        select distinct
            allowed.source, allowed.meter, allowed.unit, allowed.org_id, allowed.holder_type,
            allowed.holder_id, allowed.period_start, allowed.resets_at
        from allowed
        where allowed.source = 'atlassian_platform'
    ) as holder
    inner join exported_days as day
        on holder.meter = day.meter and holder.unit = day.unit and holder.org_id = day.org_id
        and holder.holder_type = day.holder_type
        and day.day_start >= holder.period_start
        and day.day_start < holder.resets_at
    anti join allowed
        on holder.meter = allowed.meter and holder.unit = allowed.unit
        and holder.org_id = allowed.org_id and holder.holder_type = allowed.holder_type
        and holder.holder_id = allowed.holder_id and day.day_start = allowed.day_start
),

days as (
    select
        allowed.source, allowed.meter, allowed.unit, allowed.org_id, allowed.holder_type,
        allowed.holder_id, allowed.period_start, allowed.day_start, allowed.quantity,
        allowed.is_settled
    from allowed
    union all
    select asked.* from asked
    union all
    select left_out.* from left_out
)

select
    days.source, -- vendor API family
    days.meter, -- what is metered
    days.unit, -- of the quantity
    days.org_id, -- the vendor's organization; null where it names none
    days.holder_type, -- org, project, workspace, site, user
    days.holder_id, -- whose allowance it is
    cast(days.period_start as timestamptz) as period_start, -- when the allowance started anew, UTC
    cast(days.day_start as timestamptz) as day_start, -- UTC day
    cast(sum(days.quantity) as decimal(38, 9)) as quantity, -- used on it
    cast(bool_or(days.is_settled) as boolean) as is_settled -- false: it can still change
from days
group by
    days.source, days.meter, days.unit, days.org_id, days.holder_type, days.holder_id,
    days.period_start, days.day_start
