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

-- the day of the month on which a reading's counter starts anew, in the month of the reading
turned as (
    select
        named.*,
        coalesce(named.user_id, named.project_id, named.site_id, named.org_id) as holder_id,
        date_trunc('month', named.read_at) + case
            when named.is_gauge or named.allowance_reset_at is null then interval '0' day
            else date_trunc('day', named.allowance_reset_at)
                - date_trunc('month', named.allowance_reset_at)
        end as turn
    from named
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
    cast(turned.is_reading as boolean) as is_reading, -- a value at an instant, not a sum
    cast(case when not turned.is_reading then turned.period_start
        when turned.turn > turned.read_at then turned.turn - interval '1' month
        else turned.turn end as timestamptz) as period_start, -- first instant, UTC
    cast(case when not turned.is_reading then turned.period_end
        when turned.turn > turned.read_at then turned.turn
        else turned.turn + interval '1' month end as timestamptz)
        as period_end, -- first instant after the period, UTC
    turned.quantity, -- as exported
    turned.included_quantity, -- the allowance, where the page showed it
    turned.extra_usage_limit, -- the cap beyond it
    turned.forecast_quantity, -- the page's own
    turned.allowance_reset_at, -- when the allowance starts anew
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
