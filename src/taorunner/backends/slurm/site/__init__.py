"""What is asked of a Slurm site: by `clusters check`, and before a submission that would never start."""
