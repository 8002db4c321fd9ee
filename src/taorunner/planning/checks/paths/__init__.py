"""Files and folders that specs and command lines name."""
