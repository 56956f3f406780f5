-- One row per meter that is a gauge: the last reading of a UTC month is what counts, and no sum.
-- grain: source, meter
-- materialized: view
select distinct
    meter.source, meter.meter
from seeds.meters as meter
where meter.aggregation = 'last'
