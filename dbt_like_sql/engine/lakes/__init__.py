"""DuckLake: opening a lake, what its files need, and how a warehouse gets into one and out."""
