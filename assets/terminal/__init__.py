"""The terminal: what its commands run, and how that is shown."""
