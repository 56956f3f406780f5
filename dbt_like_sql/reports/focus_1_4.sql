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
    charge.AvailabilityZone, charge.BilledCost, charge.BillingAccountId, charge.BillingAccountName,
    charge.BillingAccountType, charge.BillingCurrency, charge.BillingPeriodEnd,
    charge.BillingPeriodStart, charge.CapacityReservationId, charge.CapacityReservationStatus,
    charge.ChargeCategory, charge.ChargeClass, charge.ChargeDescription, charge.ChargeFrequency,
    charge.ChargePeriodEnd, charge.ChargePeriodStart, charge.CommitmentDiscountCategory,
    charge.CommitmentDiscountId, charge.CommitmentDiscountName, charge.CommitmentDiscountQuantity,
    charge.CommitmentDiscountStatus, charge.CommitmentDiscountType, charge.CommitmentDiscountUnit,
    cast(null as varchar) as CommitmentProgramEligibilityDetails, -- null: there are none
    charge.ConsumedQuantity, charge.ConsumedUnit,
    cast(null as varchar) as ContractApplied, -- null: contracts are not known
    charge.ContractedCost, charge.ContractedUnitPrice, charge.EffectiveCost,
    cast(null as varchar) as HostProviderName, -- null: vendors do not say; RegionId names a cloud
    cast(null as varchar) as InvoiceDetailId, -- null: estimates are on no invoice
    charge.InvoiceId,
    charge.InvoiceIssuerName, -- as ServiceProviderName
    charge.ListCost, charge.ListUnitPrice, charge.PricingCategory, charge.PricingCurrency,
    charge.PricingCurrencyContractedUnitPrice, charge.PricingCurrencyEffectiveCost,
    charge.PricingCurrencyListUnitPrice, charge.PricingQuantity, charge.PricingUnit, charge.RegionId,
    charge.RegionName, charge.ResourceId, charge.ResourceName, charge.ResourceType,
    charge.ServiceCategory, charge.ServiceName, charge.ProviderName as ServiceProviderName,
    charge.ServiceSubcategory, charge.SkuId, charge.SkuMeter, charge.SkuPriceDetails,
    charge.SkuPriceId, charge.SubAccountId, charge.SubAccountName, charge.SubAccountType,
    charge.Tags, charge.x_series_key, charge.x_source, charge.x_meter, charge.x_plan,
    charge.x_granularity, charge.x_environment_id, charge.x_is_included, charge.x_tier_floor,
    charge.x_is_estimate, charge.x_price_certainty, charge.x_is_open
from reports.focus_1_2 as charge
