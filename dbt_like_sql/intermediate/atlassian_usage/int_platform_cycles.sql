-- One row per organization, meter and day on which a reading of the meters API says that its billing
-- cycle began: the cycle that it is of. A later reading may say that the cycle began on another day; it
-- is the same cycle where it began before the readings before it, and its total is no less than theirs.
-- Then it began on the first of these days, and ends as was said last.
-- grain: org_id, meter, told_start
with told as (
    select
        reading.org_id, reading.meter, date_trunc('day', reading.cycle_start) as told_start,
        min(reading.cycle_start) as began_at,
        max(reading.read_at) as last_read_at,
        arg_max(reading.quantity, reading.read_at) as quantity,
        arg_max(date_trunc('day', reading.cycle_end), reading.read_at) as told_end
    from staging.stg_atlassian__readings as reading
    where reading.user_id is null
    group by reading.org_id, reading.meter, date_trunc('day', reading.cycle_start)
),

compared as (
    select
        told.*,
        coalesce(
            told.began_at > lag(told.last_read_at) over in_order
            or told.quantity < lag(told.quantity) over in_order,
            true
        ) as is_another
    from told
    window in_order as (partition by told.org_id, told.meter order by told.last_read_at)
),

numbered as (
    select
        compared.*,
        count(*) filter (where compared.is_another) over (
            partition by compared.org_id, compared.meter order by compared.last_read_at
        ) as number
    from compared
)

select
    numbered.org_id, numbered.meter, numbered.told_start,
    cast(min(numbered.told_start) over same_cycle as timestamptz) as cycle_start, -- UTC day, its first
    cast(max_by(numbered.told_end, numbered.last_read_at) over same_cycle as timestamptz)
        as cycle_end -- UTC day on which the allowance renews next
from numbered
window same_cycle as (partition by numbered.org_id, numbered.meter, numbered.number)
