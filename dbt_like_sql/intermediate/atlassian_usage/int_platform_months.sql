-- One row per scope and month-long period that was exported and overlaps no other: of calendars that
-- overlap (billing cycles beside months), the one exported last counts, and of the others what it
-- leaves free.
-- grain: org_id, meter, unit, scope_type, holder_id, period_start
with spans as (
    select
        scope.*,
        -- months that begin at the same instant of the month are one calendar
        strftime(scope.period_start, '%d %H:%M:%S') as starts_on
    from intermediate.int_platform_scopes as scope
    where scope.granularity = 'month'
    -- of a month that was exported twice, with another end, the last word
    qualify row_number() over (
        partition by
            scope.org_id, scope.meter, scope.unit, scope.scope_type, scope.holder_id,
            scope.period_start
        order by scope.exported_at desc, scope.period_end desc
    ) = 1
),

ranked as (
    select
        spans.*,
        (
            max(spans.exported_at) over (
                partition by
                    spans.org_id, spans.meter, spans.unit, spans.scope_type, spans.holder_id,
                    spans.starts_on
            ), spans.starts_on, spans.exported_at, spans.period_start
        ) as rank
    from spans
),

first_choice as (
    select ranked.*
    from ranked
    anti join ranked as other
        on ranked.org_id = other.org_id and ranked.meter = other.meter
        and ranked.unit = other.unit and ranked.scope_type = other.scope_type
        and ranked.holder_id = other.holder_id
        and ranked.period_start < other.period_end and ranked.period_end > other.period_start
        and ranked.rank < other.rank
),

-- what was outdone by a span that does not count itself
left_free as (
    select ranked.*
    from ranked
    anti join first_choice as other
        on ranked.org_id = other.org_id and ranked.meter = other.meter
        and ranked.unit = other.unit and ranked.scope_type = other.scope_type
        and ranked.holder_id = other.holder_id
        and ranked.period_start < other.period_end and ranked.period_end > other.period_start
),

counted as (
    select first_choice.* from first_choice
    union all
    select left_free.*
    from left_free
    anti join left_free as other
        on left_free.org_id = other.org_id and left_free.meter = other.meter
        and left_free.unit = other.unit and left_free.scope_type = other.scope_type
        and left_free.holder_id = other.holder_id
        and left_free.period_start < other.period_end
        and left_free.period_end > other.period_start
        and left_free.rank < other.rank
)

select
    counted.org_id, -- Atlassian organization
    counted.meter, -- what was used
    counted.unit, -- of the quantity
    counted.scope_type, -- org, site, workspace, user or repository
    counted.holder_id, -- the scope itself
    counted.site_id, -- site, or workspace; null for org and user
    counted.project_id, -- repository; else null
    counted.user_id, -- user; else null
    counted.period_start, -- first instant, UTC
    counted.period_end, -- first instant after the period, UTC
    counted.quantity, -- as exported
    counted.app_count, -- apps that add up to it; 0: told as a whole
    counted.first_app, -- of these in the alphabet
    counted.last_app, -- of these in the alphabet
    counted.allowed_from, -- when its allowance started anew
    counted.resets_at, -- when it does again
    counted.is_final, -- cannot change
    counted.exported_at -- when it was read off the page
from counted
