"""What holds of a lake; what holds of every warehouse is tested on files."""
