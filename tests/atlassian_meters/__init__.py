"""Atlassian's meters API: how it is declared, asked, and what comes of readings."""
