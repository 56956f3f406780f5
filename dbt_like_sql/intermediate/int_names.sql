-- One row per thing that seeds/names.csv names, for what no vendor names in an answer: Atlassian's
-- organizations, sites and users, Forge's apps. Of two names of one thing the first in the alphabet.
-- grain: kind, id
-- check: kind in ('org', 'project', 'branch', 'site', 'user')
-- materialized: view
select
    lower(listed.kind) as kind, -- org, project (of Forge: app), branch, site or user
    lower(listed.id) as id, -- the vendor's, in small letters; of a site its cloud id
    min(listed.name) as name -- as people call it
from seeds.names as listed
group by lower(listed.kind), lower(listed.id)
