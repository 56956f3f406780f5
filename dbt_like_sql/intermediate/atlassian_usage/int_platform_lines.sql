-- One row per line of an exported file, and per reading of the meters API and its growth since the one
-- before, with the ids that facts use and the period that it is of. A workspace or repository is named by
-- its uuid where Bitbucket was asked for its name. A gauge is of the UTC month in which it was read, an
-- exported reading of a counter of the renewal cycle in which it was read.
-- grain: file_sha256, line
with named as (
    select
        line.*,
        gauge.meter is not null as is_gauge,
        line.granularity = 'snapshot' and gauge.meter is null as is_reading,
        -- periods are whole UTC days
        date_trunc('day', line.period_start + interval '12' hour) as first_day,
        date_trunc('day', line.period_end + interval '12' hour) as last_day,
        renewal.renewed_at, renewal.renews_at,
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
    left join intermediate.int_platform_renewals as renewal
        on line.file_sha256 = renewal.file_sha256 and line.line = renewal.line
    left join intermediate.int_gauges as gauge
        on gauge.source = 'atlassian_platform' and line.usage_type = gauge.meter
    left join staging.stg_bitbucket__names as slugs
        on line.scope_type in ('workspace', 'repository') and slugs.repository_uuid is null
        and split_part(line.name, '/', 1) = slugs.name
        and line.exported_at >= slugs.valid_from and line.exported_at < slugs.valid_until
    left join staging.stg_bitbucket__names as repositories
        on line.scope_type = 'repository' and repositories.repository_uuid is not null
        and line.name = repositories.name and line.exported_at >= repositories.valid_from
        and line.exported_at < repositories.valid_until
),

lines as (
    select
        named.org_id, named.usage_type as meter, named.unit, named.app, named.scope_type,
        named.site_id, named.project_id, named.user_id,
        case when named.granularity = 'day' and not named.is_gauge then 'day' else 'month' end
            as granularity,
        case when named.is_gauge then date_trunc('month', named.read_at)
            when named.is_reading then date_trunc('day', named.renewed_at)
            else named.first_day end as period_start,
        case when named.is_gauge then date_trunc('month', named.read_at) + interval '1' month
            when named.is_reading then date_trunc('day', named.renews_at)
            else named.last_day end as period_end,
        cast(null as timestamptz) as told_from,
        named.quantity, named.included_quantity, named.extra_usage_limit,
        cast(null as varchar) as pay_as_you_go,
        named.forecast_quantity, named.renewed_at, named.renews_at, named.is_final, named.read_at,
        case named.granularity when 'snapshot' then named.read_at else named.exported_at end
            as exported_at,
        concat_ws(' ', named.granularity, named.file_name, named.file_sha256) as precedence,
        named.file_sha256, named.line, named.is_reading, false as is_asked
    from named
    union all
    select
        asked.org_id, asked.meter, asked.unit, null,
        case when asked.user_id is null then 'org' else 'user' end, null, null, asked.user_id,
        asked.granularity, asked.period_start, asked.period_end, asked.told_from, asked.quantity,
        asked.allowance_quantity, asked.limit_quantity, asked.pay_as_you_go, null,
        asked.cycle_start, asked.cycle_end, false, asked.read_at, asked.exported_at, 'asked',
        concat_ws(
            ' ', 'asked', asked.org_id, asked.meter, asked.user_id,
            strftime(asked.cycle_start at time zone 'UTC', '%Y-%m-%d %H:%M:%S+00')
        ),
        case asked.granularity when 'month' then 0
            else date_diff('day', asked.cycle_start, asked.period_end) end,
        true, true
    from intermediate.int_platform_readings as asked
)

select
    lines.org_id, -- Atlassian organization
    lines.meter, -- what was used
    lines.unit,
    cast(lines.app as varchar) as app, -- the app that used it; null: all of them
    cast(lines.scope_type as varchar) as scope_type, -- org, site, workspace, user or repository
    -- a repository is a project, as in prices and facts
    cast(case lines.scope_type when 'repository' then 'project' else lines.scope_type end as varchar)
        as owner_type, -- org, site, workspace, user or project
    cast(coalesce(lines.user_id, lines.project_id, lines.site_id, lines.org_id) as varchar)
        as scope_id, -- whose usage
    md5(cast(json_array(
        lines.org_id, lines.meter, lines.unit, lines.scope_type, scope_id
    ) as varchar)) as scope_key, -- organization, meter, unit and scope
    cast(lines.site_id as varchar) as site_id, -- site, or workspace; null for org and user
    cast(lines.project_id as varchar) as project_id, -- repository; else null
    cast(lines.user_id as varchar) as user_id, -- user; else null
    cast(lines.granularity as varchar) as granularity, -- day or month
    cast(lines.period_start as timestamptz) as period_start, -- first instant, UTC
    cast(lines.period_end as timestamptz) as period_end, -- first instant after it, UTC
    -- earlier than its day, where nobody asked on the days before
    cast(coalesce(lines.told_from, lines.period_start) as timestamptz)
        as told_from, -- since when it tells
    lines.quantity, -- as exported
    lines.included_quantity, -- the allowance, where the page showed it
    lines.extra_usage_limit, -- the cap beyond it
    lines.pay_as_you_go, -- of what is used beyond it, as the meters API says it; null: not told
    lines.forecast_quantity, -- the page's own
    cast(lines.renewed_at as timestamptz) as renewed_at, -- when its allowance renewed; null: not shown
    cast(lines.renews_at as timestamptz) as renews_at, -- when it does next
    cast(coalesce(lines.is_final, false) as boolean) as is_final, -- it cannot change any more
    lines.read_at,
    -- a reading says nothing of what came after it, whenever it was exported
    cast(lines.exported_at as timestamptz) as exported_at, -- when it was read off the page
    -- of two lines of one instant this decides, and not which was loaded first
    lines.precedence, -- the greater one counts
    lines.file_sha256, -- the content of its file; of what was asked, whose cycle it is of
    cast(lines.line as integer) as line, -- the line of the file
    lines.is_reading, -- true: a running total, and a later one may say of another cycle that it is of it
    lines.is_asked -- true: the meters API said so; false: a file
from lines
