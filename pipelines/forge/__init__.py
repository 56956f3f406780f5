"""Forge app resource usage: how Atlassian is asked, and what it answers."""
