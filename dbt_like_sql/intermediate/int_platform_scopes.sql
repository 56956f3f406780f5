-- One row per scope and period that was exported: the latest export of it, with the ids that facts
-- use. A workspace or repository is named by its uuid where Bitbucket was asked for its name. A row
-- without an app is the total of its apps; where there is none, the apps are added up.
-- grain: org_id, meter, unit, scope_type, site_id, project_id, user_id, granularity, period_start, period_end
with usage as (
    select
        line.*,
        -- ids and addresses are the same in capital letters; Bitbucket's uuids are in braces
        case
            when line.scope_type in ('workspace', 'repository')
                and line.scope_id like '________-____-____-____-____________'
                then concat('{', lower(line.scope_id), '}')
            else lower(line.scope_id)
        end as name
    from staging.stg_atlassian__platform_usage as line
),

-- a value at an instant, of which the last one counts
gauges as (
    select distinct meter.meter
    from seeds.meters as meter
    where meter.source = 'atlassian_platform' and meter.aggregation = 'last'
),

named as (
    select
        usage.*,
        usage.granularity = 'snapshot' or gauges.meter is not null as is_reading,
        case usage.scope_type
            when 'site' then usage.name
            when 'workspace' then coalesce(slugs.workspace_uuid, usage.name)
            when 'repository' then coalesce(
                repositories.workspace_uuid, slugs.workspace_uuid,
                case when usage.name like '%/%' then split_part(usage.name, '/', 1) end
            )
        end as site_id,
        case when usage.scope_type = 'repository'
            then coalesce(repositories.repository_uuid, usage.name) end as project_id,
        case when usage.scope_type = 'user' then usage.name end as user_id
    from usage
    left join gauges on usage.usage_type = gauges.meter
    left join staging.stg_bitbucket__workspace_slugs as slugs
        on usage.scope_type in ('workspace', 'repository')
        and split_part(usage.name, '/', 1) = slugs.slug
        and usage.exported_at >= slugs.valid_from
        and usage.exported_at < slugs.valid_until
    left join staging.stg_bitbucket__repository_names as repositories
        on usage.scope_type = 'repository'
        and usage.name = repositories.name
        and usage.exported_at >= repositories.valid_from
        and usage.exported_at < repositories.valid_until
),

latest as (
    select named.*
    from named
    qualify row_number() over (
        partition by
            named.org_id, named.usage_type, named.unit, named.app, named.scope_type,
            named.site_id, named.project_id, named.user_id, named.granularity,
            named.period_start, named.period_end
        order by named.exported_at desc, named.loaded_at desc, named.line desc
    ) = 1
),

whole as (
    select latest.*
    from latest
    qualify latest.app is null or count(*) filter (latest.app is null) over (
        partition by
            latest.org_id, latest.usage_type, latest.unit, latest.scope_type, latest.site_id,
            latest.project_id, latest.user_id, latest.granularity, latest.period_start,
            latest.period_end
    ) = 0
)

select
    whole.org_id, -- Atlassian organization
    whole.usage_type as meter, -- what was used
    whole.unit, -- of the quantity
    whole.scope_type, -- org, site, workspace, user or repository
    cast(whole.site_id as varchar) as site_id, -- site, or workspace; null for org and user
    cast(whole.project_id as varchar) as project_id, -- repository; else null
    cast(whole.user_id as varchar) as user_id, -- user; else null
    whole.granularity, -- day, month or snapshot
    cast(whole.is_reading as boolean) as is_reading, -- a value at an instant, not a sum
    whole.period_start, -- first instant, UTC
    whole.period_end, -- first instant after the period, UTC
    cast(sum(whole.quantity) as decimal(38, 9)) as quantity, -- as exported
    -- apps share the allowance of their scope
    cast(max(whole.included_quantity) as decimal(38, 9)) as included_quantity, -- allowance shown
    cast(max(whole.extra_usage_limit) as decimal(38, 9)) as extra_usage_limit, -- the cap beyond it
    cast(sum(whole.forecast_quantity) as decimal(38, 9)) as forecast_quantity, -- as the page forecast
    max(whole.allowance_reset_at) as allowance_reset_at, -- when it starts anew
    cast(bool_and(coalesce(whole.is_final, false)) as boolean) as is_final, -- cannot change
    max(whole.exported_at) as exported_at -- when it was read off the page
from whole
group by
    whole.org_id, whole.usage_type, whole.unit, whole.scope_type, whole.site_id,
    whole.project_id, whole.user_id, whole.granularity, whole.is_reading, whole.period_start,
    whole.period_end
