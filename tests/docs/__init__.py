"""What README.md, CONTRIBUTING.md and docs/ say is so."""
