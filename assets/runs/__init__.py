"""What a run does, for Dagster and the terminal alike: plan what is due, load it, build from it."""
