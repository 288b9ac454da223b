"""The study: the one file a user edits, and the local authorities and categories it names."""

from streetimd_assets.study.categories import Category, CategorySet, load_category_set
from streetimd_assets.study.local_authorities import LocalAuthority, find_local_authority
from streetimd_assets.study.model import Study
from streetimd_assets.study.reading import BUNDLED_STUDIES, load_study

__all__ = [
    "BUNDLED_STUDIES",
    "Category",
    "CategorySet",
    "LocalAuthority",
    "Study",
    "find_local_authority",
    "load_category_set",
    "load_study",
]
