-- One row per owner of something that was used: teams, customers, products and environments as the rules
-- of seeds.owners name them, and 'unassigned' for what no rule matches.
-- grain: owner_key
select
    owner.owner_key,
    min(owner.team) as team, -- as the rule says; null: it does not
    min(owner.customer) as customer, -- as the rule says; null: it does not
    min(owner.product) as product, -- as the rule says; null: it does not
    min(owner.environment) as environment, -- as the rule says; null: it does not
    cast(bool_or(owner.split_by is not null) as boolean)
        as is_shared, -- true: its cost, or some of it, is split among the others
    min(owner.first_day) as first_used_date, -- first UTC day with usage
    max(owner.last_day) as last_used_date -- last UTC day with usage
from marts.series_owners as owner
group by owner.owner_key
