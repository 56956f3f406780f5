-- One row per Bitbucket workspace whose Atlassian organization was stated: in
-- seeds/workspace_orgs.csv, or else by the exports that name it, where they agree. No documented
-- endpoint tells it, and nothing is guessed.
-- grain: workspace_uuid
with named as (
    select line.site_id as workspace_uuid, min(line.org_id) as org_id
    from intermediate.int_platform_lines as line
    where line.scope_type in ('workspace', 'repository') and line.site_id is not null
    group by line.site_id
    having count(distinct line.org_id) = 1
),

seeded as (
    select lower(seed.workspace_uuid) as workspace_uuid, lower(min(seed.org_id)) as org_id
    from seeds.workspace_orgs as seed
    group by lower(seed.workspace_uuid)
)

select
    coalesce(seeded.workspace_uuid, named.workspace_uuid) as workspace_uuid, -- Bitbucket workspace
    cast(coalesce(seeded.org_id, named.org_id) as varchar) as org_id -- Atlassian organization
from named
full join seeded on named.workspace_uuid = seeded.workspace_uuid
