-- One row per organization and usage type that was ever exported: how old the latest export is, as
-- somebody has to export it again, unless the meters API tells it. One whose files are all gone from
-- the folder has ended: what they said stays, and nobody has to.
-- grain: org_id, meter
-- check: not is_stale
select
    line.org_id, line.meter,
    max(case when not line.is_asked then line.exported_at end)
        as last_exported_at, -- when it was last read off the page
    max(case when not line.is_asked then least(line.period_end, line.exported_at) end)
        as exported_until, -- first instant not told
    cast(
        date_diff('day', last_exported_at, current_timestamp) as bigint
    ) as age_days, -- since the last export
    -- of either: when it was last told
    cast(
        max(line.exported_at)
        < current_timestamp - max(retention.stale_hours) * interval '1' hour
        and bool_or(file.file_sha256 is not null) as boolean
    ) as is_stale, -- not ended, and no export for a month and a few days (seeds.retention)
    cast(not bool_or(file.file_sha256 is not null) as boolean)
        as is_ended, -- no file of it is in the folder any more
    cast(concat(
        'Open admin.atlassian.com/o/', line.org_id, '/platform-usage, and put what it shows of ',
        line.meter, ' into a file in PLATFORM_USAGE_DIR (meterhouse platform-usage template).'
    ) as varchar) as what_to_do -- for an organization admin
from intermediate.int_platform_lines as line
inner join seeds.retention as retention on retention.resource = 'platform_usage'
left join staging.stg_atlassian__files as file on line.file_sha256 = file.file_sha256
group by line.org_id, line.meter
having bool_or(not line.is_asked)
