-- Budgets, if the month is the one that was under way at the build: the one that is spent furthest first.
select
    budget.budget, budget.scope, cast(budget.amount_usd as double) as amount,
    cast(budget.cost as double) as cost, budget.spent_share,
    cast(budget.forecast_cost as double) as forecast, budget.passed_threshold,
    budget.forecast_threshold
from reports.budgets as budget
where budget.period_month = $month
order by budget.spent_share desc nulls last
