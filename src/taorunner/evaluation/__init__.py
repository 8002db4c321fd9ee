"""Compares what a network predicted with what a dataset says is there: on the host, by one measure for all networks."""
