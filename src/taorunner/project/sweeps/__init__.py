"""``sweeps`` of experiments.yml: the searches for better values of spec keys."""
