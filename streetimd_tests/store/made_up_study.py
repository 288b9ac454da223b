"""A small study whose tables are written by hand: what is asked of them can be worked out in one's head.

Two of the demo's local authorities have three square LSOAs each, 100 m wide, in a row. Only the first
has features, predictions and images. Everything else about the rows is drawn at random.
"""

from pathlib import Path

import pandas as pd
import shapely

from streetimd_assets.schemas import TABLES
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import rebuild_views
from streetimd_assets.study import load_study
from streetimd_tests.store.rows import rows_of

DEMO = load_study("demo")
KNOWN, EMPTY = "farrowby", "dunmere"
LSOAS = {KNOWN: ["Z1", "Z2", "Z3"], EMPTY: ["Z7", "Z8", "Z9"]}
LAD_CODES = {slug: DEMO.authority(slug).lad_code for slug in LSOAS}
HEADLINE = "imd_rank/embeddings-mean/ridge/leave_one_la_out"
BETTER = "imd_rank/embeddings-mean/svr/leave_one_la_out"
# what a spreadsheet would run, and what looks like it and is harmless
ROAD_NAMES = ['=HYPERLINK("http://evil.example")', "-2+3", "@SUM(A1)", "-x_9.Z", "High Street"]
CREDITS = ["Ann | <b>Bee</b>", "Ann | <b>Bee</b>", None]


def write_study(folder: Path) -> TableStore:
    """Write the tables and their views into a study's folder."""
    store = TableStore(folder, DEMO.categories.names)
    for number, (slug, codes) in enumerate(LSOAS.items()):
        squares = [shapely.box(300 * number + 100 * k, 0, 300 * number + 100 * k + 100, 100) for k in range(3)]
        # an island makes an outline of two parts
        squares[2] = shapely.multipolygons([squares[2], shapely.box(0, 900 + number, 1, 901 + number)])
        named = {"lsoa_code": codes, "lad_code": LAD_CODES[slug]}
        _write(store, "lsoa_boundaries", slug, **named, geometry=shapely.to_wkb(squares), area_m2=10_000.0)
        _write(store, "deprivation_indices", slug, **named, imd_rank=[10 * number + k for k in (1, 2, 3)])
    _write_known(store)
    _write_models(store)
    rebuild_views(store)
    return store


def _write_known(store: TableStore) -> None:
    codes = LSOAS[KNOWN]
    named = {"lsoa_code": codes, "lad_code": LAD_CODES[KNOWN]}
    _write(store, "lsoa_features", KNOWN, **named, n_images=[4, 8, 12], shops_share=[0.25, 0.5, 0.75])
    lines = shapely.to_wkb(shapely.linestrings([[[0, k], [5, k]] for k in range(5)]))
    _write(store, "road_segments", KNOWN, n_rows=5, road_name=ROAD_NAMES, geometry=lines)
    _write(store, "sample_points", KNOWN, lsoa_code=codes, easting_m=[50.0, 150.0, 250.0], northing_m=50.0)
    east, north = [50.0, 150.0, None], [51.0, 51.0, None]
    _write(store, "panoramas", KNOWN, lsoa_code=codes, easting_m=east, northing_m=north)
    paths = [f"images/{KNOWN}/{number}.jpg" for number in range(3)]
    rights = {"source": "mapillary", "licence": "CC-BY-SA-4.0", "credit": CREDITS}
    _write(store, "street_images", KNOWN, lsoa_code=codes, image_path=paths, **rights)
    _write(store, "image_embeddings", KNOWN, lsoa_code=codes)


def _write_models(store: TableStore) -> None:
    both = [code for codes in LSOAS.values() for code in codes]
    lads = [LAD_CODES[slug] for slug, codes in LSOAS.items() for _ in codes]
    models = [HEADLINE] * 6 + [BETTER] * 6
    guesses = [1.5] * 6 + [1.0] * 6
    predictions = {"model_id": models, "lsoa_code": both * 2, "lad_code": lads * 2, "predicted": guesses}
    _write(store, "lsoa_predictions", None, n_rows=12, **predictions)
    names = {"model_id": [HEADLINE, BETTER], "estimator": ["ridge", "svr"], "r2": [0.1, 0.9]}
    _write(store, "model_scores", None, n_rows=2, **names, feature_set="embeddings", split="leave_one_la_out")
    _write(store, "fitted_models", None, n_rows=2)


def _write(store: TableStore, name: str, slug: str | None, n_rows: int = 3, **columns: object) -> None:
    rows = rows_of(store.table(name), n_rows).sort_values(list(TABLES[name].key), ignore_index=True)
    store.write(
        name,
        rows.assign(
            **{key: pd.Series(value) if isinstance(value, list) else value for key, value in columns.items()}
        ),
        slug,
    )
