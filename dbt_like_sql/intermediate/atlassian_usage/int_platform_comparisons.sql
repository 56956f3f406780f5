-- One row per thing that exports of platform usage say in two ways: a workspace's minutes beside
-- Bitbucket's runs, a scope's month beside its days that are the fact, what workspaces have left beside
-- the repositories of which nobody knows the workspace; the last reading of a billing cycle beside the
-- facts of it; and what an organization was told to have used of days that are not all in its facts, and
-- which is in none. Settled periods only, but for the last two.
-- grain: comparison, org_id, project_id, meter, unit, period_start
with runs as (
    select
        told.org_id, told.site_id as project_id, told.meter, told.unit, told.period_start,
        told.quantity, cast(sum(run.build_seconds) / 60 as decimal(38, 9)) as minutes
    from intermediate.int_platform_scopes as told
    inner join intermediate.int_bitbucket_minutes as run
        on told.site_id = run.workspace_uuid and run.period_start >= told.period_start
        and run.period_end <= told.period_end
    where told.meter = 'pipelines_build_minutes' and told.scope_type = 'workspace'
        and told.exported_at >= told.period_end
    group by told.org_id, told.site_id, told.meter, told.unit, told.period_start, told.quantity
),

months as (
    select line.scope_key, line.period_start, line.period_end, line.quantity
    from intermediate.int_platform_lines as line
    where line.granularity = 'month' and line.app is null and line.exported_at >= line.period_end
    qualify row_number() over (
        partition by line.scope_key, line.period_start
        order by line.exported_at desc, line.precedence desc, line.line desc
    ) = 1
),

-- they are taken for parts of the workspaces that were exported, and are in no fact of their own
unplaced as (
    select told.org_id, told.meter, told.unit, told.split_start, sum(told.quantity) as quantity
    from intermediate.int_platform_scopes as told
    anti join intermediate.int_platform_usage as fact
        on told.org_id = fact.org_id and told.meter = fact.meter and told.unit = fact.unit
        and told.split_start = fact.split_start and told.project_id = fact.project_id
    where told.scope_type = 'repository' and told.exported_at >= told.period_end
    group by told.org_id, told.meter, told.unit, told.split_start
),

-- of cycles of which no file says anything, as that may be read later
cycles as (
    select
        asked.org_id, asked.meter, asked.unit, asked.user_id, asked.quantity, asked.period_start,
        -- a renewal that comes early ends the cycle before it
        least(asked.period_end, lead(asked.period_start, 1, asked.period_end) over (
            partition by asked.org_id, asked.meter, asked.user_id order by asked.period_start
        )) as ends_at
    from intermediate.int_platform_readings as asked
    anti join intermediate.int_platform_lines as line
        on not line.is_asked and asked.org_id = line.org_id and asked.meter = line.meter
        and asked.unit = line.unit and line.period_start < asked.period_end
        and line.period_end > asked.period_start
    where asked.granularity = 'month'
)

select
    cast('pipeline runs' as varchar) as comparison, -- what is compared with the facts
    runs.org_id, -- Atlassian organization
    runs.project_id, -- workspace, or user:ann; null: the whole org
    runs.meter, -- what was used
    runs.unit, -- of the quantities
    runs.period_start, -- first instant, UTC
    cast(null as timestamptz) as period_end, -- first instant after days that are in no fact; else null
    cast(runs.quantity as decimal(38, 9)) as fact_quantity, -- what counts
    runs.minutes as other_quantity, -- what the other side says
    -- the runs of repositories that are gone are missing: below the export is as it should be
    cast(greatest(runs.quantity - runs.minutes, 1) as decimal(38, 9))
        as tolerance -- by how much they may differ
from runs
union all
-- each day may be off by its rounding
select
    'exported month', day.org_id,
    case when day.scope_type <> 'org' then concat(day.scope_type, ':', day.scope_id) end,
    day.meter, day.unit, months.period_start, null, cast(sum(day.quantity) as decimal(38, 9)),
    months.quantity, count(*)
from months
inner join intermediate.int_platform_scopes as day
    on months.scope_key = day.scope_key and day.is_told_by_days
    and day.period_start >= months.period_start and day.period_end <= months.period_end
group by
    day.org_id, day.scope_type, day.scope_id, day.meter, day.unit, months.period_start,
    months.period_end, months.quantity
having count(*) = date_diff('day', months.period_start, months.period_end)
union all
-- more than the workspaces have left is usage that is missing
select
    'repositories without a workspace', unplaced.org_id, null, unplaced.meter, unplaced.unit,
    unplaced.split_start, null, cast(coalesce(sum(fact.quantity), 0) as decimal(38, 9)),
    cast(unplaced.quantity as decimal(38, 9)),
    greatest(coalesce(sum(fact.quantity), 0) - unplaced.quantity, 0)
from unplaced
left join intermediate.int_platform_usage as fact
    on unplaced.org_id = fact.org_id and unplaced.meter = fact.meter
    and unplaced.unit = fact.unit and unplaced.split_start = fact.split_start
    and fact.site_id is not null and fact.project_id is null
group by unplaced.org_id, unplaced.meter, unplaced.unit, unplaced.split_start, unplaced.quantity
union all
select
    'last reading of a cycle', cycles.org_id,
    case when cycles.user_id is not null then concat('user:', cycles.user_id) end,
    cycles.meter, cycles.unit, cycles.period_start, null,
    cast(coalesce(sum(fact.quantity), 0) as decimal(38, 9)), cycles.quantity, 0
from cycles
left join intermediate.int_platform_usage as fact
    on cycles.org_id = fact.org_id and cycles.meter = fact.meter and cycles.unit = fact.unit
    and fact.period_start >= cycles.period_start and fact.period_end <= cycles.ends_at
    and (cycles.user_id is null or cycles.user_id = fact.user_id)
group by
    cycles.org_id, cycles.user_id, cycles.meter, cycles.unit, cycles.period_start, cycles.quantity
union all
-- a reading tells at once of days in a period that counts and of others, or a calendar does not count
select
    'told in no fact', line.org_id, null, line.meter, line.unit, line.told_from,
    max(least(line.period_end, date_trunc('day', line.read_at + interval '12' hour))) as told_until,
    cast(0 as decimal(38, 9)), max_by(line.quantity, line.exported_at), 0
from intermediate.int_platform_lines as line
left join intermediate.int_platform_scopes as fact
    on line.scope_key = fact.scope_key and fact.period_end > line.told_from
    and fact.period_start < least(line.period_end, line.read_at)
where line.scope_type = 'org' and line.app is null and line.quantity > 0
    and line.is_asked = (line.granularity = 'day') and line.is_asked = line.is_reading
group by line.org_id, line.meter, line.unit, line.told_from
having not coalesce(
    (min(fact.period_start) <= line.told_from and max(fact.period_end) >= told_until)
    or bool_or(fact.is_asked and line.is_asked and line.period_end = fact.period_end), false
)
