create schema raw;
create schema meta;
CREATE TABLE meta.builds(
    model VARCHAR,
    fingerprint VARCHAR,
    built_at TIMESTAMP WITH TIME ZONE,
    through_landed_at TIMESTAMP WITH TIME ZONE
);
CREATE TABLE raw._dlt_loads(
    load_id VARCHAR NOT NULL,
    schema_name VARCHAR,
    status BIGINT NOT NULL,
    inserted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    schema_version_hash VARCHAR
);
CREATE TABLE raw._dlt_version(
    "version" BIGINT NOT NULL,
    engine_version BIGINT NOT NULL,
    inserted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    schema_name VARCHAR NOT NULL,
    version_hash VARCHAR NOT NULL,
    "schema" VARCHAR NOT NULL
);
CREATE TABLE raw.bitbucket_pipeline_runs(
    workspace_uuid VARCHAR,
    repository_uuid VARCHAR,
    run_uuid VARCHAR,
    build_number BIGINT,
    created_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    state VARCHAR,
    result VARCHAR,
    build_seconds_used BIGINT,
    "trigger" VARCHAR,
    target_ref VARCHAR,
    extra VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.bitbucket_repositories(
    workspace_uuid VARCHAR,
    repository_uuid VARCHAR,
    slug VARCHAR,
    full_name VARCHAR,
    "name" VARCHAR,
    size_bytes BIGINT,
    is_private BOOLEAN,
    created_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.bitbucket_workspaces(
    workspace_uuid VARCHAR,
    slug VARCHAR,
    "name" VARCHAR,
    is_private BOOLEAN,
    created_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.forge_app_usage(
    app_id VARCHAR,
    resource VARCHAR,
    period VARCHAR,
    resolution VARCHAR,
    tokens_consumed DECIMAL(38,18),
    token_unit VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.forge_environment_usage(
    app_id VARCHAR,
    resource VARCHAR,
    period VARCHAR,
    resolution VARCHAR,
    tokens_consumed DECIMAL(38,18),
    token_unit VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    environment_id VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.forge_site_environment_usage(
    app_id VARCHAR,
    resource VARCHAR,
    period VARCHAR,
    resolution VARCHAR,
    tokens_consumed DECIMAL(38,18),
    token_unit VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    site_id VARCHAR,
    environment_id VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.forge_site_usage(
    app_id VARCHAR,
    resource VARCHAR,
    period VARCHAR,
    resolution VARCHAR,
    tokens_consumed DECIMAL(38,18),
    token_unit VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    site_id VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.loads(
    load_id VARCHAR,
    "source" VARCHAR,
    resource VARCHAR,
    granularity VARCHAR,
    "scope" VARCHAR,
    window_start TIMESTAMP WITH TIME ZONE,
    window_end TIMESTAMP WITH TIME ZONE,
    asked_at TIMESTAMP WITH TIME ZONE,
    "rows" BIGINT,
    pages BIGINT,
    complete BOOLEAN,
    landed_at TIMESTAMP WITH TIME ZONE
);
CREATE TABLE raw.neon_account_usage(
    period_id VARCHAR,
    period_plan VARCHAR,
    period_start TIMESTAMP WITH TIME ZONE,
    period_end TIMESTAMP WITH TIME ZONE,
    timeframe_start TIMESTAMP WITH TIME ZONE,
    timeframe_end TIMESTAMP WITH TIME ZONE,
    metric_name VARCHAR,
    "value" DECIMAL(38,9),
    extra VARCHAR,
    org_id VARCHAR,
    granularity VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.neon_branch_usage(
    project_id VARCHAR,
    branch_id VARCHAR,
    period_id VARCHAR,
    period_plan VARCHAR,
    period_start TIMESTAMP WITH TIME ZONE,
    period_end TIMESTAMP WITH TIME ZONE,
    timeframe_start TIMESTAMP WITH TIME ZONE,
    timeframe_end TIMESTAMP WITH TIME ZONE,
    metric_name VARCHAR,
    "value" DECIMAL(38,9),
    extra VARCHAR,
    org_id VARCHAR,
    granularity VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.neon_branches(
    org_id VARCHAR,
    project_id VARCHAR,
    branch_id VARCHAR,
    parent_id VARCHAR,
    "name" VARCHAR,
    current_state VARCHAR,
    logical_size DECIMAL(38,9),
    is_default BOOLEAN,
    is_protected BOOLEAN,
    expires_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.neon_organizations(
    org_id VARCHAR,
    "name" VARCHAR,
    handle VARCHAR,
    plan VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.neon_project_usage(
    project_id VARCHAR,
    period_id VARCHAR,
    period_plan VARCHAR,
    period_start TIMESTAMP WITH TIME ZONE,
    period_end TIMESTAMP WITH TIME ZONE,
    timeframe_start TIMESTAMP WITH TIME ZONE,
    timeframe_end TIMESTAMP WITH TIME ZONE,
    metric_name VARCHAR,
    "value" DECIMAL(38,9),
    extra VARCHAR,
    org_id VARCHAR,
    granularity VARCHAR,
    bucket_start TIMESTAMP WITH TIME ZONE,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.neon_projects(
    org_id VARCHAR,
    project_id VARCHAR,
    "name" VARCHAR,
    region_id VARCHAR,
    pg_version INTEGER,
    history_retention_seconds BIGINT,
    synthetic_storage_size DECIMAL(38,9),
    deleted_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE,
    extra VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.platform_usage(
    contract_version VARCHAR,
    org_id VARCHAR,
    usage_type VARCHAR,
    app VARCHAR,
    scope_type VARCHAR,
    scope_id VARCHAR,
    period_start TIMESTAMP WITH TIME ZONE,
    period_end TIMESTAMP WITH TIME ZONE,
    granularity VARCHAR,
    quantity DECIMAL(38,9),
    unit VARCHAR,
    included_quantity DECIMAL(38,9),
    extra_usage_limit DECIMAL(38,9),
    forecast_quantity DECIMAL(38,9),
    allowance_reset_at TIMESTAMP WITH TIME ZONE,
    is_final BOOLEAN,
    exported_at TIMESTAMP WITH TIME ZONE,
    exported_by VARCHAR,
    "source" VARCHAR,
    file_name VARCHAR,
    file_sha256 VARCHAR,
    line INTEGER,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.platform_usage_files(
    file_name VARCHAR,
    file_sha256 VARCHAR,
    load_id VARCHAR,
    page INTEGER
);
CREATE TABLE raw.rejected_files(
    file_name VARCHAR,
    file_sha256 VARCHAR,
    line INTEGER,
    "column" VARCHAR,
    reason VARCHAR,
    found_at TIMESTAMP WITH TIME ZONE,
    load_id VARCHAR,
    page INTEGER
);
