"""A world whose answers are known."""
