-- One row per repository and UTC day of which Bitbucket's runs split exported Pipelines minutes:
-- those of its workspace where no repository was exported, or those of its organization where
-- nothing else was. Only days that were over when the minutes were exported: later runs are not
-- among them.
-- grain: org_id, site_id, project_id, period_start
select
    told.org_id,
    told.meter, -- Pipelines minutes
    told.unit,
    run.workspace_uuid as site_id, -- workspace
    run.repository_uuid as project_id, -- repository
    run.period_start, run.period_end,
    told.split_start, -- of the period whose minutes are split
    told.split_end,
    cast(cast(run.build_seconds as double) / 60 as decimal(38, 9)) as quantity, -- by its runs
    told.exported_at -- when the minutes that it splits were read off the page
from intermediate.int_platform_scopes as told
inner join intermediate.int_bitbucket_minutes as run
    on run.period_start >= told.period_start
    and run.period_end <= least(told.period_end, told.exported_at)
left join intermediate.int_bitbucket_owners as owner on run.workspace_uuid = owner.workspace_uuid
anti join intermediate.int_platform_scopes as part
    on told.org_id = part.org_id and told.meter = part.meter and told.unit = part.unit
    and told.split_start = part.split_start
    and case told.scope_type when 'org' then part.scope_type <> 'org'
        else part.scope_type = 'repository' and part.site_id = told.site_id end
where told.meter = 'pipelines_build_minutes'
    and case told.scope_type when 'workspace' then told.site_id = run.workspace_uuid
        when 'org' then told.org_id = owner.org_id else false end
