-- What has a price, as FOCUS 1.2 Cost and Usage: one row per series, UTC day (or longer period) and part
-- of its price. Estimates: no invoice says so. What has no price is in reports.focus_gaps alone.
-- Columns and what they may hold are those of the specification, our own begin with x_;
-- docs/focus-mapping.md says what becomes what. A view of published tables: nothing is stored for it.
-- grain: x_series_key, x_granularity, ChargePeriodStart, x_is_included, x_tier_floor, ContractedUnitPrice
-- window: ChargePeriodStart
-- materialized: view
with priced as (
    select
        cost.*, service.service_name, service.service_category, service.service_subcategory,
        service.billing_account_type, service.project_type, service.site_type,
        coalesce(service.provider_name, cost.source) as provider_name,
        coalesce(consumed.focus_unit, cost.unit) as consumed_unit,
        coalesce(sold.focus_unit, cost.billed_unit) as pricing_unit,
        coalesce(cost.list_unit_price, cost.unit_price) as list_price,
        date_trunc('month', cost.day_start at time zone 'UTC') as month,
        coalesce(service.sub_account, 'project') as account_kind,
        case when service.sub_account = 'site' then cost.site_id else cost.project_id
        end as account_id,
        case when cost.branch_id is not null then 'branch'
            when cost.user_id is not null then 'user'
            when cost.site_id is null then 'project'
            when service.sub_account = 'site' and cost.project_id is not null then 'project'
            else 'site' end as resource_kind,
        coalesce(cost.branch_id, cost.user_id, case when service.sub_account = 'site'
            then coalesce(cost.project_id, cost.site_id)
            else coalesce(cost.site_id, cost.project_id) end) as resource_id
    from marts.fct_cost_by_day as cost
    left join seeds.focus_services as service
        on cost.source = service.source and cost.meter = service.meter
    left join seeds.focus_units as consumed on cost.unit = consumed.unit
    left join seeds.focus_units as sold on cost.billed_unit = sold.unit
    where cost.unpriced_reason is null
),

named as (
    select
        priced.*, org.name as org_name, account.name as account_name,
        resource.name as resource_name, account.region_id,
        -- a patch leaves out what is null; as text, which the specification wants
        cast(json_merge_patch(json('{}'), json_object(
            'team', owner.team, 'customer', owner.customer, 'product', owner.product,
            'environment', owner.environment
        )) as varchar) as tags
    from priced
    left join marts.series_owners as owner
        on priced.series_key = owner.series_key
        and date_trunc('month', priced.period_date) = owner.period_month
        and priced.day_start >= owner.since_at and priced.day_start < owner.until_at
    left join marts.dim_name as org
        on org.kind = 'org' and priced.source = org.source and priced.org_id = org.thing_id
    left join marts.dim_name as account
        on priced.account_kind = account.kind and priced.source = account.source
        and priced.account_id = account.thing_id
        and (priced.org_id is not distinct from account.org_id or account.kind = 'site')
    left join marts.dim_name as resource
        on priced.resource_kind = resource.kind and priced.source = resource.source
        and priced.resource_id = resource.thing_id
        and (priced.org_id is not distinct from resource.org_id
            or resource.kind in ('site', 'user'))
)

select
    cast(null as varchar) as AvailabilityZone, -- null: no vendor meters by zone
    named.cost as BilledCost, -- US dollars; 0 where an allowance covers it; an estimate
    coalesce(named.org_id, named.project_id)
        as BillingAccountId, -- the organization; of what names none (Forge) the app
    coalesce(named.org_name, named.org_id, named.project_id)
        as BillingAccountName, -- its current name, else its id
    coalesce(named.billing_account_type, 'Organization')
        as BillingAccountType, -- Organization, App or Workspace
    'USD' as BillingCurrency, -- prices are in US dollars
    (named.month + interval '1' month) at time zone 'UTC'
        as BillingPeriodEnd, -- first instant of the next UTC month
    named.month at time zone 'UTC' as BillingPeriodStart, -- UTC month in which the charge begins
    cast(null as varchar) as CapacityReservationId, -- null: there are none
    cast(null as varchar) as CapacityReservationStatus, -- null: there are none
    'Usage' as ChargeCategory, -- always Usage: subscriptions, taxes and credits are not metered
    cast(null as varchar) as ChargeClass, -- null: a correction replaces the row that it corrects
    concat(
        coalesce(named.invoice_line, named.meter),
        case when named.is_included then ', covered by an allowance' else '' end
    ) as ChargeDescription, -- line of the invoice, and whether an allowance covers it
    'Usage-Based' as ChargeFrequency, -- always Usage-Based
    greatest(named.period_end, named.day_start + interval '24' hour)
        as ChargePeriodEnd, -- end of the UTC day, or of the longer period; exclusive
    named.day_start as ChargePeriodStart, -- start of the UTC day on which the period begins
    cast(null as varchar) as CommitmentDiscountCategory, -- null: there are none
    cast(null as varchar) as CommitmentDiscountId, -- null: there are none
    cast(null as varchar) as CommitmentDiscountName, -- null: there are none
    cast(null as decimal(38, 18)) as CommitmentDiscountQuantity, -- null: there are none
    cast(null as varchar) as CommitmentDiscountStatus, -- null: there are none
    cast(null as varchar) as CommitmentDiscountType, -- null: there are none
    cast(null as varchar) as CommitmentDiscountUnit, -- null: there are none
    named.quantity as ConsumedQuantity, -- as metered, in ConsumedUnit
    named.consumed_unit as ConsumedUnit, -- the vendor's unit, written as FOCUS writes units
    named.cost as ContractedCost, -- ContractedUnitPrice times PricingQuantity
    named.unit_price as ContractedUnitPrice, -- what you pay; of what is included 0
    named.cost as EffectiveCost, -- as BilledCost: nothing is amortized
    cast(null as varchar) as InvoiceId, -- null: estimates are on no invoice
    named.provider_name as InvoiceIssuerName, -- as ProviderName
    coalesce(named.list_cost, named.cost) as ListCost, -- as if nothing were included
    named.list_price as ListUnitPrice, -- as listed; what you pay where nothing is listed
    'Standard' as PricingCategory, -- always Standard
    'USD' as PricingCurrency, -- US dollars, of credits too: these are units
    named.unit_price as PricingCurrencyContractedUnitPrice, -- as ContractedUnitPrice
    named.cost as PricingCurrencyEffectiveCost, -- as EffectiveCost
    named.list_price as PricingCurrencyListUnitPrice, -- as ListUnitPrice
    named.billed_quantity as PricingQuantity, -- in PricingUnit; whole blocks where these are sold
    named.pricing_unit as PricingUnit, -- what it is sold by, written as FOCUS writes units
    named.provider_name as ProviderName, -- the vendor, as seeds.focus_services names it
    named.provider_name as PublisherName, -- as ProviderName
    named.region_id as RegionId, -- cloud and region; null where the vendor names none
    named.region_id as RegionName, -- as RegionId
    named.resource_id as ResourceId, -- the least thing that is known to have used it
    named.resource_name as ResourceName, -- its current name; null: it has none, or none is known
    case when named.resource_id is null then null
        when named.resource_kind = 'branch' then 'Branch'
        when named.resource_kind = 'user' then 'User'
        when named.resource_kind = 'site' then named.site_type else named.project_type
    end as ResourceType, -- Branch, User, Site, Workspace, Repository, Project or App
    coalesce(named.service_category, 'Other') as ServiceCategory, -- of seeds.focus_services
    coalesce(named.service_name, named.source) as ServiceName, -- of seeds.focus_services
    coalesce(named.service_subcategory, 'Other (Other)')
        as ServiceSubcategory, -- of seeds.focus_services
    named.sku as SkuId, -- as seeds.price_book names what is sold
    named.meter as SkuMeter,
    cast(null as varchar) as SkuPriceDetails, -- null: x_plan and x_tier_floor say it
    concat_ws(
        '/', named.sku, lower(named.plan), rtrim(rtrim(cast(named.list_price as varchar), '0'), '.')
    ) as SkuPriceId, -- SkuId, plan and list price
    named.account_id as SubAccountId, -- project, app, site or workspace; null: of the account
    coalesce(named.account_name, named.account_id)
        as SubAccountName, -- its current name, else its id
    case when named.account_id is null then null
        when named.account_kind = 'site' then named.site_type else named.project_type
    end as SubAccountType, -- Project, App, Site or Workspace
    nullif(named.tags, '{}')
        as Tags, -- who owns it: team, customer, product, environment; null: unassigned
    named.series_key as x_series_key, named.source as x_source, named.meter as x_meter,
    named.plan as x_plan, named.granularity as x_granularity,
    named.environment_id as x_environment_id, named.is_included as x_is_included,
    named.tier_floor as x_tier_floor,
    true as x_is_estimate, -- worked out of usage and prices; no invoice says so
    named.price_certainty as x_price_certainty, named.is_open as x_is_open
from named
