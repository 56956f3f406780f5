-- Days of the last five weeks that are out of line: one row per project, meter and day on which it used
-- much more or less than on the same weekday of the eight weeks before, by six spreads from the median.
-- A spread is the median distance from it (times 1.4826, which makes it a standard deviation), and at
-- least a tenth of the median and a hundredth of what the organization uses, so that what hardly varies,
-- or hardly counts, is not here. Only days that are known and settled are judged, and with four such
-- weekdays before them: what is new is not here, nor what was not used at all in this month.
-- grain: source, org_id, project_id, meter, unit, period_date
with daily as (
    select
        day.source, day.org_id, day.project_id, day.meter, day.unit, day.day_start,
        cast(sum(day.quantity) as double) as quantity,
        -- not before it was first used
        min(case when sum(day.quantity) <> 0 then day.day_start end) over (
            partition by day.source, day.org_id, day.project_id, day.meter, day.unit
        ) as first_used_at
    from intermediate.int_daily_usage as day
    where day.day_start >= cast(current_date as timestamptz) - interval '91' day
    group by day.source, day.org_id, day.project_id, day.meter, day.unit, day.day_start
),

paired as (
    select
        daily.*, before.quantity as quantity_before,
        median(before.quantity) over (
            partition by
                daily.source, daily.org_id, daily.project_id, daily.meter, daily.unit,
                daily.day_start
        ) as usual_quantity
    from daily
    inner join daily as before
        on daily.source = before.source and daily.org_id is not distinct from before.org_id
        and daily.project_id is not distinct from before.project_id
        and daily.meter = before.meter and daily.unit is not distinct from before.unit
        and extract(dow from daily.day_start) = extract(dow from before.day_start)
        and before.day_start >= daily.day_start - interval '56' day
        and before.day_start < daily.day_start and before.day_start >= before.first_used_at
    where daily.day_start >= daily.first_used_at
        and daily.day_start >= cast(current_date as timestamptz) - interval '35' day
),

compared as (
    select
        paired.source, paired.org_id, paired.project_id, paired.meter, paired.unit,
        paired.day_start, paired.quantity, paired.usual_quantity,
        median(abs(paired.quantity_before - paired.usual_quantity)) as usual_distance,
        count(*) as compared_day_count
    from paired
    group by
        paired.source, paired.org_id, paired.project_id, paired.meter, paired.unit,
        paired.day_start, paired.quantity, paired.usual_quantity
),

measured as (
    select
        compared.*,
        greatest(
            1.4826 * compared.usual_distance, 0.1 * compared.usual_quantity,
            0.01 * cast(sum(cast(compared.usual_quantity as decimal(38, 9))) over (
                partition by
                    compared.source, compared.org_id, compared.meter, compared.unit,
                    compared.day_start
            ) as double)
        ) as spread
    from compared
    where compared.compared_day_count >= 4
)

select
    measured.source, measured.org_id, measured.project_id, project.name as project_name,
    measured.meter, measured.unit,
    cast(measured.day_start as date) as period_date,
    measured.quantity, -- in `unit`, on this day
    measured.usual_quantity, -- median of the same weekdays before
    measured.usual_distance, -- median distance of these from it
    measured.compared_day_count, -- how many they are, of eight
    cast((measured.quantity - measured.usual_quantity) / measured.spread as double)
        as score, -- spreads above (below: negative) what is usual
    cast(concat(
        measured.meter, ' of ', coalesce(project.label, measured.project_id, 'no project'),
        ' was ', cast(measured.quantity as decimal(38, 2)), ' ', measured.unit, ' on ',
        strftime(measured.day_start at time zone 'UTC', '%A, %Y-%m-%d'), ', where ',
        cast(measured.usual_quantity as decimal(38, 2)), ' is the median of ', measured.compared_day_count,
        ' such weekdays before'
    ) as varchar) as explanation -- in a sentence
from measured
left join marts.dim_name as project
    on project.kind = 'project' and measured.source = project.source
    and measured.project_id = project.thing_id
    and measured.org_id is not distinct from project.org_id
where abs(measured.quantity - measured.usual_quantity) >= 6 * measured.spread
    and measured.spread > 0
