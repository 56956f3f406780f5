"""What Dagster shows of the warehouse: its tables, and what was done to them without Dagster."""
