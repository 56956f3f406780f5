-- One row per current name of a thing that a rule of seeds.owners looks at, because it matches or is
-- filled in for a placeholder. Others are left out: what they are called changes no owner.
-- grain: kind, source, org_id, thing_id
select named.kind, named.source, named.org_id, named.thing_id, named.name
from marts.dim_name as named
semi join intermediate.int_owner_rules as rule
    on contains(rule.owner_text, concat('{', named.kind, '}'))
    or lower(named.name) like case named.kind
        when 'org' then rule.org_pattern
        when 'project' then rule.project_pattern
        when 'branch' then rule.branch_pattern
        when 'site' then rule.site_pattern
        when 'user' then rule.user_pattern
    end escape '!'
