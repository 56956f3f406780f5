-- One row per Forge app, resource and calendar month with a free allowance in force: what was used of
-- it, from which day on it was used up, and where the month will end if it goes on as so far. Where
-- missing_day_count is not 0, some days were never asked for, and used_quantity is a lower bound.
-- Allowances are per app and month, over all environments (seeds/allowances.csv). The same rows, in
-- the words of every vendor, are in reports.allowance.
-- grain: app_id, meter, unit, month_start
select
    allowance.holder_id as app_id, -- Forge app
    allowance.meter, -- Atlassian's name of the resource
    allowance.unit, -- Atlassian's unit
    allowance.period_start as month_start, -- UTC month
    allowance.used_quantity, -- so far
    allowance.included_quantity as allowance_quantity, -- free in this month
    allowance.used_share, -- 1: used up; null where nothing is free
    allowance.overage_quantity, -- billed so far
    allowance.first_day_over, -- UTC day; null: not yet
    allowance.missing_day_count, -- not asked, before the last that was
    allowance.settled_day_count, -- days projected from
    -- null: no day has settled yet
    allowance.straight_line_quantity as projected_quantity, -- at month end, as in the settled days
    allowance.projected_overage_quantity -- billed at month end, then
from reports.allowance as allowance
where allowance.source = 'forge'
