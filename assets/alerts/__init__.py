"""Telling people, who do not look, that something needs them: by a webhook and by mail."""
