"""Tests: known truth, real parts, and every bug that R² cannot see."""
