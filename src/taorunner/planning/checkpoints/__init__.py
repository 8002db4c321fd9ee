"""Which weights there are: the files of checkpoints, and the one that is meant."""
