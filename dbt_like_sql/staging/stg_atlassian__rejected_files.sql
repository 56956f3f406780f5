-- One row per problem of a platform usage file that was rejected, now or at any time.
-- grain: file_name, file_sha256, line, column_name, reason, load_id
select
    rejected.file_name, -- where it was in the folder
    rejected.file_sha256, -- its content; null where it could not be read
    rejected.line, -- line, row or record; null: the whole file
    rejected."column" as column_name, -- the contract's column; null: the whole line
    rejected.reason, -- what is wrong, and what to do
    min(rejected.found_at) as found_at, -- when it was found
    rejected.load_id -- the load that said so
from raw.rejected_files as rejected
inner join raw.loads as receipt
    on rejected.load_id = receipt.load_id and receipt.resource = 'rejected_files'
group by
    rejected.file_name, rejected.file_sha256, rejected.line, rejected."column", rejected.reason,
    rejected.load_id
