"""ASK: what vendors answered, as they answered it, into raw.*."""
