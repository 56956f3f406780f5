"""Builds models that are plain SELECTs: parsing, windows, checks, lineage, the warehouse file."""
