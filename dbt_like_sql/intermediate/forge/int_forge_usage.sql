-- One row per way to split a Forge app, site, environment, resource, unit and UTC day. By site: sites
-- stand for their app, and where they were asked environments for their site. By environment:
-- environments for their app. What a total has over its parts is one row without that part, which may
-- be negative. The sum over any app and one way is therefore the app's flat total, which is what
-- Atlassian bills. A day whose total was not asked is not here.
-- grain: split_by, app_id, site_id, environment_id, meter, unit, period_start
-- window: period_start
with ways (split_by, resource, has_site, has_environment) as (
    -- what names no site or environment there is in the total alone
    values ('site', 'forge_app_usage', false, false), ('site', 'forge_site_usage', true, false),
    ('site', 'forge_site_environment_usage', true, true),
    ('environment', 'forge_app_usage', false, false),
    ('environment', 'forge_environment_usage', false, true)
),

reported as (
    select ways.split_by, usage.*
    from staging.stg_forge__usage as usage
    inner join ways
        on usage.resource = ways.resource
        and (usage.site_id is not null) = ways.has_site
        and (usage.environment_id is not null) = ways.has_environment
),

-- each row counts for what it names, and is taken off the total that it is a part of
entries as (
    select
        reported.split_by, reported.scope, reported.app_id, reported.site_id,
        reported.environment_id, reported.meter, reported.unit, reported.bucket_start,
        reported.quantity, false as is_taken_off
    from reported
    union all
    select
        reported.split_by, reported.scope, reported.app_id,
        case when reported.environment_id is not null then reported.site_id end,
        cast(null as varchar), reported.meter, reported.unit, reported.bucket_start,
        -reported.quantity, true
    from reported
    where reported.site_id is not null or reported.environment_id is not null
)

select
    cast(entries.split_by as varchar) as split_by, -- site or environment
    totals.resource, -- the table in raw.* that tells which days are known
    totals.scope, -- what was asked about: app/resource
    entries.app_id, -- Forge app
    entries.site_id, -- the site's ARI; null: what no site accounts for
    entries.environment_id, -- Forge environment, where asked by environment; else null
    entries.meter, entries.unit,
    totals.granularity, -- Atlassian answers by the day
    totals.bucket_start as period_start, -- UTC day
    totals.bucket_end as period_end, -- first instant of the next day, UTC
    cast(sum(entries.quantity) as decimal(38, 9)) as quantity, -- as Atlassian reports it
    cast(bool_or(entries.is_taken_off) as boolean)
        as is_remainder, -- what a total has over its parts, and not what was reported
    totals.asked_at as observed_at -- when the app's total was last asked
from entries
inner join staging.stg_loads__buckets as totals
    on entries.scope = totals.scope and entries.bucket_start = totals.bucket_start
where totals.resource = 'forge_app_usage' and totals.granularity = 'daily'
group by
    entries.split_by, totals.resource, totals.scope, entries.app_id, entries.site_id,
    entries.environment_id, entries.meter, entries.unit, totals.granularity,
    totals.bucket_start, totals.bucket_end, totals.asked_at
-- a total that its parts add up to has nothing left
having sum(entries.quantity) <> 0 or count(*) = 1
