"""HTML pages: where they are put, and what the Dagster UI says of them."""

import hashlib
from typing import Any

import dagster as dg

from streetimd_assets.defs.house import House
from streetimd_assets.store.files import written_whole


def page_result(
    house: House, asset: str, page: str, local_authority: str | None = None, **metadata: Any
) -> dg.MaterializeResult:
    """Put a page in place whole and say where."""
    path = house.page(asset, local_authority)
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.url(house.page_url(path)),
            "path": dg.MetadataValue.path(str(path)),
            "n_bytes": len(page.encode()),
            **metadata,
        },
        data_version=dg.DataVersion(hashlib.sha256(page.encode()).hexdigest()),
    )
