-- One row per problem of a platform usage file that was not loaded and is still in the folder as it
-- was. Nothing of such a file counts. Mend it or take it away.
-- grain: file_name, line, column_name, reason
-- expect: no rows
select
    rejected.file_name, -- where it is in the folder
    rejected.line, -- line, row or record; null: the whole file
    rejected.column_name, -- the contract's column; null: the whole line
    rejected.reason, -- what is wrong, and what to do
    min(rejected.found_at) as found_at -- when it was first found
from staging.stg_atlassian__rejected_files as rejected
inner join staging.stg_atlassian__files as listing
    on rejected.file_name = listing.file_name
    and coalesce(rejected.file_sha256, '') = listing.file_sha256
where not listing.is_loaded
group by rejected.file_name, rejected.line, rejected.column_name, rejected.reason
