-- What has a price, as FOCUS 1.4 Cost and Usage: the rows of reports.focus_1_2, in the columns of that
-- version. A view of published tables: nothing is stored for it.
-- grain: x_series_key, x_granularity, ChargePeriodStart, x_is_included, x_tier_floor, ContractedUnitPrice
-- window: ChargePeriodStart
-- materialized: view
select
    cast(null as varchar) as AllocatedMethodDetails, -- null: no cost is split here
    cast(null as varchar) as AllocatedMethodId, -- null: no cost is split here
    cast(null as varchar) as AllocatedResourceId, -- null: no cost is split here
    cast(null as varchar) as AllocatedResourceName, -- null: no cost is split here
    cast(null as varchar) as AllocatedTags, -- null: no cost is split here
    charge.AvailabilityZone, -- null: no vendor meters by zone
    charge.BilledCost, -- US dollars; 0 where an allowance covers it; an estimate
    charge.BillingAccountId, -- the organization; of what names none (Forge) the app
    charge.BillingAccountName, -- its current name, else its id
    charge.BillingAccountType, -- Organization, App or Workspace
    charge.BillingCurrency, -- prices are in US dollars
    charge.BillingPeriodEnd, -- first instant of the next UTC month
    charge.BillingPeriodStart, -- UTC month in which the charge begins
    charge.CapacityReservationId, -- null: there are none
    charge.CapacityReservationStatus, -- null: there are none
    charge.ChargeCategory, -- always Usage: subscriptions, taxes and credits are not metered
    charge.ChargeClass, -- null: a correction replaces the row that it corrects
    charge.ChargeDescription, -- line of the invoice, and whether an allowance covers it
    charge.ChargeFrequency, -- always Usage-Based
    charge.ChargePeriodEnd, -- end of the UTC day, or of the longer period; exclusive
    charge.ChargePeriodStart, -- start of the UTC day on which the period begins
    charge.CommitmentDiscountCategory, -- null: there are none
    charge.CommitmentDiscountId, -- null: there are none
    charge.CommitmentDiscountName, -- null: there are none
    charge.CommitmentDiscountQuantity, -- null: there are none
    charge.CommitmentDiscountStatus, -- null: there are none
    charge.CommitmentDiscountType, -- null: there are none
    charge.CommitmentDiscountUnit, -- null: there are none
    cast(null as varchar) as CommitmentProgramEligibilityDetails, -- null: there are none
    charge.ConsumedQuantity, -- as metered, in ConsumedUnit
    charge.ConsumedUnit, -- the vendor's unit, written as FOCUS writes units
    cast(null as varchar) as ContractApplied, -- null: contracts are not known
    charge.ContractedCost, -- ContractedUnitPrice times PricingQuantity
    charge.ContractedUnitPrice, -- what you pay; of what is included 0
    charge.EffectiveCost, -- as BilledCost: nothing is amortized
    cast(null as varchar) as HostProviderName, -- null: vendors do not say; RegionId names a cloud
    cast(null as varchar) as InvoiceDetailId, -- null: estimates are on no invoice
    charge.InvoiceId, -- null: estimates are on no invoice
    charge.InvoiceIssuerName, -- as ServiceProviderName
    charge.ListCost, -- as if nothing were included
    charge.ListUnitPrice, -- as listed; what you pay where nothing is listed
    charge.PricingCategory, -- always Standard
    charge.PricingCurrency, -- US dollars, of credits too: these are units
    charge.PricingCurrencyContractedUnitPrice, -- as ContractedUnitPrice
    charge.PricingCurrencyEffectiveCost, -- as EffectiveCost
    charge.PricingCurrencyListUnitPrice, -- as ListUnitPrice
    charge.PricingQuantity, -- in PricingUnit; whole blocks where these are sold
    charge.PricingUnit, -- what it is sold by, written as FOCUS writes units
    charge.RegionId, -- cloud and region; null where the vendor names none
    charge.RegionName, -- as RegionId
    charge.ResourceId, -- the least thing that is known to have used it
    charge.ResourceName, -- its current name; null: it has none, or none is known
    charge.ResourceType, -- Branch, User, Site, Workspace, Repository, Project or App
    charge.ServiceCategory, -- of seeds.focus_services
    charge.ServiceName, -- of seeds.focus_services
    charge.ProviderName as ServiceProviderName, -- the vendor, as seeds.focus_services names it
    charge.ServiceSubcategory, -- of seeds.focus_services
    charge.SkuId, -- as seeds.price_book names what is sold
    charge.SkuMeter, -- the vendor's name of what is metered
    charge.SkuPriceDetails, -- null: x_plan and x_tier_floor say it
    charge.SkuPriceId, -- SkuId, plan and list price
    charge.SubAccountId, -- project, app, site or workspace; null: of the account
    charge.SubAccountName, -- its current name, else its id
    charge.SubAccountType, -- Project, App, Site or Workspace
    charge.Tags, -- who owns it: team, customer, product, environment; null: unassigned
    charge.x_series_key, -- source, all ids, meter, unit and plan; with period_start the grain
    charge.x_source, -- vendor API family
    charge.x_meter, -- the vendor's name of what is metered
    charge.x_plan, -- as the vendor reported it
    charge.x_granularity, -- which of hourly, daily, monthly served this period
    charge.x_environment_id, -- of a Forge app
    charge.x_is_included, -- true: the allowance covers it; false: beyond it, or there is none
    charge.x_tier_floor, -- billed units beyond the allowance from which on it holds
    charge.x_is_estimate, -- worked out of usage and prices; no invoice says so
    charge.x_price_certainty, -- of the price
    charge.x_is_open -- true: one of them will still change
from reports.focus_1_2 as charge
