-- One row per file that was in PLATFORM_USAGE_DIR when it was last listed.
-- grain: file_name
select
    file.file_name, -- where it was in the folder
    file.file_sha256, -- its content; '' where it could not be read
    cast(exists (
        select 1
        from raw.loads as loaded
        where loaded.resource = 'platform_usage' and loaded.complete
            and loaded.scope = file.file_sha256
    ) as boolean) as is_loaded, -- its content has landed, under whatever name
    file.load_id -- the load that listed it
from raw.platform_usage_files as file
where file.load_id = (
    select receipt.load_id
    from raw.loads as receipt
    where receipt.resource = 'platform_usage_files'
    order by receipt.landed_at desc
    limit 1
)
