"""The SQL models and what builds them."""
