"""``sweep`` and its subcommands."""
