-- One row per repository and UTC day: the build seconds of the runs created on it, as Bitbucket's
-- REST API says. A lower bound of what is billed: it does not know deleted repositories.
-- grain: workspace_uuid, repository_uuid, period_start
-- window: period_start
select
    run.workspace_uuid, run.repository_uuid,
    run.bucket_start as period_start, -- UTC day
    cast(run.bucket_start + interval '1' day as timestamptz) as period_end, -- the next day, UTC
    cast(sum(cast(run.build_seconds_used as decimal(38, 9))) as decimal(38, 9))
        as build_seconds, -- used by its runs
    max(run.observed_at) as observed_at -- when Bitbucket said so
from staging.stg_bitbucket__pipeline_runs as run
where run.build_seconds_used is not null
group by run.workspace_uuid, run.repository_uuid, run.bucket_start
