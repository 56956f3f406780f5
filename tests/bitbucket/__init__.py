"""Bitbucket."""
