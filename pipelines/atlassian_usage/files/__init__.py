"""Exported files: read, checked against the contract, typed."""
