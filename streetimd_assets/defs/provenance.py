"""Gather how tables were made: from the study, from the tables, and from what Dagster recorded of them."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.plots import style
from streetimd_assets.plots.provenance import MadeTable, Provenance, Source
from streetimd_assets.schemas import TABLES
from streetimd_assets.sources.web import without_secrets
from streetimd_assets.study import Study

_PACKAGES = (
    *("streetimd", "dagster", "duckdb", "numpy", "pandas", "geopandas", "open_clip_torch", "torch"),
    *("scikit-learn", "lightgbm", "plotly"),
)
_FETCHED = ("lsoa_boundaries", "road_segments", "deprivation_indices", "lsoa_features")
# how fast, how often, at what cost and with whose leave decides no result
_MANNER: dict[str, Any] = {
    "budget": True,
    "refresh": True,
    "category": True,
    "concept_pair": True,
    "imagery": {"accept_terms", "retain_images", "requests_per_minute", "max_connections"},
    "encoder": {"batch_size", "chunk_size", "device"},
}
# of the study's sections and fields, those that decide nothing without images
_ABOUT_IMAGES: dict[str, Any] = {
    **dict.fromkeys(("imagery", "sampling", "encoder", "assessment", "category_set", "templates"), True),
    **dict.fromkeys(("concept_set", "concept_pair", "concept_prompts"), True),
    "geography": {"overpass_url", "roads_file", "highway_classes", "include_tunnels", "include_private"},
    "features": {"min_images_per_category"},
    "modelling": {"feature_set", "statistic"},
}
# more local authorities than this are counted, not named
_MOST_NAMED = 20


@dataclass(frozen=True)
class Records:
    """What Dagster recorded of the latest materialisation of each part of a table."""

    instance: dg.DagsterInstance
    slugs: Sequence[str]

    def latest(self, asset: str) -> dict[str | None, Any]:
        """Return the latest record of an asset by local authority, by None if it is study-wide."""
        key, ids = dg.AssetKey(asset), None
        if asset in TABLES and TABLES[asset].is_partitioned:
            newest = self.instance.get_latest_storage_id_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(self.slugs)
            )
            ids = list(newest.values())
        if ids == []:
            return {}
        chosen = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids)
        records = self.instance.fetch_materializations(chosen, limit=len(ids) if ids else 1).records
        return {
            record.asset_materialization.partition: record for record in records if record.asset_materialization
        }


def gather(
    house: House, instance: dg.DagsterInstance, slugs: Sequence[str], tables: Mapping[str, pd.DataFrame]
) -> Provenance:
    """Say how the tables of some local authorities were made.

    Parameters
    ----------
    house, instance
        The study, and the Dagster instance that recorded its runs.
    slugs
        The local authorities covered.
    tables
        The tables a page is made from, by name.
    """
    records = Records(instance, slugs)
    return Provenance(
        facts=_facts(house, slugs, tables, records),
        sources=[*sources(records), *_image_source(house)],
        tables=[_made_table(name, records) for name in tables if name in TABLES],
        settings=settings(house.study),
        made_at=datetime.now(UTC),
    )


def settings(study: Study) -> dict[str, str]:
    """Return every setting that decides a result by its dotted name; places on this machine by file name only.

    Categories and pairs of texts of the study's own are left out: their words stand in ``category_embeddings``
    and ``concept_directions``.
    """
    exclude = _MANNER if study.has_images else {**_MANNER, **_ABOUT_IMAGES}
    flat = dict(_flatten(study.model_dump(mode="json", exclude=exclude)))
    unused = () if study.has_painted_images else ("imagery.world", "imagery.faults.", "imagery.seed")
    return {
        name: _shown(value) for name, value in flat.items() if value is not None and not name.startswith(unused)
    }


def _flatten(content: Mapping[str, Any], head: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{head}{name}.")
        else:
            yield f"{head}{name}", value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(part) for part in value) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if "://" in text:
        return without_secrets(text)
    return Path(text).name if Path(text).is_absolute() else text


def _facts(
    house: House, slugs: Sequence[str], tables: Mapping[str, pd.DataFrame], records: Records
) -> dict[str, str]:
    study, target = house.study, house.study.deprivation.target
    names = [study.authority(slug).name for slug in slugs]
    facts = {
        "Study": study.name,
        "Local authorities": ", ".join(names)
        if len(names) <= _MOST_NAMED
        else f"{len(names)}, named under Coverage",
        "Deprivation index": study.deprivation.index,
        "Target": f"{target} ({'1 = most' if style.low_is_deprived(target) else 'higher = more'} deprived)",
        **(_about_images(study, tables, records) if study.has_images else _about_table(study)),
        "Effort": study.modelling.what_is_done.said.removeprefix("Effort "),
        "Versions": ", ".join([*(f"{name} {version(name)}" for name in _PACKAGES), _python()]),
    }
    return {name: value for name, value in facts.items() if value}


def _about_images(study: Study, tables: Mapping[str, pd.DataFrame], records: Records) -> dict[str, str]:
    words = tables.get("category_embeddings")
    return {
        "Images": "painted stand-ins (SYNTHETIC IMAGES)" if study.has_painted_images else study.imagery.source,
        "Images taken": _taken(tables.get("street_images")),
        "Encoder": _joined(words["encoder"]) if words is not None else "not known",
        "Weights, SHA-256": _recorded(records, "image_embeddings", "weights_sha256"),
        "Category set": study.categories.name,
        "Category set, hash": _joined(words["category_set_hash"]) if words is not None else "not known",
        "Seeds": f"sampling {study.sampling.seed}, models {study.modelling.seed}, "
        f"choice of images {study.assessment.seed}",
    }


def _about_table(study: Study) -> dict[str, str]:
    table = study.area_table
    return {
        "Images": f"none: a table of area features, {table.path.name}",
        "Features": f"{len(table.features):,}",
        "Columns passed over": ", ".join(table.passed_over),
        "Seeds": f"models {study.modelling.seed}",
    }


def _python() -> str:
    return f"Python {platform.python_version()}"


def _joined(values: "pd.Series[str]") -> str:
    return ", ".join(sorted(values.unique()))


def _taken(images: pd.DataFrame | None) -> str:
    if images is None:
        return ""
    days = pd.to_datetime(images.loc[images["status"] == "ok", "captured_on"]).dropna()
    return f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}" if len(days) else "days not known"


def _recorded(records: Records, asset: str, name: str) -> str:
    """Return what the latest materialisations say of one thing, each value once."""
    found = {str(value) for record in records.latest(asset).values() if (value := _said(record).get(name))}
    return ", ".join(sorted(found))


def _said(record: Any) -> dict[str, Any]:
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def sources(records: Records) -> list[Source]:
    """Return each address that boundaries, roads and the index were fetched from, its parts together."""
    said = [_said(record) for asset in _FETCHED for record in records.latest(asset).values()]
    fetched = sorted(
        {
            (name.removesuffix("_source"), without_secrets(str(part[name])))
            for part in said
            for name in part
            if name.endswith("_source")
        }
    )
    # a table of area features may be about places that are invented
    is_invented = {what for what, _ in fetched} <= {"features"}
    invented = [Source("boundaries, roads, index", "the synthetic world: invented, no place is meant")]
    return (invented if is_invented else []) + [_source(what, address, said) for what, address in fetched]


def _source(what: str, address: str, said: Sequence[Mapping[str, Any]]) -> Source:
    parts = [part for part in said if without_secrets(str(part.get(f"{what}_source", ""))) == address]

    def each(name: str) -> list[str]:
        return sorted({str(part[f"{what}_{name}"]) for part in parts if f"{what}_{name}" in part})

    hashes, fetched = each("sha256"), each("fetched_at")
    return Source(
        what,
        address,
        hashes[0] if len(hashes) == 1 else f"{len(hashes):,} files, one for each local authority",
        f"{fetched[0]} to {fetched[-1]}" if len(fetched) > 1 else "".join(fetched),
        "; ".join([*each("has_changed"), *each("note")]),
    )


def _image_source(house: House) -> list[Source]:
    if not house.study.has_images:
        return []
    provider = Acquisition(house).provider
    if provider is None:
        return [Source("images", "painted by a program", note=f"seed {house.study.imagery.seed}")]
    address = without_secrets(house.study.imagery.address or provider.address or "")
    terms = provider.terms
    said = f"{terms.title} of {terms.as_of:%Y-%m-%d}" + (f", {terms.url}" if terms.url else "")
    return [Source("images", address or provider.title, note=said)]


def _made_table(name: str, records: Records) -> MadeTable:
    latest = records.latest(name)
    tags = [record.asset_materialization.tags or {} for record in latest.values()]
    versions = sorted({tag["dagster/code_version"] for tag in tags if "dagster/code_version" in tag})
    moments = [record.timestamp for record in latest.values()]
    newest = datetime.fromtimestamp(max(moments), UTC) if moments else None
    return MadeTable(name, tuple(versions), len(latest), newest)
