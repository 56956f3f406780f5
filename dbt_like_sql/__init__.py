"""WORK OUT: tables from tables, as plain SELECTs; the only place that computes usage or cost."""
