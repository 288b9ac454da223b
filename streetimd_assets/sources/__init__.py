"""The only room that asks the outside world for data."""
