-- What somebody has to look after, what cannot be mended for long first.
select
    needed.kind, needed.source, needed.what, needed.is_failure, needed.since_at, needed.too_late_at,
    needed.what_to_do
from reports.needs_you as needed
order by needed.is_failure desc, needed.too_late_at nulls last, needed.kind, needed.source
