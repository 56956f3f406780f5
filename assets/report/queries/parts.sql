-- The 200 branches, and the 200 sites and users, that cost most in this period: with the one before.
with used as (
    select
        case when usage.branch_id is not null then 'branch'
            when usage.user_id is not null then 'user' else 'site' end as kind,
        usage.source, usage.org_id, usage.project_id, usage.owner_key as owner,
        coalesce(usage.branch_id, usage.user_id, usage.site_id) as part_id,
        usage.branch_name, usage.period_date, usage.cost
    from marts.usage_by_day as usage
    where coalesce(usage.branch_id, usage.user_id, usage.site_id) is not null
        and usage.period_date >= $month_before and usage.period_date < $until
),

summed as (
    select
        used.kind, used.source, used.org_id, used.project_id, used.owner, used.part_id,
        used.branch_name,
        cast(sum(used.cost) filter (used.period_date >= $month) as double) as cost,
        cast(sum(used.cost) filter (used.period_date < $until_before) as double) as cost_before
    from used
    group by
        used.kind, used.source, used.org_id, used.project_id, used.owner, used.part_id,
        used.branch_name
    having sum(used.cost) <> 0
    qualify row_number() over (
        partition by used.kind
        order by sum(used.cost) filter (used.period_date >= $month) desc nulls last
    ) <= 200
)

select
    summed.kind, summed.source, coalesce(org.label, summed.org_id) as org,
    coalesce(project.label, summed.project_id) as project, summed.owner,
    coalesce(
        summed.branch_name || case when min(summed.part_id) over same_name
            < max(summed.part_id) over same_name then concat(' (', summed.part_id, ')') else '' end,
        part.label, summed.part_id
    ) as part,
    summed.cost, summed.cost_before
from summed
left join marts.dim_name as org
    on org.kind = 'org' and summed.source = org.source and summed.org_id = org.thing_id
left join marts.dim_name as project
    on project.kind = 'project' and summed.source = project.source
    and summed.org_id is not distinct from project.org_id and summed.project_id = project.thing_id
left join marts.dim_name as part
    on part.kind in ('site', 'user') and summed.kind = part.kind and summed.source = part.source
    and summed.part_id = part.thing_id
-- of a project: dim_name.label is of an organization, in which most branches are called main
window same_name as (
    partition by summed.source, summed.org_id, summed.project_id, summed.branch_name
)
order by summed.cost desc nulls last
