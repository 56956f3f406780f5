"""Cost as FOCUS has it: by our own rules, and before judges from outside."""
