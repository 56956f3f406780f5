"""Exported Atlassian platform usage: files that an admin drops."""
