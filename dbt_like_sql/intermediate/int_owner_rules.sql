-- The rules of seeds.owners in the order in which they are tried: the lowest priority first, and of equal
-- ones the first in the alphabet. Patterns are in small letters, as LIKE has them, with ! before what
-- stands for itself.
-- grain: rule_number
-- check: priority_number is not null
-- check: split_by is null or split_by in ('even', 'cost')
-- check: valid_until_date is null or valid_from_date is null or valid_from_date < valid_until_date
with rules as (
    select
        rule.*,
        -- all at once; for LIKE, and not for GLOB, of which ? is one byte, and é is two
        lower(translate(replace(replace(replace(concat_ws(
            chr(31), coalesce(rule.source, ''), coalesce(rule.org, ''), coalesce(rule.project, ''),
            coalesce(rule.branch, ''), coalesce(rule.site, ''), coalesce(rule.user, '')
        ), '!', '!!'), '%', '!%'), '_', '!_'), '*?', '%_')) as patterns
    from seeds.owners as rule
)

select
    cast(row_number() over (
        order by
            try_cast(rule.priority as integer), rule.team, rule.customer, rule.product,
            rule.environment, rule.source, rule.org, rule.project, rule.branch, rule.site,
            rule.user, rule.valid_from_date, rule.valid_until_date, rule.split_by
    ) as bigint) as rule_number, -- 1: tried first
    -- a cast alone would round
    case when try_cast(rule.priority as decimal(18, 9)) = try_cast(rule.priority as integer)
        then try_cast(rule.priority as integer) end as priority_number, -- the lowest is tried first
    nullif(split_part(rule.patterns, chr(31), 1), '') as source_pattern, -- null: any
    nullif(split_part(rule.patterns, chr(31), 2), '') as org_pattern, -- null: any, or none
    nullif(split_part(rule.patterns, chr(31), 3), '') as project_pattern, -- null: any, or none
    nullif(split_part(rule.patterns, chr(31), 4), '') as branch_pattern, -- null: any, or none
    nullif(split_part(rule.patterns, chr(31), 5), '') as site_pattern, -- null: any, or none
    nullif(split_part(rule.patterns, chr(31), 6), '') as user_pattern, -- null: any, or none
    rule.valid_from_date, -- first UTC day on which it holds; null: always did
    rule.valid_until_date, -- first UTC day on which it holds no more; null: it does
    concat_ws(
        chr(31), coalesce(rule.team, ''), coalesce(rule.customer, ''),
        coalesce(rule.product, ''), coalesce(rule.environment, '')
    ) as owner_text, -- team, customer, product and environment, between unit separators
    lower(rule.split_by) as split_by -- even or cost: it is shared; null: it is the owner's
from rules as rule
