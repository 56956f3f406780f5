-- One row per thing and what it is called now, where that is known: organizations, projects (also apps
-- and repositories), branches, sites and users in one table, which differs only where a name does.
-- grain: kind, source, org_id, thing_id
with named as (
    select
        cast('org' as varchar) as kind, org.source, org.org_id, org.org_id as thing_id,
        org.org_name as name, cast(null as varchar) as region_id
    from marts.dim_org as org
    union all
    select
        'project', project.source, project.org_id, project.project_id, project.project_name,
        project.region_id
    from marts.dim_project as project
    union all
    select 'branch', branch.source, branch.org_id, branch.branch_id, min(branch.branch_name), null
    from marts.dim_branch as branch
    group by branch.source, branch.org_id, branch.branch_id
    union all
    select 'site', site.source, null, site.site_id, site.site_name, null
    from marts.dim_site as site
    union all
    select 'user', person.source, null, person.user_id, person.user_name, null
    from marts.dim_user as person
)

select
    named.kind, -- org, project, branch, site or user
    named.source,
    named.org_id, -- the vendor's organization; null where it names none, and of sites and users
    named.thing_id, -- the vendor's id
    named.name, -- as it is called now
    cast(case when count(*) over same_name > 1
        then concat(named.name, ' (', named.thing_id, ')') else named.name
    end as varchar) as label, -- the name, with the id where another has the same
    named.region_id -- of a project: cloud and region
from named
where named.name is not null
window same_name as (
    partition by
        named.kind, named.source, case when named.kind <> 'org' then named.org_id end, named.name
)
