-- One row per part of an organization and period, of what its admins exported. Repositories stand
-- for their workspace, and workspaces (else users, else sites: three ways to cut the same usage)
-- for their organization; what a whole has over its parts is a row without them. By the day only
-- where every scope of the period is, else each one's days are summed. Days that are not all there
-- are a lower bound: where the parts of such a whole come to more, they are the whole.
-- grain: org_id, meter, unit, site_id, project_id, user_id, period_start, period_end
with told as (
    select
        scope.org_id, scope.meter, scope.unit, scope.scope_type, scope.site_id, scope.project_id,
        scope.user_id, scope.split_start, scope.split_start as period_start,
        scope.split_end as period_end,
        case scope.scope_type when 'org' then null when 'user' then 2 when 'site' then 3
            else 1 end as way,
        min(scope.told_from) as told_from, sum(scope.quantity) as quantity,
        max(scope.exported_at) as exported_at, bool_or(scope.is_asked) as is_asked,
        bool_and(scope.is_told_by_days)
        and sum(scope.days_told) < date_diff('day', scope.split_start, scope.split_end)
            as is_lower_bound
    from intermediate.int_platform_scopes as scope
    group by
        scope.org_id, scope.meter, scope.unit, scope.scope_type, scope.site_id,
        scope.project_id, scope.user_id, scope.split_start, scope.split_end
    union all
    select
        run.org_id, run.meter, run.unit, 'repository', run.site_id, run.project_id, null,
        run.split_start, run.period_start, run.period_end, 1, run.period_start, run.quantity,
        run.exported_at, false, false
    from intermediate.int_platform_runs as run
),

-- what else is told of the same period, and of the same workspace
seen as (
    select
        told.*,
        min(told.way) over same_period as first_way,
        bool_or(told.is_asked) over same_period as is_read,
        -- a uuid, where one is: braces come after letters
        max(case when told.scope_type = 'workspace' then told.site_id end) over same_period
            as last_workspace,
        told.scope_type = 'repository' and bool_or(told.scope_type = 'workspace')
            over same_workspace as is_in_workspace,
        sum(case when told.scope_type = 'repository' then told.quantity end)
            over same_workspace as repositories_quantity
    from told
    window
        same_period as (partition by told.org_id, told.meter, told.unit, told.split_start),
        same_workspace as (
            partition by told.org_id, told.meter, told.unit, told.split_start, told.site_id
        )
),

-- a repository whose workspace cannot be named as the workspaces are is in one of them
split as (
    select
        seen.*,
        case seen.scope_type when 'workspace' then seen.repositories_quantity
            when 'org' then sum(case
                when seen.scope_type = 'org' or seen.is_in_workspace then null
                when seen.is_lower_bound and seen.scope_type = 'workspace'
                    then greatest(seen.quantity, coalesce(seen.repositories_quantity, 0))
                else seen.quantity
            end) over (partition by seen.org_id, seen.meter, seen.unit, seen.split_start)
        end as parts_quantity,
        case when parts_quantity is null then seen.quantity
            when seen.is_lower_bound then greatest(seen.quantity - parts_quantity, 0)
            else seen.quantity - parts_quantity end as left_quantity
    from seen
    where seen.scope_type = 'org' or (seen.way = seen.first_way and (
        seen.scope_type <> 'repository' or seen.is_in_workspace or seen.last_workspace is null
        or seen.site_id like '{%'
        or (seen.site_id is not null and seen.last_workspace not like '{%')
    ))
)

select
    split.org_id,
    split.meter, -- what was used
    split.unit,
    split.site_id, -- site, or workspace; null: what none accounts for
    split.project_id, -- repository; null: what none accounts for
    split.user_id, -- user; null: what none accounts for
    cast(case when date_diff('day', split.period_start, split.period_end) = 1
        then 'daily' else 'monthly' end as varchar) as granularity, -- daily or monthly
    split.period_start, -- first instant, UTC
    split.period_end, -- first instant after the period, UTC
    split.split_start, -- of the period in which the organization's usage is split
    split.told_from, -- since when it tells: earlier, where nobody read on the days before
    cast(split.left_quantity as decimal(38, 9)) as quantity, -- as exported
    -- a whole and its parts are not read at one instant: what one day lacks another has too much
    cast(split.is_read as boolean) as is_read, -- true: the meters API tells some of it
    -- the last reading of a month is that once there is one of a later month
    greatest(split.exported_at, case when gauge.meter is not null then
        lead(split.exported_at) over (
            partition by
                split.org_id, split.meter, split.unit, split.site_id,
                split.project_id, split.user_id
            order by split.period_start
        ) end) as observed_at -- when it was read off the page, or a gauge's next month was
from split
left join intermediate.int_gauges as gauge
    on gauge.source = 'atlassian_platform' and split.meter = gauge.meter
-- nothing is left of a whole that its parts account for
where split.parts_quantity is null or split.left_quantity <> 0
