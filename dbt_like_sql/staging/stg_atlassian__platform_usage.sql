-- One row per line of an exported file that still says something: a mended file says anew what the
-- same file said before of the same usage type and period. Which of several files counts is decided
-- in intermediate.int_platform_scopes.
-- grain: file_sha256, line, load_id
with loaded as (
    select
        usage.*,
        receipt.asked_at as loaded_at
    from raw.platform_usage as usage
    inner join raw.loads as receipt
        on usage.load_id = receipt.load_id and usage.file_sha256 = receipt.scope
    where receipt.resource = 'platform_usage' and receipt.complete
),

latest as (
    select
        loaded.*,
        max(loaded.loaded_at) over (
            partition by
                loaded.file_name, loaded.org_id, loaded.usage_type, loaded.app, loaded.scope_type,
                loaded.granularity, loaded.period_start, loaded.period_end
        ) as last_loaded_at
    from loaded
)

select
    latest.org_id, -- Atlassian organization
    latest.usage_type, -- what was used, in our contract's words: rovo_credits, ...
    latest.app, -- the app or product that used it; null: all of them
    latest.scope_type, -- org, site, workspace, user or repository
    latest.scope_id, -- whose usage
    latest.granularity, -- day, month or snapshot
    latest.period_start, -- first instant, UTC; of a snapshot, when it was read
    latest.period_end, -- first instant after the period, UTC
    latest.quantity, -- as exported
    latest.unit, -- of the quantity
    latest.included_quantity, -- the allowance, where the page showed it
    latest.extra_usage_limit, -- the cap beyond it, where it showed one
    latest.forecast_quantity, -- what the page forecast
    latest.allowance_reset_at, -- when the allowance starts anew
    latest.is_final, -- true: it cannot change any more
    latest.exported_at, -- when it was read off the page
    latest.loaded_at, -- when the file was loaded
    latest.file_name, -- where it was in the folder
    latest.file_sha256, -- its content
    latest.line, -- the line of the file
    latest.load_id -- the load that landed it
from latest
where latest.loaded_at = latest.last_loaded_at
