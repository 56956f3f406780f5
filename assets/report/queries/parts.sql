-- The 200 branches, and the 200 sites and users, that cost most in this period: with the one before.
with used as (
    select
        case when usage.branch_id is not null then 'branch'
            when usage.user_id is not null then 'user' else 'site' end as kind,
        usage.source, coalesce(usage.org_name, usage.org_id) as org,
        coalesce(usage.project_name, usage.project_id) as project, usage.owner_key as owner,
        coalesce(
            usage.branch_name, usage.branch_id, usage.user_name, usage.user_id, usage.site_name,
            usage.site_id
        ) as part,
        usage.period_date, usage.cost
    from marts.usage_by_day as usage
    where coalesce(usage.branch_id, usage.user_id, usage.site_id) is not null
        and usage.period_date >= $month_before and usage.period_date < $until
)

select
    used.kind, used.source, used.org, used.project, used.owner, used.part,
    cast(sum(used.cost) filter (used.period_date >= $month) as double) as cost,
    cast(sum(used.cost) filter (used.period_date < $until_before) as double) as cost_before
from used
group by used.kind, used.source, used.org, used.project, used.owner, used.part
having sum(used.cost) <> 0
qualify row_number() over (
    partition by used.kind order by sum(used.cost) filter (used.period_date >= $month) desc nulls last
) <= 200
order by cost desc nulls last
