"""Sweeps: searches over the spec keys of an experiment. A trial is an ordinary run in the ordinary queue."""
