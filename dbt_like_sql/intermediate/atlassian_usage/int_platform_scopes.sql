-- One row per scope and period of its own usage, told by the day or by the month and never by both.
-- Days tell a month of which all days are there that had passed when it was exported, each exported
-- after its own end. A row without an app is the total of its apps; where there is none, the apps
-- add up.
-- grain: scope_key, period_start
with heard as (
    select
        told.*,
        case when told.granularity = 'month'
            then least(told.period_end, date_trunc('day', told.exported_at)) end as told_until
    from intermediate.int_platform_told as told
),

-- up to when a month tells, which days have to tell to stand for it
spans as (
    select
        heard.*,
        case when heard.app is null then max(heard.told_until) over of_scope
            else max(heard.told_until) over of_app end as month_until
    from heard
    anti join heard as total
        on heard.app is not null and total.app is null
        and heard.scope_key = total.scope_key and heard.period_start >= total.period_start
        and heard.period_end <= total.period_end
    window
        of_scope as (partition by heard.scope_key, heard.whole_start),
        of_app as (partition by heard.scope_key, heard.app, heard.whole_start)
),

judged as (
    select
        spans.*,
        spans.month_until is null
        or bool_or(spans.is_asked and spans.granularity = 'day') over of_app
        or (
            bool_or(spans.granularity = 'day') over of_app
            and count(case when spans.granularity = 'day' and spans.period_end <= spans.month_until
                and (spans.is_final or spans.exported_at >= spans.period_end) then 1 end)
                over of_app >= date_diff('day', spans.whole_start, spans.month_until)
        ) as is_by_days
    from spans
    window of_app as (partition by spans.scope_key, spans.app, spans.whole_start)
),

-- days of the total stand for the months of its apps, too
kept as (
    select
        judged.*,
        bool_and(judged.is_by_days) over of_scope as is_told_by_days,
        -- up to when its organization is split as one: the first reading may be of several days
        case when bool_and(judged.is_by_days) over of_organization
            then max(case when judged.period_start = judged.whole_start then judged.period_end end)
                over of_organization
            else judged.whole_end end as one_until
    from judged
    anti join judged as total
        on judged.app is not null and judged.granularity = 'month'
        and total.app is null and total.granularity = 'day' and total.is_by_days
        and judged.scope_key = total.scope_key and judged.whole_start = total.whole_start
    where judged.is_by_days = (judged.granularity = 'day')
    window
        of_scope as (partition by judged.scope_key, judged.whole_start),
        of_organization as (
            partition by judged.org_id, judged.meter, judged.unit, judged.whole_start
        )
)

select
    kept.scope_key, kept.org_id, kept.meter, kept.unit, kept.scope_type, kept.owner_type,
    kept.scope_id, kept.project_id, kept.user_id,
    min(kept.site_id) as site_id, -- site, or workspace; null for org and user
    cast(case when kept.is_told_by_days then kept.period_start else kept.whole_start end
        as timestamptz) as period_start, -- first instant, UTC
    min(kept.told_from) as told_from, -- earlier, where a reading tells of days before it, too
    cast(max(case when kept.is_told_by_days then kept.period_end else kept.whole_end end)
        as timestamptz) as period_end, -- first instant after the period, UTC
    cast(min(case when kept.period_end <= kept.one_until then kept.whole_start
        else kept.period_start end)
        as timestamptz) as split_start, -- of the period in which its organization's usage is split
    cast(max(case when kept.period_end <= kept.one_until then kept.one_until
        else kept.period_end end) as timestamptz) as split_end, -- first instant after that
    kept.is_told_by_days, -- a day, as all that is told of it
    cast(sum(date_diff('day', kept.period_start, kept.period_end)) as bigint)
        as days_told, -- how many days it tells of
    cast(sum(kept.quantity) as decimal(38, 9)) as quantity, -- as exported
    cast(max(case when kept.is_told_by_days then kept.allowed_from else kept.whole_start end)
        as timestamptz) as allowed_from, -- when its allowance renewed
    cast(max(case when kept.is_told_by_days then kept.resets_at else kept.whole_end end)
        as timestamptz) as resets_at, -- when it does again
    cast(bool_and(kept.is_final) as boolean) as is_final, -- cannot change
    cast(bool_or(kept.is_asked) as boolean) as is_asked, -- true: the meters API said so
    max(kept.exported_at) as exported_at -- when it was read off the page
from kept
group by
    kept.scope_key, kept.org_id, kept.meter, kept.unit, kept.scope_type, kept.owner_type,
    kept.scope_id, kept.project_id, kept.user_id, kept.is_told_by_days,
    case when kept.is_told_by_days then kept.period_start else kept.whole_start end
