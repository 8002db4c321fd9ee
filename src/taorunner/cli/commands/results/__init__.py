"""The subcommands of ``runs`` that change what is there."""
