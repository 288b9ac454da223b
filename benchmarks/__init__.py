"""Commands that measure: ``python -m benchmarks.<name>``; the table of what they found is in README.md here."""
