"""What classes with fields are made of."""
