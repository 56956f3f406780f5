-- One row per problem of a platform usage file that was not loaded and is still in the folder as it
-- was. Nothing of such a file counts. Mend it or take it away.
-- grain: file_name, line, column_name, reason
-- expect: no rows
select
    file.file_name, file.line, file.column_name, file.reason, file.found_at
from staging.stg_atlassian__files as file
where file.reason is not null and not file.is_loaded
