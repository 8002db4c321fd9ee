"""Rules for the specs of a training. One function per rule, without places."""
