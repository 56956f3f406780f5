-- One row per repository and UTC day of which Bitbucket's runs split exported Pipelines minutes: those
-- of its workspace where no repository was exported, or those of its organization where nothing else
-- was. Only days that were over when the minutes were exported: later runs are not among them.
-- grain: org_id, site_id, project_id, period_start
with exported as (
    select
        period.org_id, period.scope_type, period.site_id, period.meter, period.unit,
        period.period_start, period.period_end, period.exported_at
    from intermediate.int_platform_periods as period
    where period.meter = 'pipelines_build_minutes'
),

minutes as (
    select run.*, owner.org_id
    from intermediate.int_bitbucket_minutes as run
    inner join intermediate.int_bitbucket_owners as owner
        on run.workspace_uuid = owner.workspace_uuid
),

split as (
    select
        exported.org_id, exported.meter, exported.unit, minutes.workspace_uuid,
        minutes.repository_uuid, minutes.period_start, minutes.period_end,
        minutes.build_seconds, exported.exported_at
    from exported
    anti join exported as repository
        on repository.scope_type = 'repository'
        and exported.org_id = repository.org_id and exported.site_id = repository.site_id
        and exported.period_start < repository.period_end
        and exported.period_end > repository.period_start
    inner join minutes
        on exported.org_id = minutes.org_id and exported.site_id = minutes.workspace_uuid
        and minutes.period_start >= exported.period_start
        and minutes.period_end <= least(exported.period_end, exported.exported_at)
    where exported.scope_type = 'workspace'
    union all
    select
        exported.org_id, exported.meter, exported.unit, minutes.workspace_uuid,
        minutes.repository_uuid, minutes.period_start, minutes.period_end,
        minutes.build_seconds, exported.exported_at
    from exported
    anti join (
        select distinct part.org_id, part.period_start, part.period_end
        from exported as part
        where part.scope_type <> 'org'
    ) as part
        on exported.org_id = part.org_id
        and exported.period_start < part.period_end
        and exported.period_end > part.period_start
    inner join minutes
        on exported.org_id = minutes.org_id
        and minutes.period_start >= exported.period_start
        and minutes.period_end <= least(exported.period_end, exported.exported_at)
    where exported.scope_type = 'org'
)

select
    split.org_id, -- Atlassian organization
    split.meter, -- Pipelines minutes
    split.unit, -- of the quantity
    split.workspace_uuid as site_id, -- workspace
    split.repository_uuid as project_id, -- repository
    split.period_start, -- UTC day
    split.period_end, -- the next day, UTC
    cast(cast(split.build_seconds as double) / 60 as decimal(38, 9)) as quantity, -- by its runs
    split.exported_at -- when the minutes that it splits were read off the page
from split
