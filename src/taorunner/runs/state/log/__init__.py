"""The console log of a run: written, read, masked."""
