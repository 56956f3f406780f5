-- One row per UTC day and series whose usage counts against an allowance of a bucket or a calendar
-- month, with how much the owner of the allowance used of it on the days before. Rows of all plans count, each
-- against what its own plan includes. What renews with a billing cycle is in the vendor's own model.
-- grain: series_key, granularity, day_start
-- window: day_start, by month
with owned as (
    select
        usage.series_key, usage.granularity, usage.day_start, usage.source, usage.org_id,
        usage.meter, usage.unit, usage.plan, usage.quantity, price.allowed_per, price.owner_type,
        price.owner_column, price.period, price.included_quantity as contract_quantity,
        case price.owner_column
            when 'org_id' then usage.org_id when 'project_id' then usage.project_id
            when 'site_id' then usage.site_id when 'user_id' then usage.user_id
        end as owner_id
    from intermediate.int_usage_by_day as usage
    inner join intermediate.int_prices as price
        on usage.source = price.source and usage.meter = price.meter
        and usage.unit = price.unit and usage.plan is not distinct from price.plan
        and usage.granularity = price.granularity and usage.day_start = price.day_start
    where price.is_included and price.period <> 'cycle'
),

sized as (
    select
        owned.*, coalesce(owned.contract_quantity, allowed.quantity) as included_quantity,
        md5(cast(json_array(
            owned.source, owned.meter, owned.unit, owned.org_id, owned.owner_column,
            owned.owner_id, owned.period
        ) as varchar)) as allowance_key
    from owned
    left join seeds.allowances as allowed
        on owned.source = allowed.source and owned.meter = allowed.meter
        and owned.unit = allowed.unit and owned.allowed_per = allowed.allowed_per
        and owned.period = allowed.period
        and (allowed.plan is null or lower(owned.plan) = lower(allowed.plan))
        and coalesce(allowed.valid_from_date <= cast(owned.day_start as date), true)
        and coalesce(allowed.valid_until_date > cast(owned.day_start as date), true)
    where owned.owner_id is not null
    -- that of the plan comes first
    qualify row_number() over (
        partition by owned.series_key, owned.granularity, owned.day_start
        order by allowed.plan is null, allowed.valid_from_date desc nulls last
    ) = 1
)

select
    sized.series_key, sized.granularity, sized.day_start,
    sized.allowance_key, -- source, meter, unit, org, owner type, owner and period
    cast(sized.owner_type as varchar) as owner_type, -- org, project, workspace, site, user
    cast(sized.owner_id as varchar) as owner_id, -- whose allowance it is
    sized.period, -- bucket: each bucket has its own; month: it lasts a calendar month
    -- of a bucket: for each of its hours
    cast(sized.included_quantity as decimal(38, 9)) as included_quantity, -- null: not known
    cast(case when sized.period = 'bucket' then 0
        else sum(sized.quantity) over (
            partition by sized.allowance_key, date_trunc('month', sized.day_start)
            order by sized.day_start
        ) - sum(sized.quantity) over (partition by sized.allowance_key, sized.day_start)
    end as decimal(38, 9)) as quantity_before -- used on earlier days of the month
from sized
