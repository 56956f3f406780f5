-- One row per current name of a thing that a rule of seeds.owners looks at, because it matches or is
-- filled in for a placeholder. Others are left out: what they are called changes no owner.
-- grain: kind, source, org_id, thing_id
with named as (
    select
        cast('org' as varchar) as kind, org.source, org.org_id, org.org_id as thing_id,
        org.org_name as name
    from marts.dim_org as org
    union all
    select 'project', project.source, project.org_id, project.project_id, project.project_name
    from marts.dim_project as project
    union all
    select 'branch', branch.source, branch.org_id, branch.branch_id, min(branch.branch_name)
    from marts.dim_branch as branch
    group by branch.source, branch.org_id, branch.branch_id
    union all
    select 'site', site.source, cast(null as varchar), site.site_id, site.site_name
    from marts.dim_site as site
    union all
    select 'user', person.source, cast(null as varchar), person.user_id, person.user_name
    from marts.dim_user as person
)

select
    named.kind, -- org, project, branch, site or user
    named.source, -- vendor API family
    named.org_id, -- the vendor's organization; null where it names none, and of sites and users
    named.thing_id, -- the vendor's id
    named.name -- as it is called now
from named
semi join intermediate.int_owner_rules as rule
    on contains(rule.owner_text, concat('{', named.kind, '}'))
    or lower(named.name) glob case named.kind
        when 'org' then rule.org_pattern
        when 'project' then rule.project_pattern
        when 'branch' then rule.branch_pattern
        when 'site' then rule.site_pattern
        when 'user' then rule.user_pattern
    end
where named.name is not null
