-- One row per problem of a platform usage file, as it was when this content was last rejected.
-- grain: file_name, file_sha256, line, column_name, reason
with found as (
    select
        rejected.*,
        receipt.landed_at,
        max(receipt.landed_at) over (
            partition by rejected.file_name, rejected.file_sha256
        ) as last_landed_at
    from raw.rejected_files as rejected
    inner join raw.loads as receipt
        on rejected.load_id = receipt.load_id and receipt.resource = 'rejected_files'
)

select
    found.file_name, -- where it was in the folder
    found.file_sha256, -- its content; null where it could not be read
    found.line, -- line, row or record; null: the whole file
    found."column" as column_name, -- the contract's column; null: the whole line
    found.reason, -- what is wrong, and what to do
    cast(min(found.found_at) as timestamptz) as found_at, -- when it was found
    cast(min(found.load_id) as varchar) as load_id -- the load that said so
from found
where found.landed_at = found.last_landed_at
group by found.file_name, found.file_sha256, found.line, found."column", found.reason
