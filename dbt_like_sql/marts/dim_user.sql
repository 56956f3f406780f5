-- One row per user under whose id something was used (Rovo Dev credits, say).
-- grain: source, user_id
select
    series.source,
    series.user_id, -- the vendor's id, or what an export has for it
    name.name as user_name, -- as in seeds/names.csv; null: it is not there
    min(series.first_used_at) as first_used_at, -- start of the first period with usage, UTC
    max(series.last_used_at) as last_used_at -- end of the last period with usage, UTC
from intermediate.int_series as series
left join intermediate.int_names as name on name.kind = 'user' and lower(series.user_id) = name.id
where series.user_id is not null
group by series.source, series.user_id, name.name
