"""HTML pages: where they are put, and what the Dagster UI says of them."""

import hashlib
import re
from typing import Any

import dagster as dg

from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import OWNER, tags
from streetimd_assets.store.files import written_whole

_MOMENTS = re.compile("<time[ >].*?</time>")


def declared_page(house: House, group: str, *, is_partitioned: bool) -> dict[str, Any]:
    """Return what Dagster shows of every page."""
    return {
        "group_name": group,
        "owners": [OWNER],
        "kinds": {"html"},
        "tags": tags(house, is_partitioned=is_partitioned),
        "partitions_def": house.partitions if is_partitioned else None,
    }


def page_result(
    house: House, asset: str, page: str, local_authority: str | None = None, **metadata: Any
) -> dg.MaterializeResult:
    """Put a page in place whole and say where.

    Its data version leaves out what stands in ``time`` elements: made again from the same tables, a page
    is the same page.
    """
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
        data_version=dg.DataVersion(hashlib.sha256(_MOMENTS.sub("", page).encode()).hexdigest()),
    )
