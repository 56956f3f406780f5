"""DuckLake: where one is, opening it, what its files need, and how a warehouse gets into it."""
