-- One row per line of an exported file, with the ids that facts use and the period that it is of. A
-- workspace or repository is named by its uuid where Bitbucket was asked for its name. Readings and
-- gauges are of the UTC month in which they were read; those of a counter that starts anew on a day of
-- its own, of the month between two such days.
-- grain: file_sha256, line
with named as (
    select
        line.*,
        lower(line.app) as app_name,
        gauge.meter is not null as is_gauge,
        line.granularity = 'snapshot' or gauge.meter is not null as is_reading,
        -- a month that was exported before its end was read when it was exported
        case line.granularity when 'snapshot' then line.period_start
            else least(line.period_end - interval '1' microsecond, line.exported_at)
        end as read_at,
        case line.scope_type
            when 'site' then line.name
            when 'workspace' then coalesce(slugs.workspace_uuid, line.name)
            when 'repository' then coalesce(
                repositories.workspace_uuid, slugs.workspace_uuid,
                case when line.name like '%/%' then split_part(line.name, '/', 1) end
            )
        end as site_id,
        case when line.scope_type = 'repository'
            then coalesce(repositories.repository_uuid, line.name) end as project_id,
        case when line.scope_type = 'user' then line.name end as user_id
    from staging.stg_atlassian__platform_usage as line
    left join (
        select distinct meter.meter from seeds.meters as meter
        where meter.source = 'atlassian_platform' and meter.aggregation = 'last'
    ) as gauge on line.usage_type = gauge.meter
    left join staging.stg_bitbucket__workspace_slugs as slugs
        on line.scope_type in ('workspace', 'repository')
        and split_part(line.name, '/', 1) = slugs.slug
        and line.exported_at >= slugs.valid_from
        and line.exported_at < slugs.valid_until
    left join staging.stg_bitbucket__repository_names as repositories
        on line.scope_type = 'repository'
        and line.name = repositories.name
        and line.exported_at >= repositories.valid_from
        and line.exported_at < repositories.valid_until
),

-- when the allowance starts anew, and the instant of which the month between two such is sought;
-- of what has no such instant the first of a month
anchored as (
    select
        named.*,
        coalesce(named.user_id, named.project_id, named.site_id, named.org_id) as holder_id,
        case when named.is_reading then named.read_at else named.period_start end as instant,
        coalesce(
            case when named.is_gauge then null when named.is_reading then named.allowance_reset_at
                else date_trunc('day', named.allowance_reset_at) end,
            date_trunc('month', named.read_at) + interval '1' month
        ) as reset_at
    from named
),

-- resets are months from an anchor, and as long before it: one on the last day of its month is on the
-- last day of every month, and is counted from the first of the next
counted as (
    select
        anchored.*,
        cast(
            (extract(year from anchored.instant) - extract(year from anchored.reset_at)) * 12
            + extract(month from anchored.instant) - extract(month from anchored.reset_at)
            as integer
        ) as months_away,
        case when extract(day from anchored.reset_at + interval '1' day) = 1
            then date_trunc('month', anchored.reset_at) + interval '1' month
            else anchored.reset_at end as anchor
    from anchored
),

resets as (
    select
        counted.*,
        counted.anchor + (counted.months_away - 1) * interval '1' month
            - (counted.anchor - counted.reset_at) as reset_before,
        counted.anchor + counted.months_away * interval '1' month
            - (counted.anchor - counted.reset_at) as reset_within,
        counted.anchor + (counted.months_away + 1) * interval '1' month
            - (counted.anchor - counted.reset_at) as reset_after
    from counted
),

turned as (
    select
        resets.*,
        case when resets.granularity = 'month' and not resets.is_reading
                then resets.period_start
            when resets.reset_within > resets.instant then resets.reset_before
            else resets.reset_within end as allowed_from,
        case when resets.granularity = 'month' and not resets.is_reading
                then resets.period_end
            when resets.reset_within > resets.instant then resets.reset_within
            else resets.reset_after end as resets_at
    from resets
)

select
    turned.org_id, -- Atlassian organization
    turned.usage_type as meter, -- what was used
    turned.unit, -- of the quantity
    cast(turned.app_name as varchar) as app, -- the app that used it; null: all of them
    turned.scope_type, -- org, site, workspace, user or repository
    cast(turned.holder_id as varchar) as holder_id, -- the scope itself
    cast(turned.site_id as varchar) as site_id, -- site, or workspace; null for org and user
    cast(turned.project_id as varchar) as project_id, -- repository; else null
    cast(turned.user_id as varchar) as user_id, -- user; else null
    cast(case when turned.is_reading then 'month' else turned.granularity end as varchar)
        as granularity, -- day or month
    cast(case when turned.is_reading then turned.allowed_from else turned.period_start end
        as timestamptz) as period_start, -- first instant, UTC
    cast(case when turned.is_reading then turned.resets_at else turned.period_end end
        as timestamptz) as period_end, -- first instant after the period, UTC
    turned.quantity, -- as exported
    turned.included_quantity, -- the allowance, where the page showed it
    turned.extra_usage_limit, -- the cap beyond it
    turned.forecast_quantity, -- the page's own
    cast(turned.allowed_from as timestamptz) as allowed_from, -- when its allowance started anew
    cast(turned.resets_at as timestamptz) as resets_at, -- when it does again
    turned.is_final, -- true: it cannot change any more
    cast(turned.read_at as timestamptz) as read_at, -- up to when it tells
    -- a reading says nothing of what came after it, whenever it was exported
    cast(case turned.granularity when 'snapshot' then least(turned.read_at, turned.exported_at)
        else turned.exported_at end as timestamptz) as exported_at, -- when it was read off the page
    -- of two lines that say the same at the same instant this decides, and not which was loaded first
    concat_ws(' ', turned.granularity, turned.file_name, turned.file_sha256)
        as precedence, -- the greater one counts
    turned.file_sha256, -- the content of its file
    turned.line -- the line of the file
from turned
