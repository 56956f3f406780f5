"""What vendors may do wrong, every kind of it at every endpoint: the fault matrix."""
