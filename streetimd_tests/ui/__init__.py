"""The Dagster UI as a user meets it."""
