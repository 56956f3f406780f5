"""DECIDE WHEN AND WHERE: the only importer of dagster."""
