-- One row per Bitbucket workspace whose Atlassian organization was stated: in
-- seeds/workspace_orgs.csv, or else by the exports that name it, where they agree. No documented
-- endpoint tells it, and nothing is guessed: a workspace that is stated to be of two is refused.
-- grain: workspace_uuid
with named as (
    select line.site_id as workspace_uuid, min(line.org_id) as org_id
    from intermediate.int_platform_lines as line
    where line.scope_type in ('workspace', 'repository') and line.site_id is not null
    group by line.site_id
    having count(distinct line.org_id) = 1
),

seeded as (
    select distinct
        concat('{', replace(replace(lower(seed.workspace_uuid), '{', ''), '}', ''), '}')
            as workspace_uuid,
        lower(seed.org_id) as org_id
    from seeds.workspace_orgs as seed
    where seed.workspace_uuid is not null and seed.org_id is not null
)

select
    coalesce(seeded.workspace_uuid, named.workspace_uuid) as workspace_uuid, -- Bitbucket workspace
    cast(coalesce(seeded.org_id, named.org_id) as varchar) as org_id -- Atlassian organization
from named
full join seeded on named.workspace_uuid = seeded.workspace_uuid
