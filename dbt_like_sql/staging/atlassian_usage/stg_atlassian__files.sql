-- One row per file that was in PLATFORM_USAGE_DIR when it was last looked through, and per problem of
-- one that does not keep the contract.
-- grain: file_name, line, column_name, reason
select
    file.file_name, -- where it was in the folder
    file.file_sha256, -- its content; '' where it could not be read
    file.line, -- line or row; null: the whole file
    file."column" as column_name, -- the contract's column; null: the whole line
    file.reason, -- what is wrong, and what to do; null: nothing is
    cast(exists (
        select 1
        from raw.loads as loaded
        where loaded.resource = 'platform_usage' and loaded.complete
            and loaded.scope = file.file_sha256
    ) as boolean) as is_loaded, -- its content has landed, under whatever name
    listing.last_listed_at as found_at, -- when the folder was found so
    file.load_id -- the load that listed it
from raw.platform_usage_files as file
inner join staging.stg_loads__listings as listing
    on listing.resource = 'platform_usage_files' and file.landed_at = listing.landed_at
qualify not file.is_withdrawn and row_number() over (
    partition by file.file_name, file.file_sha256, file.line, file."column", file.reason
    order by file.landed_at desc
) = 1
