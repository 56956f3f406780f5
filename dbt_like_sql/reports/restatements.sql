-- One row per correction: a vendor said one thing of a bucket that had settled, and later another.
-- Facts hold the later one. A null quantity: the row was not there (withdrawn, or new).
-- grain: source, resource, org_id, project_id, branch_id, site_id, meter, unit, granularity, period_start, observed_at
-- window: period_start
-- every ask of a bucket after it had settled, where there was more than one
with asks as (
    select
        receipt.source,
        receipt.resource,
        receipt.scope,
        receipt.granularity,
        receipt.load_id,
        receipt.asked_at,
        calendar.bucket_start,
        count(*) over (
            partition by
                receipt.resource, receipt.scope, receipt.granularity, calendar.bucket_start
        ) as ask_count
    from staging.stg_loads__receipts as receipt
    inner join staging.stg_calendar__buckets as calendar
        on receipt.granularity = calendar.granularity
        and calendar.bucket_start >= receipt.window_start
        and calendar.bucket_start < receipt.window_end
    inner join seeds.retention as retention
        on receipt.source = retention.source
        and receipt.resource = retention.resource
        and receipt.granularity = retention.granularity
    where receipt.is_complete
        and receipt.asked_at
        >= calendar.bucket_end + retention.settles_minutes * interval '1' minute
    qualify ask_count > 1
),

observed as (
    select
        neon.resource, neon.org_id as scope, neon.org_id, neon.project_id, neon.branch_id,
        cast(null as varchar) as site_id, neon.meter, cast(null as varchar) as unit,
        neon.granularity, neon.bucket_start, neon.load_id, neon.quantity
    from staging.stg_neon__observed_usage as neon
    union all
    select
        forge.resource, forge.scope, cast(null as varchar) as org_id, forge.app_id,
        cast(null as varchar) as branch_id, forge.site_id, forge.meter, forge.unit,
        cast('daily' as varchar) as granularity, forge.bucket_start, forge.load_id, forge.quantity
    from staging.stg_forge__observed_usage as forge
    where forge.resource in ('forge_app_usage', 'forge_site_usage')
),

-- '-' is null and '=' a value, in which | is doubled: no two things' parts are one text
keyed as (
    select
        observed.*,
        md5(concat_ws(
            '|', coalesce('=' || replace(observed.resource, '|', '||'), '-'),
            coalesce('=' || replace(observed.scope, '|', '||'), '-'),
            coalesce('=' || replace(observed.project_id, '|', '||'), '-'),
            coalesce('=' || replace(observed.branch_id, '|', '||'), '-'),
            coalesce('=' || replace(observed.site_id, '|', '||'), '-'),
            coalesce('=' || replace(observed.meter, '|', '||'), '-'),
            coalesce('=' || replace(observed.unit, '|', '||'), '-'),
            coalesce('=' || replace(observed.granularity, '|', '||'), '-')
        )) as thing_key
    from observed
),

-- what was not the same, or not there, in every ask
changed as (
    select
        keyed.thing_key, keyed.resource, keyed.scope, keyed.org_id, keyed.project_id,
        keyed.branch_id, keyed.site_id, keyed.meter, keyed.unit, keyed.granularity,
        keyed.bucket_start
    from keyed
    inner join asks
        on keyed.resource = asks.resource
        and keyed.scope = asks.scope
        and keyed.granularity = asks.granularity
        and keyed.bucket_start = asks.bucket_start
        and keyed.load_id = asks.load_id
    group by
        keyed.thing_key, keyed.resource, keyed.scope, keyed.org_id, keyed.project_id,
        keyed.branch_id, keyed.site_id, keyed.meter, keyed.unit, keyed.granularity,
        keyed.bucket_start
    having min(keyed.quantity) <> max(keyed.quantity) or count(*) < max(asks.ask_count)
),

said as (
    select
        asks.source,
        changed.*,
        asks.asked_at,
        keyed.quantity,
        lag(keyed.quantity) over same_thing as quantity_before,
        lag(asks.asked_at) over same_thing as asked_before_at
    from changed
    inner join asks
        on changed.resource = asks.resource
        and changed.scope = asks.scope
        and changed.granularity = asks.granularity
        and changed.bucket_start = asks.bucket_start
    left join keyed
        on changed.thing_key = keyed.thing_key
        and changed.bucket_start = keyed.bucket_start
        and asks.load_id = keyed.load_id
    window same_thing as (
        partition by changed.thing_key, changed.bucket_start order by asks.asked_at
    )
)

select
    said.source, -- vendor API family
    said.resource, -- the table in raw.*
    said.org_id, -- the vendor's organization; null where it names none
    said.project_id, -- the vendor's project
    said.branch_id, -- Neon branch; null for project totals
    said.site_id, -- Atlassian site; null for app totals
    said.meter, -- the vendor's name of what is metered
    said.unit, -- the vendor's unit, where it sends one
    said.granularity, -- hourly, daily or monthly
    said.bucket_start as period_start, -- first instant, UTC
    said.quantity_before, -- what the vendor said first; null: nothing
    said.quantity as quantity_after, -- what it said then; null: nothing
    said.asked_before_at, -- when it said the first
    said.asked_at as observed_at -- when it said the second
from said
where said.asked_before_at is not null
    and said.quantity is distinct from said.quantity_before
