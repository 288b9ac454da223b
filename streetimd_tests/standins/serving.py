"""Start the stand-ins together: with real data from a folder, or with a small invented world."""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import shape

from streetimd_tests.standins import small_world
from streetimd_tests.standins.arcgis import ROOT, ArcGIS
from streetimd_tests.standins.files import Files
from streetimd_tests.standins.overpass import Area, Overpass
from streetimd_tests.standins.server import Asked, Reply, StandIn, busy

BOROUGHS = ("camden", "tower_hamlets")
LSOA_SERVICE = "Lower_layer_Super_Output_Areas_December_2021_Boundaries_EW_BGC_V5"
LOOKUP_SERVICE = "LSOA21_WD24_LAD24_EW_LU"
FILE_7 = "/media/File_7_IoD2025_All_Ranks_Scores_Deciles_Population_Denominators.csv"
FILE_7_2019 = "/media/File_7_-_All_IoD2019_Scores__Ranks__Deciles_and_Population_Denominators_3.csv"


@dataclass
class Addresses:
    """Where the stand-ins answer, and what each of them was asked.

    The four addresses are those that a study's ``geography`` and ``deprivation`` take.
    """

    lsoa_service: str
    lookup_service: str
    overpass_url: str
    deprivation_url: str
    deprivation_2019_url: str
    arcgis: StandIn
    overpass: StandIn
    files: StandIn

    @property
    def requests(self) -> list[Asked]:
        """Everything asked so far, server by server."""
        return [*self.arcgis.log, *self.overpass.log, *self.files.log]

    def count(self, part: str, *, status: int | None = None) -> int:
        """How many requests had ``part`` in their path (and were answered with a status)."""
        return sum(part in asked.path and status in (None, asked.status) for asked in self.requests)


@contextmanager
def serve_real_data(
    folder: str | Path, *, page_size: int = 50, faults: Sequence[Reply] | None = None
) -> Iterator[Addresses]:
    """Serve Camden and Tower Hamlets, and the index for England, from the folder of real data.

    Each server answers its first question with status 503, unless ``faults`` says otherwise;
    ``page_size`` is far below the real 2,000 so that there are pages.
    """
    folder = Path(folder)
    boroughs = [folder / name for name in BOROUGHS]
    lsoas = [feature for path in boroughs for feature in _read_json(path / "lsoa21.geojson.gz")["features"]]
    with gzip.open(folder / "imd" / "lsoa21_lad24_lookup.csv.gz", "rt", encoding="utf-8-sig") as file:
        lookup = [{"properties": row, "geometry": None} for row in csv.DictReader(file)]
    areas = [Area(_outline(path), _unzip(path, "roads_drive_*.overpass.json.gz")) for path in boroughs]
    files = {
        FILE_7: lambda: _unzip(folder / "imd", "iod2025_file7.csv.gz"),
        FILE_7_2019: lambda: _unzip(folder / "imd", "iod2019_file7_london.csv.gz"),
        f"{FILE_7}.gz": (folder / "imd" / "iod2025_file7.csv.gz").read_bytes,
    }
    services = {LSOA_SERVICE: lsoas, LOOKUP_SERVICE: lookup}
    with _serve(services, areas, files, page_size=page_size, faults=faults) as addresses:
        yield addresses


@contextmanager
def serve_small_world(*, page_size: int = 5, faults: Sequence[Reply] | None = None) -> Iterator[Addresses]:
    """Serve the two districts of :mod:`small_world`; each server answers 503 first, as above."""
    services = {LSOA_SERVICE: small_world.lsoa_features(), LOOKUP_SERVICE: small_world.lookup_features()}
    areas = [Area(small_world.outline(lad), small_world.overpass_reply(lad)) for lad in small_world.NAMES]
    files = {
        FILE_7: small_world.deprivation_csv,
        FILE_7_2019: lambda: small_world.deprivation_csv(lsoa_year=2011, lad_year=2019),
        f"{FILE_7}.gz": lambda: gzip.compress(small_world.deprivation_csv()),
    }
    with _serve(services, areas, files, page_size=page_size, faults=faults) as addresses:
        yield addresses


@contextmanager
def _serve(
    services: dict[str, list[dict[str, Any]]],
    areas: Sequence[Area],
    files: dict[str, Any],
    *,
    page_size: int,
    faults: Sequence[Reply] | None,
) -> Iterator[Addresses]:
    first = [busy()] if faults is None else faults
    with ExitStack() as stack:
        arcgis = stack.enter_context(StandIn(ArcGIS(services, page_size=page_size).answer, faults=first))
        overpass = stack.enter_context(StandIn(Overpass(areas).answer, faults=first, never_faulty=["/status"]))
        file_server = stack.enter_context(StandIn(Files(files).answer, faults=first))
        yield Addresses(
            lsoa_service=f"{arcgis.address}{ROOT}/{LSOA_SERVICE}",
            lookup_service=f"{arcgis.address}{ROOT}/{LOOKUP_SERVICE}",
            overpass_url=f"{overpass.address}/api",
            deprivation_url=f"{file_server.address}{FILE_7}",
            deprivation_2019_url=f"{file_server.address}{FILE_7_2019}",
            arcgis=arcgis,
            overpass=overpass,
            files=file_server,
        )


def _read_json(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def _unzip(folder: Path, pattern: str) -> bytes:
    (path,) = folder.glob(pattern)
    return gzip.decompress(path.read_bytes())


def _outline(folder: Path) -> shapely.Geometry:
    collection = json.loads((folder / "lad24.geojson").read_text(encoding="utf-8"))
    return shapely.union_all([shape(feature["geometry"]) for feature in collection["features"]])
