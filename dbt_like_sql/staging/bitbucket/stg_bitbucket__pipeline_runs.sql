-- One row per pipeline run, as last seen. Runs are merged by their uuid, wherever their repository is
-- now, and never taken back: those of a deleted repository vanish from the API, and the minutes are
-- used all the same.
-- grain: run_uuid
-- window: bucket_start
select
    run.workspace_uuid, -- Bitbucket workspace
    run.repository_uuid, -- Bitbucket repository
    run.run_uuid, -- the run
    run.bucket_start, -- UTC day on which it was created
    run.build_seconds_used, -- seconds counted as used; null: none said (self-hosted, or not yet)
    run.load_id, -- the load that told it
    -- a run that was seen was seen, whether or not all of its day was ever asked for
    greatest(receipt.asked_at, day.asked_at) as observed_at -- when Bitbucket was last asked
from raw.bitbucket_pipeline_runs as run
inner join raw.loads as receipt
    on receipt.resource = 'bitbucket_pipeline_runs' and run.landed_at = receipt.landed_at
left join staging.stg_loads__buckets as day
    on day.resource = 'bitbucket_pipeline_runs' and day.granularity = 'daily'
    and run.scope = day.scope and run.bucket_start = day.bucket_start
qualify row_number() over (
    partition by run.run_uuid, run.bucket_start
    order by run.landed_at desc
) = 1
