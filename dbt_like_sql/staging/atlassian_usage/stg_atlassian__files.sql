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
    receipt.asked_at as found_at, -- when the folder was found so
    file.load_id -- the load that listed it
from raw.platform_usage_files as file
inner join raw.loads as receipt
    on file.load_id = receipt.load_id and receipt.resource = 'platform_usage_files'
where receipt.landed_at = (
    select max(latest.landed_at)
    from raw.loads as latest
    where latest.resource = 'platform_usage_files'
)
