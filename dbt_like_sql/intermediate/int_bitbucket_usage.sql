-- One row per repository and UTC day whose build seconds count as a fact: those of days for which
-- nobody exported minutes. Where minutes were exported they are the fact, and these seconds attribute
-- them (int_platform_workspaces).
-- grain: workspace_uuid, repository_uuid, period_start
-- window: period_start
select
    minutes.workspace_uuid, -- Bitbucket workspace
    minutes.repository_uuid, -- Bitbucket repository
    minutes.period_start, -- UTC day
    minutes.period_end, -- first instant of the next day, UTC
    minutes.build_seconds as quantity, -- seconds that Bitbucket counts as used
    minutes.observed_at -- when Bitbucket said so
from intermediate.int_bitbucket_minutes as minutes
where not exists (
    select 1
    from intermediate.int_platform_periods as exported
    where exported.meter = 'pipelines_build_minutes'
        and (exported.scope_type = 'org' or exported.site_id = minutes.workspace_uuid)
        and exported.period_start < minutes.period_end
        and exported.period_end > minutes.period_start
)
