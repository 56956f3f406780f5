-- One row per line of an exported file that still says something: a mended file says anew what the
-- same file said before of the same usage type and scope type within its own periods, so a line that
-- was taken out is gone, and another month stays. A line that names another
-- organization, usage type or scope than before, and is else the same, was a slip. Which of several files
-- counts is decided in intermediate.int_platform_scopes.
-- grain: file_sha256, line, load_id
with loaded as (
    select
        usage.*,
        receipt.asked_at as loaded_at,
        min(receipt.asked_at) over (
            partition by
                usage.file_name, usage.org_id, usage.usage_type, usage.scope_type,
                usage.scope_id, usage.period_start, usage.period_end
        ) as first_said_at
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
),

-- the same line has a name now that the file did not have: the same number, read at the same instant,
-- for the same period
mended as (
    select latest.*
    from latest
    anti join loaded as renamed
        on latest.file_name = renamed.file_name
        and latest.line = renamed.line
        and latest.exported_at = renamed.exported_at
        and latest.period_start = renamed.period_start
        and latest.period_end = renamed.period_end
        and latest.quantity = renamed.quantity
        and latest.loaded_at < renamed.first_said_at
)

select
    lower(mended.org_id) as org_id, -- Atlassian organization, in small letters
    mended.usage_type, -- what was used, in our contract's words: rovo_credits, ...
    mended.app, -- the app or product that used it; null: all of them
    mended.scope_type, -- org, site, workspace, user or repository
    mended.scope_id, -- whose usage
    mended.granularity, -- day, month or snapshot
    mended.period_start, -- first instant, UTC; of a snapshot, when it was read
    mended.period_end, -- first instant after the period, UTC
    mended.quantity, -- as exported
    mended.unit, -- of the quantity
    mended.included_quantity, -- the allowance, where the page showed it
    mended.extra_usage_limit, -- the cap beyond it, where it showed one
    mended.forecast_quantity, -- what the page forecast
    mended.allowance_reset_at, -- when the allowance starts anew
    mended.is_final, -- true: it cannot change any more
    mended.exported_at, -- when it was read off the page
    mended.loaded_at, -- when the file was loaded
    mended.file_name, -- where it was in the folder
    mended.file_sha256, -- its content
    mended.line, -- the line of the file
    mended.load_id -- the load that landed it
from mended
