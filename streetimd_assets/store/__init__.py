"""The only room that opens DuckDB."""

from streetimd_assets.store.opening import OpenStudy, open_study

__all__ = ["OpenStudy", "open_study"]
