"""WORK OUT: tables from tables, as plain SELECTs; the only place that computes usage or cost.

A table's name is its file: marts.fct_compute is marts/fct_compute.sql. Not here: asking vendors.
"""
