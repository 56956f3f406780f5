-- The plans of seeds/plans.csv, of which each has to be one that an allowance is of: a plan that no row of
-- seeds/allowances.csv names would leave its allowance out, and one that stands twice would double it.
-- Users of one plan are one row, whatever sites they are of.
-- grain: source, org_id, meter, plan
-- check: has_an_allowance
-- check: org_id is not null
-- check: coalesce(user_count, 0) >= 0
with allowed as (
    select included.source, included.meter, lower(included.plan) as plan
    from seeds.allowances as included
    union
    select included.source, cast(null as varchar), lower(included.plan)
    from seeds.allowances as included
)

select
    listed.source, -- vendor API family
    lower(listed.org_id) as org_id, -- in small letters
    listed.meter, -- whose allowance the plan is of; null: those of all its meters
    lower(listed.plan) as plan, -- in small letters
    listed.user_count, -- users of the plan; null: its allowance is not by the user
    cast(allowed.plan is not null as boolean)
        as has_an_allowance -- true: seeds/allowances.csv has one of this plan and meter
from seeds.plans as listed
left join allowed
    on listed.source = allowed.source and lower(listed.plan) = allowed.plan
    and listed.meter is not distinct from allowed.meter
