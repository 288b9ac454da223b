"""Thin Dagster: where the rooms meet."""
