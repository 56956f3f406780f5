"""Bitbucket Cloud: how it is asked, and what it answers."""
