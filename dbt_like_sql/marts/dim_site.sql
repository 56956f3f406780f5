-- One row per Atlassian site or Bitbucket workspace that ever used something, under the id that usage
-- names it by (a site's ARI, a workspace's uuid). A site has an ARI for each product (Jira, Confluence):
-- cloud_id is the same. Join on source, too: workspaces stand under bitbucket and atlassian_platform.
-- grain: source, site_id
with used as (
    select
        series.source, series.site_id,
        case when series.site_id like 'ari:cloud:%::site/%'
            then split_part(series.site_id, '::site/', 2) else series.site_id end as cloud_id,
        case when series.site_id like 'ari:cloud:%::site/%'
            then split_part(split_part(series.site_id, '::site/', 1), ':', 3) end as product,
        min(series.first_used_at) as first_used_at,
        max(series.last_used_at) as last_used_at
    from intermediate.int_series as series
    where series.site_id is not null
    group by series.source, series.site_id
)

select
    used.source,
    used.site_id, -- as the vendor gives it
    cast(used.cloud_id as varchar) as cloud_id, -- the site's cloud id
    cast(case when workspace.workspace_uuid is null then used.product else 'bitbucket' end
        as varchar) as product, -- jira, confluence, bitbucket; null where the id does not say
    -- no documented endpoint names a site
    coalesce(workspace.slug, name.name)
        as site_name, -- a workspace's slug, or else as in seeds/names.csv; null: neither has it
    used.first_used_at, -- start of the first period with usage, UTC
    used.last_used_at -- end of the last period with usage, UTC
from used
left join intermediate.int_names as name on name.kind = 'site' and lower(used.cloud_id) = name.id
left join staging.stg_bitbucket__workspaces as workspace on used.site_id = workspace.workspace_uuid
