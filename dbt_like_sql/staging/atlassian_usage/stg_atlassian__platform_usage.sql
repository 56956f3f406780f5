-- One row per line of an exported file that still stands: a file that was changed says anew what
-- the file of that name said before of the same organization and usage type, within the periods
-- that it covers; another month stays. Which of several files counts is decided in
-- intermediate.int_platform_lines.
-- grain: file_sha256, line
with contents as (
    select usage.*, receipt.asked_at as loaded_at
    from raw.platform_usage as usage
    inner join raw.loads as receipt
        on receipt.resource = 'platform_usage' and usage.scope = receipt.scope
    where receipt.complete
    -- what is put back as it was is loaded again
    qualify row_number() over (
        partition by usage.file_sha256, usage.line
        order by receipt.landed_at desc, usage.landed_at desc
    ) = 1
),

-- a file that is copied or renamed says the same under its other name, and is not loaded again
names as (
    select named.file_name, named.file_sha256, max(named.said_at) as said_at
    from (
        -- it was in the folder at least until the listing before that which lacks it
        select
            file.file_name, file.file_sha256,
            case when file.is_withdrawn then listing.listed_before_at
                else listing.listed_at end as said_at
        from raw.platform_usage_files as file
        inner join staging.stg_loads__listings as listing
            on listing.resource = 'platform_usage_files'
            and file.landed_at = listing.landed_at
        union all
        select contents.file_name, contents.file_sha256, contents.loaded_at
        from contents
    ) as named
    group by named.file_name, named.file_sha256
),

said as (
    select
        names.file_name as said_in, names.said_at, contents.file_sha256, contents.line,
        lower(contents.org_id) as org_id, contents.usage_type, contents.period_start,
        contents.period_end
    from contents
    inner join names on contents.file_sha256 = names.file_sha256
),

spans as (
    select
        said.said_in, said.said_at, said.org_id, said.usage_type,
        min(said.period_start) as since, max(said.period_end) as until
    from said
    group by said.said_in, said.said_at, said.org_id, said.usage_type
),

standing as (
    select said.file_sha256, said.line
    from said
    anti join spans
        on said.said_in = spans.said_in and said.said_at < spans.said_at
        and said.org_id = spans.org_id and said.usage_type = spans.usage_type
        and said.period_start >= spans.since and said.period_end <= spans.until
)

select
    lower(contents.org_id) as org_id, -- Atlassian organization, in small letters
    contents.usage_type, -- what was used, in our contract's words: rovo_credits, ...
    cast(lower(contents.app) as varchar) as app, -- the app that used it; null: all of them
    contents.scope_type, -- org, site, workspace, user or repository
    contents.scope_id, -- whose usage, as exported
    -- the same in small letters; Bitbucket's uuids are in braces, and people leave them out
    cast(case
        when contents.scope_type in ('workspace', 'repository')
            and contents.scope_id like '________-____-____-____-____________'
            then concat('{', lower(contents.scope_id), '}')
        else lower(contents.scope_id)
    end as varchar) as name, -- whose usage, for comparing
    contents.granularity, -- day, month or snapshot
    contents.period_start, -- first instant, UTC; of a snapshot, when it was read
    contents.period_end, -- first instant after the period, UTC
    -- a month that was exported before its end was read when it was exported
    cast(case contents.granularity when 'snapshot'
        then least(contents.period_start, contents.exported_at)
        else least(contents.period_end - interval '1' microsecond, contents.exported_at)
    end as timestamptz) as read_at, -- up to when it tells
    contents.quantity, -- as exported
    contents.unit, -- of the quantity
    contents.included_quantity, -- the allowance, where the page showed it
    contents.extra_usage_limit, -- the cap beyond it, where it showed one
    contents.forecast_quantity, -- what the page forecast
    contents.allowance_reset_at, -- when the allowance renews
    contents.is_final, -- true: it cannot change any more
    contents.exported_at, -- when it was read off the page
    contents.loaded_at, -- when the file was loaded
    contents.file_name, -- where it was in the folder
    contents.file_sha256, -- its content
    contents.line, -- the line of the file
    contents.load_id -- the load that landed it
from contents
semi join standing
    on contents.file_sha256 = standing.file_sha256 and contents.line = standing.line
