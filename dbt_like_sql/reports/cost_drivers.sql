-- What changed the bill: one row per thing that cost something, in this UTC month up to the end of
-- yesterday and in as many days of the month before, and in the last whole month and the one before.
-- By org, project, branch, site, user, owner and sku: each of them adds up to all of the cost. A month
-- that is known only as a whole is in the comparison of months alone. A day that nobody asked about is
-- in no sum, so a source with fewer days on one side is not comparable, and comes last.
-- grain: comparison, dimension, source, org_id, thing_id
with costs as (
    select compared.comparison, usage.*, usage.period_month = compared.month as is_now
    from marts.usage_by_day as usage
    inner join (
        select
            cast('month to date' as varchar) as comparison,
            date_trunc('month', current_date) as month, extract(day from current_date) as until_day
        union all
        select 'last month', date_trunc('month', current_date) - interval '1' month, 32
    ) as compared
        on usage.period_month in (compared.month, compared.month - interval '1' month)
        and extract(day from usage.period_date) < compared.until_day
    where usage.period_date >= date_trunc('month', current_date) - interval '2' month
        and (compared.comparison = 'last month' or usage.granularity <> 'monthly')
),

days as (
    select
        costs.comparison, costs.source,
        count(distinct case when costs.is_now then costs.period_date end) as day_count,
        count(distinct case when not costs.is_now then costs.period_date end) as day_count_before,
        least(day_count, day_count_before) >= 0.9 * greatest(day_count, day_count_before)
            as is_comparable
    from costs
    group by costs.comparison, costs.source
),

changes as (
    select
        costs.comparison, part.dimension, costs.source, part.org_id, part.thing_id,
        any_value(part.name) as name,
        coalesce(sum(case when costs.is_now then costs.cost end), 0) as cost,
        coalesce(sum(case when not costs.is_now then costs.cost end), 0) as cost_before
    from costs
    cross join lateral (
        values
        ('org', costs.org_id, costs.org_id, costs.org_name),
        ('project', costs.org_id, costs.project_id, costs.project_name),
        ('branch', costs.org_id, costs.branch_id, costs.branch_name),
        ('site', costs.org_id, costs.site_id, costs.site_name),
        ('user', costs.org_id, costs.user_id, costs.user_name),
        ('owner', null, costs.owner_key, null), ('sku', null, costs.sku, null)
    ) as part (dimension, org_id, thing_id, name)
    group by costs.comparison, part.dimension, costs.source, part.org_id, part.thing_id
    having sum(abs(costs.cost)) > 0
)

select
    changes.comparison, -- month to date, or last month
    cast(changes.dimension as varchar)
        as dimension, -- org, project, branch, site, user, owner or sku
    changes.source,
    cast(changes.org_id as varchar) as org_id, -- null where the vendor names none; of owner and sku
    cast(changes.thing_id as varchar) as thing_id, -- its id or key; null: what none accounts for
    cast(changes.name as varchar) as thing_name, -- as it is called now; null: not known
    cast(changes.cost as decimal(38, 2)) as cost, -- US dollars, an estimate
    cast(changes.cost_before as decimal(38, 2)) as cost_before, -- of the period before
    cast(changes.cost - changes.cost_before as decimal(38, 2)) as change, -- US dollars
    cast(cast(abs(changes.cost - changes.cost_before) as double) / nullif(sum(
        cast(abs(changes.cost - changes.cost_before) as double)
    ) over (partition by changes.comparison, changes.dimension, days.is_comparable), 0) as double)
        as change_share, -- of all that this dimension changed, up and down; 1: all of it
    cast(rank() over (
        partition by changes.comparison, changes.dimension
        order by days.is_comparable desc, abs(changes.cost - changes.cost_before) desc
    ) as bigint) as change_rank, -- 1: the largest change of this dimension
    days.is_comparable, -- false: fewer days are known on one side, which is a change of its own
    days.day_count, -- days on which something of the source is known to have been used
    days.day_count_before -- the same of the period before
from changes
inner join days on changes.comparison = days.comparison and changes.source = days.source
