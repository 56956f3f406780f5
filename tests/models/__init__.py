"""What the SQL makes of what landed."""
