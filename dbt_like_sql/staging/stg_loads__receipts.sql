-- One row per receipt: one scope and window of one load whose every page was read. Rows of raw.* without a
-- receipt (a walk that broke, a process that was killed) count for nothing.
-- grain: load_id, resource, granularity, scope, window_start
select
    receipt.load_id, -- the load that asked
    receipt.source, -- vendor API family
    receipt.resource, -- the table in raw.* that the answer went to
    receipt.granularity, -- hourly, daily, monthly, or snapshot
    receipt.scope, -- what was asked about: an org, a workspace, app/resource, a file, or 'all'
    receipt.window_start, -- first instant asked for, UTC; null for a snapshot
    receipt.window_end, -- first instant not asked for any more, UTC
    receipt.asked_at, -- when the first page was asked for
    receipt.landed_at, -- when it was committed; strictly increasing
    receipt.rows as row_count, -- rows the vendor answered with
    receipt.pages as page_count, -- pages they came in
    receipt.complete as is_complete -- false: the vendor said that it left something out
from raw.loads as receipt
