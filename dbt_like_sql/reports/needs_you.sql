-- One row per thing that somebody has to look after, as of the build, and what to do. It is the one list
-- that is read wherever people are told: a cause is added here, as one more branch.
-- grain: kind, source, subject
with found as (
    select
        'late' as kind, late.source, late.source as subject, true as is_failure,
        concat('nothing newer was told, of ', late.scope, ' for one') as what,
        late.late_at as since_at, cast(null as timestamptz) as too_late_at,
        'Run `meterhouse run`, and see why it fails, or why no schedule runs it.' as what_to_do
    from reports.freshness as late
    where late.verdict = 'late'
    union all
    select
        'never answered', scope.source, scope.resource, true,
        concat(count(*), ' of it never answered, ', min(scope.scope), ' for one'),
        min(scope.seen_at), null, 'Run `meterhouse run`, and see why they fail.'
    from staging.stg_loads__unanswered as scope
    group by scope.source, scope.resource
    union all
    select
        case when bool_or(span.is_at_risk) then 'at risk' else 'missing' end, span.source,
        concat(span.resource, ' ', span.granularity), bool_or(span.is_at_risk),
        concat(
            cast(sum(span.bucket_count) as bigint), ' buckets are not held, of ',
            min(span.scope), ' for one'
        ),
        min(span.span_start), min(span.lost_at), 'Run `meterhouse load --gaps`.'
    from reports.coverage as span
    where span.is_at_risk or span.state = 'missing'
    group by span.source, span.resource, span.granularity
    union all
    select
        'rejected file', 'atlassian_platform', file.file_name, true, min(file.reason),
        min(file.found_at), null, 'Mend it, or take it away: nothing of it counts.'
    from reports.rejected_files as file
    group by file.file_name
    union all
    select
        'stale export', 'atlassian_platform', concat(export.org_id, ' ', export.meter), true,
        'it was not exported for a month', export.last_exported_at, null, export.what_to_do
    from reports.export_freshness as export
    where export.is_stale
    union all
    select
        'unknown meter', meter.source, concat_ws(' ', meter.meter, meter.unit), true,
        concat('seeds/meters.csv does not know this ', meter.what_is_unknown),
        meter.first_period_start, null, 'Add a row to it, and run `meterhouse build`.'
    from reports.unmapped_meters as meter
    union all
    select
        'difference', compared.source, compared.comparison, true,
        concat(count(*), ' rows of reports.reconciliation are not as the facts'),
        min(compared.period_start), null,
        'Ask for these days again (`meterhouse load --since`), or export them again.'
    from reports.reconciliation as compared
    where not compared.is_within_tolerance
    group by compared.source, compared.comparison
    union all
    select
        'allowance', short.source,
        concat_ws(' ', short.meter, short.unit, short.owner_type, short.owner_id, short.org_id),
        false,
        concat(
            short.meter, ' of ', short.owner_name,
            case when short.is_exhausted then ' is used up'
                else concat(' will not last: as so far, it is used up on ', cast(short.exhausted_on as varchar))
            end
        ),
        cast(case when short.is_exhausted then short.exhausted_on end as timestamptz), null,
        'Use less, or expect to be charged: see reports.short_allowances.'
    from reports.short_allowances as short
    union all
    select
        'budget', 'all', concat_ws(' ', spent.budget, spent.scope), spent.spent_share > 1,
        concat(cast(round(100 * spent.spent_share) as bigint), ' % of it is spent'),
        cast(spent.period_month as timestamptz), null,
        'See reports.budgets, and reports.cost_drivers for what changed.'
    from reports.budgets as spent
    where spent.passed_threshold is not null
    union all
    select
        'unknown plan', own.source, own.plan, false,
        'price_overrides.csv has prices of it, and nothing was used under a plan of that name',
        null, null, 'Mend its name, if that is wrong: list prices hold meanwhile.'
    from intermediate.int_price_rules as own
    anti join (
        select book.source, lower(book.plan) as plan from seeds.price_book as book
        union
        select used.source, lower(used.plan) from intermediate.int_prices as used
    ) as known on own.source = known.source and lower(own.plan) = known.plan
    where own.plan is not null
    union all
    select
        'unknown org', own.source, own.org_id, false,
        concat(own.file, ' names it, and no organization of that id is known'), null, null,
        'Mend its id, if that is wrong: nothing follows from it meanwhile.'
    from (
        select 'plans.csv' as file, plan.source, plan.org_id from intermediate.int_plans as plan
        union
        select 'workspace_orgs.csv', 'atlassian_platform', lower(said.org_id)
        from seeds.workspace_orgs as said
        union
        select 'workspace_orgs.csv', 'bitbucket', lower(said.workspace_uuid)
        from seeds.workspace_orgs as said
    ) as own
    anti join marts.dim_org as org
        on own.source = org.source
        and translate(own.org_id, '{}', '') = lower(translate(org.org_id, '{}', ''))
    where own.org_id is not null
    union all
    select
        'calendar', 'all', 'seeds.calendar_days', max(day.date) < current_date,
        concat('usage after ', cast(max(day.date) as varchar), ' lands, and is in no fact'),
        null, null, 'Install a meterhouse whose calendar goes on, and run `meterhouse build`.'
    from seeds.calendar_days as day
    having max(day.date) < current_date + interval '1' year
)

select
    cast(found.kind as varchar) as kind, -- late, missing, at risk, rejected file, stale export, ...
    cast(found.source as varchar) as source, -- vendor API family
    cast(found.subject as varchar) as subject, -- what it is about, the same for as long as it lasts
    cast(found.is_failure as boolean)
        as is_failure, -- false: nothing is wrong or lost, and `meterhouse status` is exit code 0
    cast(case when found.kind in ('late', 'allowance') or starts_with(found.what, found.subject)
        then found.what else concat(found.subject, ': ', found.what)
    end as varchar) as what, -- what was found, and where: a sentence that stands alone
    cast(found.since_at as timestamptz) as since_at, -- since when, UTC; null: nobody can say
    cast(found.too_late_at as timestamptz)
        as too_late_at, -- from when on it cannot be mended, UTC; null: it always can
    cast(found.what_to_do as varchar) as what_to_do -- for the person who is on call
from found
-- two cycles of one allowance, or two amounts of one budget, are one cause: the worst is told
qualify row_number() over (
    partition by found.kind, found.source, found.subject
    order by found.is_failure desc, found.since_at nulls last, found.what
) = 1
