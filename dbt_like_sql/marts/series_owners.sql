-- Who owns what each series used: the first rule of seeds.owners that matches, by id or current name, on
-- the day on which it was used; else 'unassigned'. A series has one row per UTC month, and more where
-- rules begin or end within it: join on series_key, the month, and the day between since_at and until_at.
-- grain: series_key, since_at
-- check: owner_key is not null
-- window: period_month, by month
with matched as (
    select
        series.*, rule.owner_text, rule.split_by,
        coalesce(org.name, series.org_id, '') as org_shown,
        coalesce(project.name, series.project_id, '') as project_shown,
        coalesce(branch.name, series.branch_id, '') as branch_shown,
        coalesce(site.name, series.site_id, '') as site_shown,
        coalesce(person.name, series.user_id, '') as user_shown
    from intermediate.int_series as series
    left join intermediate.int_owner_names as org
        on org.kind = 'org' and series.source = org.source and series.org_id = org.thing_id
    left join intermediate.int_owner_names as project
        on project.kind = 'project' and series.source = project.source
        and series.project_id = project.thing_id
        and series.org_id is not distinct from project.org_id
    left join intermediate.int_owner_names as branch
        on branch.kind = 'branch' and series.source = branch.source
        and series.branch_id = branch.thing_id and series.org_id = branch.org_id
    left join intermediate.int_owner_names as site
        on site.kind = 'site' and series.source = site.source and series.site_id = site.thing_id
    left join intermediate.int_owner_names as person
        on person.kind = 'user' and series.source = person.source
        and series.user_id = person.thing_id
    left join intermediate.int_owner_rules as rule
        on (rule.source_pattern is null or lower(series.source) like rule.source_pattern escape '!')
        and (rule.org_pattern is null or lower(series.org_id) like rule.org_pattern escape '!'
            or lower(org.name) like rule.org_pattern escape '!')
        and (rule.project_pattern is null or lower(series.project_id) like rule.project_pattern escape '!'
            or lower(project.name) like rule.project_pattern escape '!')
        and (rule.branch_pattern is null or lower(series.branch_id) like rule.branch_pattern escape '!'
            or lower(branch.name) like rule.branch_pattern escape '!')
        and (rule.site_pattern is null or lower(series.site_id) like rule.site_pattern escape '!'
            or lower(site.name) like rule.site_pattern escape '!')
        and (rule.user_pattern is null or lower(series.user_id) like rule.user_pattern escape '!'
            or lower(person.name) like rule.user_pattern escape '!')
        and coalesce(rule.valid_from_date <= cast(series.since_at as date), true)
        and coalesce(rule.valid_until_date > cast(series.since_at as date), true)
    where series.family is not null
    qualify row_number() over (
        partition by series.series_key, series.since_at order by rule.rule_number
    ) = 1
),

parted as (
    select
        matched.*,
        replace(replace(replace(replace(replace(replace(
            matched.owner_text, '{source}', matched.source), '{org}', matched.org_shown),
            '{project}', matched.project_shown), '{branch}', matched.branch_shown),
            '{site}', matched.site_shown), '{user}', matched.user_shown
        ) as owner,
        nullif(split_part(owner, chr(31), 1), '') as team,
        nullif(split_part(owner, chr(31), 2), '') as customer,
        nullif(split_part(owner, chr(31), 3), '') as product,
        nullif(split_part(owner, chr(31), 4), '') as environment
    from matched
)

select
    parted.series_key,
    cast(parted.month_start as date) as period_month, -- first of the UTC month
    parted.since_at, parted.until_at,
    cast(coalesce(nullif(concat_ws(
        ', ', 'team=' || parted.team, 'customer=' || parted.customer,
        'product=' || parted.product, 'environment=' || parted.environment
    ), ''), 'unassigned') as varchar)
        as owner_key, -- what its rule says, as one text: team=data, customer=acme; or unassigned
    cast(parted.team as varchar) as team, -- as the rule says; null: it does not
    cast(parted.customer as varchar) as customer, -- as the rule says; null: it does not
    cast(parted.product as varchar) as product, -- as the rule says; null: it does not
    cast(parted.environment as varchar) as environment, -- as the rule says; null: it does not
    parted.split_by,
    cast(parted.first_day as date) as first_day,
    cast(parted.last_day as date) as last_day
from parted
