"""What things cost, by history and size; `make bench` prints it."""
