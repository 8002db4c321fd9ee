"""What is shown of datasets: checks, conversions, splits and counts."""
