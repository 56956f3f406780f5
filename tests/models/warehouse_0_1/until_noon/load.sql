copy raw._dlt_loads from 'raw._dlt_loads.csv' (header, nullstr '\N');
copy raw.bitbucket_pipeline_runs from 'raw.bitbucket_pipeline_runs.csv' (header, nullstr '\N');
copy raw.loads from 'raw.loads.csv' (header, nullstr '\N');
copy raw.neon_branch_usage from 'raw.neon_branch_usage.csv' (header, nullstr '\N');
copy raw.neon_project_usage from 'raw.neon_project_usage.csv' (header, nullstr '\N');
