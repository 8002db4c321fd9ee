"""A backend for tests whose engine takes the machine away from a run, and starts the run again."""
