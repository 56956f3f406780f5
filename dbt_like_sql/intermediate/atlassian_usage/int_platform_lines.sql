-- One row per line of an exported file, with the ids that facts use and the period that it is of. A
-- workspace or repository is named by its uuid where Bitbucket was asked for its name. A gauge is
-- of the UTC month in which it was read, a reading of a counter of the renewal cycle in which it
-- was read.
-- grain: file_sha256, line
with named as (
    select
        line.*,
        gauge.meter is not null as is_gauge,
        line.granularity = 'snapshot' and gauge.meter is null as is_reading,
        -- periods are whole UTC days
        date_trunc('day', line.period_start + interval '12' hour) as first_day,
        date_trunc('day', line.period_end + interval '12' hour) as last_day,
        renewal.renewed_at,
        renewal.renews_at,
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
    left join (
        select distinct meter.meter from seeds.meters as meter
        where meter.source = 'atlassian_platform' and meter.aggregation = 'last'
    ) as gauge on line.usage_type = gauge.meter
    left join staging.stg_bitbucket__names as slugs
        on line.scope_type in ('workspace', 'repository') and slugs.repository_uuid is null
        and split_part(line.name, '/', 1) = slugs.name
        and line.exported_at >= slugs.valid_from
        and line.exported_at < slugs.valid_until
    left join staging.stg_bitbucket__names as repositories
        on line.scope_type = 'repository' and repositories.repository_uuid is not null
        and line.name = repositories.name
        and line.exported_at >= repositories.valid_from
        and line.exported_at < repositories.valid_until
)

select
    named.org_id, -- Atlassian organization
    named.usage_type as meter, -- what was used
    named.unit, -- of the quantity
    named.app, -- the app that used it; null: all of them
    named.scope_type, -- org, site, workspace, user or repository
    cast(coalesce(named.user_id, named.project_id, named.site_id, named.org_id) as varchar)
        as holder_id, -- the scope itself
    md5(cast(json_array(
        named.org_id, named.usage_type, named.unit, named.scope_type,
        coalesce(named.user_id, named.project_id, named.site_id, named.org_id)
    ) as varchar)) as scope_key, -- organization, meter, unit and scope
    cast(named.site_id as varchar) as site_id, -- site, or workspace; null for org and user
    cast(named.project_id as varchar) as project_id, -- repository; else null
    cast(named.user_id as varchar) as user_id, -- user; else null
    cast(case when named.granularity = 'day' and not named.is_gauge then 'day' else 'month' end
        as varchar) as granularity, -- day or month
    cast(case when named.is_gauge then date_trunc('month', named.read_at)
        when named.is_reading then date_trunc('day', named.renewed_at)
        else named.first_day end as timestamptz) as period_start, -- first instant, UTC
    cast(case when named.is_gauge then date_trunc('month', named.read_at) + interval '1' month
        when named.is_reading then date_trunc('day', named.renews_at)
        else named.last_day end as timestamptz) as period_end, -- first instant after it, UTC
    named.quantity, -- as exported
    named.included_quantity, -- the allowance, where the page showed it
    named.extra_usage_limit, -- the cap beyond it
    named.forecast_quantity, -- the page's own
    cast(named.renewed_at as timestamptz) as renewed_at, -- when its allowance renewed
    cast(named.renews_at as timestamptz) as renews_at, -- when it does next
    cast(coalesce(named.is_final, false) as boolean) as is_final, -- it cannot change any more
    named.read_at, -- up to when it tells
    -- a reading says nothing of what came after it, whenever it was exported
    cast(case named.granularity when 'snapshot' then named.read_at else named.exported_at end
        as timestamptz) as exported_at, -- when it was read off the page
    -- of two lines of one instant this decides, and not which was loaded first
    concat_ws(' ', named.granularity, named.file_name, named.file_sha256)
        as precedence, -- the greater one counts
    named.file_sha256, -- the content of its file
    named.line -- the line of the file
from named
