-- What changed the bill: one row per thing that cost something, in this UTC month up to the end of
-- yesterday and in as many days of the month before, and in the last whole month and the one before.
-- By org, project, branch, site, user, owner and sku: each of them adds up to all of the cost. A month
-- that is known only as a whole is in the comparison of months alone. A day that nobody asked about is
-- in no sum, so a source with fewer days on one side is not comparable, and comes last.
-- grain: comparison, dimension, source, org_id, thing_id
with compared as (
    select
        told.source, told.period_date, told.is_month, period.comparison,
        date_trunc('month', told.period_date) = period.month as is_now
    from reports.told_days as told
    inner join (
        select
            cast('month to date' as varchar) as comparison,
            date_trunc('month', current_date) as month, extract(day from current_date) as until_day
        union all
        select 'last month', date_trunc('month', current_date) - interval '1' month, 32
    ) as period
        on date_trunc('month', told.period_date) in (period.month, period.month - interval '1' month)
        and extract(day from told.period_date) < period.until_day
        and (period.comparison = 'last month' or not told.is_month)
),

days as (
    select
        compared.comparison, compared.source,
        count(distinct case when compared.is_now then compared.period_date end) as told_count,
        count(distinct case when not compared.is_now then compared.period_date end)
            as told_count_before,
        -- a month that is told whole is all of its days
        greatest(told_count, max(case when compared.is_now and compared.is_month
            then extract(day from last_day(compared.period_date)) end)) as day_count,
        greatest(told_count_before, max(case when not compared.is_now and compared.is_month
            then extract(day from last_day(compared.period_date)) end)) as day_count_before,
        least(day_count, day_count_before) >= 0.9 * greatest(day_count, day_count_before)
            as is_comparable
    from compared
    group by compared.comparison, compared.source
),

-- a series has one of each, but is sold as another thing where its price changed
costs as (
    select
        compared.comparison, compared.source, compared.is_now, owner.owner_key,
        any_value(cost.org_id) as org_id, any_value(cost.project_id) as project_id,
        any_value(cost.branch_id) as branch_id, any_value(cost.site_id) as site_id,
        any_value(cost.user_id) as user_id, cost.sku, sum(cost.cost) as cost
    from marts.fct_cost_by_day as cost
    inner join compared
        on cost.source = compared.source and cost.period_date = compared.period_date
        and (cost.granularity = 'monthly') = compared.is_month
    inner join marts.series_owners as owner
        on cost.series_key = owner.series_key
        and date_trunc('month', cost.period_date) = owner.period_month
        and cost.day_start >= owner.since_at and cost.day_start < owner.until_at
    where cost.period_date >= cast(date_trunc('month', current_date) - interval '2' month as date)
    group by
        compared.comparison, compared.source, compared.is_now, owner.owner_key, cost.series_key,
        cost.sku
),

parts as (
    select
        costs.*, part.dimension, case part.dimension
            when 'org' then costs.org_id when 'project' then costs.project_id
            when 'branch' then costs.branch_id when 'site' then costs.site_id
            when 'user' then costs.user_id when 'owner' then costs.owner_key else costs.sku
        end as thing_id
    from costs
    cross join (
        values ('org'), ('project'), ('branch'), ('site'), ('user'), ('owner'), ('sku')
    ) as part (dimension)
),

changes as (
    select
        parts.comparison, parts.dimension, parts.source, parts.thing_id,
        case when parts.dimension not in ('owner', 'sku') then parts.org_id end as org_id,
        coalesce(sum(case when parts.is_now then parts.cost end), 0) as cost,
        coalesce(sum(case when not parts.is_now then parts.cost end), 0) as cost_before
    from parts
    group by
        parts.comparison, parts.dimension, parts.source, parts.thing_id,
        case when parts.dimension not in ('owner', 'sku') then parts.org_id end
    having sum(abs(parts.cost)) > 0
)

select
    changes.comparison, -- month to date, or last month
    cast(changes.dimension as varchar)
        as dimension, -- org, project, branch, site, user, owner or sku
    changes.source,
    cast(changes.org_id as varchar) as org_id, -- null where the vendor names none; of owner and sku
    cast(changes.thing_id as varchar) as thing_id, -- its id or key; null: what none accounts for
    named.name as thing_name, -- as it is called now; null: not known
    cast(changes.cost as decimal(38, 18)) as cost, -- US dollars, an estimate, not rounded
    cast(changes.cost_before as decimal(38, 18)) as cost_before, -- of the period before
    cast(changes.cost - changes.cost_before as decimal(38, 18)) as change, -- US dollars
    cast(cast(abs(changes.cost - changes.cost_before) as double) / nullif(cast(sum(
        abs(changes.cost - changes.cost_before)
    ) over (partition by changes.comparison, changes.dimension, days.is_comparable) as double), 0)
        as double)
        as change_share, -- of all that this dimension changed, up and down, in sources as comparable
    cast(rank() over (
        partition by changes.comparison, changes.dimension
        order by days.is_comparable desc, abs(changes.cost - changes.cost_before) desc
    ) as bigint) as change_rank, -- 1: the largest change of this dimension
    days.is_comparable, -- false: fewer days are known on one side, which is a change of its own
    days.day_count, -- days of which it is known what was used of the source
    days.day_count_before -- the same of the period before
from changes
inner join days on changes.comparison = days.comparison and changes.source = days.source
left join marts.dim_name as named
    on changes.dimension = named.kind and changes.source = named.source
    and changes.thing_id = named.thing_id
    and coalesce(named.org_id, changes.org_id) is not distinct from changes.org_id
