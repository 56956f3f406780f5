"""Exported platform usage."""
