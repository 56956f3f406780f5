-- One row per line of an exported file that still says something: a mended file says anew what the
-- same file said before of the same usage type and scope type within its own periods, so a line that
-- was taken out is gone, and another month stays. Which of several files counts is decided in
-- intermediate.int_platform_scopes.
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

-- no app and no unit: a name that was mended must not count beside the one that was wrong
said as (
    select
        loaded.file_name, loaded.org_id, loaded.usage_type, loaded.scope_type,
        loaded.granularity, loaded.loaded_at,
        min(loaded.period_start) as since,
        max(loaded.period_end) as until
    from loaded
    group by
        loaded.file_name, loaded.org_id, loaded.usage_type, loaded.scope_type,
        loaded.granularity, loaded.loaded_at
),

latest as (
    select loaded.*
    from loaded
    anti join said
        on loaded.file_name = said.file_name
        and loaded.org_id = said.org_id
        and loaded.usage_type = said.usage_type
        and loaded.scope_type = said.scope_type
        and loaded.granularity = said.granularity
        and loaded.loaded_at < said.loaded_at
        and loaded.period_start >= said.since
        and loaded.period_end <= said.until
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
