-- One row per Forge app, environment, resource, unit and UTC day. What the app's total has over its
-- environments is one row without one, so that the sum is the total. All environments are billed.
-- grain: app_id, environment_id, meter, unit, period_start
-- window: period_start
select
    usage.app_id,
    usage.environment_id, -- Forge environment; null: what none accounts for
    usage.meter, usage.unit, usage.period_start, usage.period_end, usage.quantity, usage.observed_at
from intermediate.int_forge_usage as usage
where usage.split_by = 'environment'
