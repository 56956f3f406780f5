-- Budgets of seeds.monthly_budgets in this UTC month: what is spent so far, where that will end, and which
-- threshold it has passed. A budget is of all that its patterns match, by id or name, as in seeds.owners;
-- a team or customer has its part of shared cost too. All of it is an estimate. The forecast is that of
-- reports.forecast, in the ratio of what is spent; where a meter has none, what is spent. A budget without
-- an amount fails a check, and a threshold that is no number or above 10, as 80 for 80 % is; all of the
-- amount stands for one that is no number.
-- grain: budget, scope, amount_usd, thresholds
-- check: coalesce(spent_share, 0) <= 1
-- check: amount_usd > 0
-- check: array_length(list_filter(string_split(thresholds, ';'), lambda it: coalesce(try_cast(it as double), 11) > 10)) = 0
with lines as (
    select
        cost.source, cost.org_id, org.org_name, cost.project_id, project.project_name,
        owner.team, owner.customer, cost.cost,
        cast(cast(cost.cost as double) * coalesce(
            cast(forecast.straight_line_cost as double) / nullif(cast(sum(cost.cost) over (
                partition by cost.source, cost.org_id, cost.meter, cost.unit
            ) as double), 0), 1
        ) as decimal(38, 9)) as forecast_cost
    from reports.cost_by_owner as cost
    inner join marts.dim_owner as owner on cost.owner_key = owner.owner_key
    left join marts.dim_org as org on cost.source = org.source and cost.org_id = org.org_id
    left join marts.dim_project as project
        on cost.source = project.source and cost.project_id = project.project_id
        and cost.org_id is not distinct from project.org_id
    left join reports.forecast as forecast
        on cost.source = forecast.source and cost.org_id is not distinct from forecast.org_id
        and cost.meter = forecast.meter and cost.unit is not distinct from forecast.unit
    where cost.period_month = date_trunc('month', current_date)
),

budgets as (
    select distinct
        budget.budget, budget.amount_usd, coalesce(budget.thresholds, '1') as thresholds,
        concat_ws(
            ', ', 'source=' || budget.source, 'org=' || budget.org, 'project=' || budget.project,
            'team=' || budget.team, 'customer=' || budget.customer
        ) as scope,
        -- as of the rules of owners
        lower(translate(replace(replace(replace(concat_ws(
            chr(31), coalesce(budget.source, ''), coalesce(budget.org, ''),
            coalesce(budget.project, ''), coalesce(budget.team, ''), coalesce(budget.customer, '')
        ), '!', '!!'), '%', '!%'), '_', '!_'), '*?', '%_')) as patterns,
        nullif(split_part(patterns, chr(31), 1), '') as source,
        nullif(split_part(patterns, chr(31), 2), '') as org,
        nullif(split_part(patterns, chr(31), 3), '') as project,
        nullif(split_part(patterns, chr(31), 4), '') as team,
        nullif(split_part(patterns, chr(31), 5), '') as customer
    from seeds.monthly_budgets as budget
    where coalesce(budget.valid_from_date <= date_trunc('month', current_date), true)
        and coalesce(budget.valid_until_date > date_trunc('month', current_date), true)
),

spent as (
    select
        budget.budget, budget.scope, budget.amount_usd, budget.thresholds,
        -- what is cut off at 18 places would leave what is spent below its threshold
        cast(sum(line.cost) as decimal(38, 12)) as cost, sum(line.forecast_cost) as forecast_cost,
        list_transform(
            string_split(budget.thresholds, ';'),
            lambda share: coalesce(try_cast(share as decimal(9, 4)), 1)
        ) as shares,
        cast(budget.amount_usd as decimal(23, 4)) as amount
    from budgets as budget
    left join lines as line
        on (budget.source is null or lower(line.source) like budget.source escape '!')
        and (budget.org is null or lower(line.org_id) like budget.org escape '!'
            or lower(line.org_name) like budget.org escape '!')
        and (budget.project is null or lower(line.project_id) like budget.project escape '!'
            or lower(line.project_name) like budget.project escape '!')
        and (budget.team is null or lower(line.team) like budget.team escape '!')
        and (budget.customer is null or lower(line.customer) like budget.customer escape '!')
    group by budget.budget, budget.scope, budget.amount_usd, budget.thresholds
)

select
    spent.budget, -- its name
    nullif(spent.scope, '') as scope, -- what it is of; null: everything
    cast(date_trunc('month', current_date) as date) as period_month, -- first of the UTC month
    spent.amount_usd, -- of a month
    spent.thresholds, -- shares of the amount that are told of
    cast(spent.cost as decimal(38, 2)) as cost, -- US dollars so far; null: nothing with a price
    cast(cast(spent.cost as double) / nullif(cast(spent.amount as double), 0) as double)
        as spent_share, -- of the amount; 1: all of it
    cast(spent.forecast_cost as decimal(38, 2))
        as forecast_cost, -- US dollars at the end of the month, as so far
    cast(list_max(list_filter(spent.shares, lambda share: spent.cost >= share * spent.amount))
        as double) as passed_threshold, -- the highest that is passed; null: none is
    cast(list_max(list_filter(
        spent.shares, lambda share: spent.forecast_cost >= share * spent.amount
    )) as double) as forecast_threshold -- the highest that will be, as so far; null: none
from spent
