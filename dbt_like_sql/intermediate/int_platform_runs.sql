-- One row per repository and UTC day of which Bitbucket's runs split exported Pipelines minutes: those
-- of its workspace where no repository was exported, or those of its organization where nothing else
-- was. Only days that were over when the minutes were exported: later runs are not among them.
-- grain: org_id, site_id, project_id, period_start
with exported as (
    select period.*
    from intermediate.int_platform_periods as period
    where period.meter = 'pipelines_build_minutes'
),

-- whom runs may split
wholes as (
    select exported.*
    from exported
    anti join exported as part
        on exported.org_id = part.org_id
        and exported.period_start < part.period_end
        and exported.period_end > part.period_start
        and (
            (exported.scope_type = 'org' and part.scope_type <> 'org')
            or (part.scope_type = 'repository' and exported.site_id = part.site_id)
        )
    where exported.scope_type in ('org', 'workspace')
)

select
    wholes.org_id, -- Atlassian organization
    wholes.meter, -- Pipelines minutes
    wholes.unit, -- of the quantity
    minutes.workspace_uuid as site_id, -- workspace
    minutes.repository_uuid as project_id, -- repository
    minutes.period_start, -- UTC day
    minutes.period_end, -- the next day, UTC
    cast(cast(minutes.build_seconds as double) / 60 as decimal(38, 9)) as quantity, -- by its runs
    wholes.exported_at -- when the minutes that it splits were read off the page
from wholes
inner join intermediate.int_bitbucket_minutes as minutes
    on minutes.period_start >= wholes.period_start
    and minutes.period_end <= least(wholes.period_end, wholes.exported_at)
    and coalesce(wholes.site_id, minutes.workspace_uuid) = minutes.workspace_uuid
inner join intermediate.int_bitbucket_owners as owner
    on minutes.workspace_uuid = owner.workspace_uuid and wholes.org_id = owner.org_id
