"""What is checked of a sweep before it starts, and in ``validate``."""
