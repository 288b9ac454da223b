"""LSOA by LSOA: maps that answer together, and the table their LSOAs lead to.

The same sections stand in the study's report and in a local authority's.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from streetimd_assets.plots import categories, maps, model_sections, pages, residuals, style
from streetimd_assets.plots.coverage import Tables, area_table_of, authority_names, missing_note, rows_of
from streetimd_assets.plots.linked_maps import MANY_LSOAS, LinkedMaps
from streetimd_assets.plots.maps import Shading

if TYPE_CHECKING:
    import geopandas as gpd

# a choice of the menu, or a map of its own: values by LSOA, how they are shaded, what they are, a sentence
Drawing = tuple[pd.Series, Shading, str, str]


def add_maps(page: pages.Page, tables: Tables, lsoas: "gpd.GeoDataFrame", titles: Mapping[str, str]) -> None:
    """Add maps of images, category shares, deprivation, and of what a model predicts and misses."""
    if lsoas.empty:
        page.add_section("maps", "Maps", missing_note("lsoa_boundaries"))
        return
    linked = LinkedMaps(lsoas, heading=page.heading, extra=_extra(tables, lsoas))
    shares, drawings = _share_choices(tables, titles), list(_drawings(tables, lsoas))
    if linked.are_many:
        choices = {label: (values, shading) for values, shading, label, _ in drawings}
        blocks = [linked.menu_map({**choices, **shares}, label="", caption=_MENU_CAPTION)]
    else:
        blocks = [
            linked.map(values, shading=shading, label=label, caption=caption)
            for values, shading, label, caption in drawings
        ]
        if shares:
            blocks.insert(1, linked.menu_map(shares, label="share of images", caption=_SHARE_CAPTION))
    page.css += linked.css
    page.scripts.append(linked.script)
    missing = [
        missing_note(name)
        for name in ("lsoa_features", "deprivation_indices", "lsoa_predictions")
        if rows_of(tables, name) is None
    ]
    page.add_section("maps", "Maps", pages.paragraph(_READING), '<div class="pair">', *blocks, "</div>", *missing)


_READING = (
    "Dark is always more, or more deprived. Neighbouring LSOAs resemble one another: a pattern that meets the eye "
    "on one map need not have to do with the pattern on another."
)
_SHARE_CAPTION = (
    "Share of an LSOA’s kept images in one category (of all its images, where the category is set aside), dark is "
    "high; the menu changes the category."
)
_MENU_CAPTION = "The menu changes what is shown: there are too many LSOAs for maps side by side."


def _extra(tables: Tables, lsoas: "gpd.GeoDataFrame") -> dict[str, list[tuple[str, str]]]:
    """Return what the box of an LSOA says beside the values of the maps."""
    if "lad_code" not in lsoas or lsoas["lad_code"].nunique() < 2:
        return {}
    names = authority_names()
    return {
        code: [("Local authority", names.get(lad, lad))]
        for code, lad in zip(lsoas["lsoa_code"], lsoas["lad_code"], strict=True)
    }


def _share_choices(tables: Tables, titles: Mapping[str, str]) -> dict[str, tuple[pd.Series, Shading]]:
    features = rows_of(tables, "lsoa_features")
    if features is None or area_table_of(tables) is not None:
        return {}
    rows = features.set_index("lsoa_code")
    shares = {str(name): 100 * rows[f"{name}_share"] for name in categories.category_totals(features).index}
    return {style.title_of(name, titles): (values, maps.share_shading(values)) for name, values in shares.items()}


def _drawings(tables: Tables, lsoas: "gpd.GeoDataFrame") -> Iterator[Drawing]:
    """Yield what is mapped beside the shares, as far as there are tables."""
    features, deprivation = rows_of(tables, "lsoa_features"), rows_of(tables, "deprivation_indices")
    is_of_images = area_table_of(tables) is None
    if features is not None and is_of_images:
        kept = features.set_index("lsoa_code")["n_images_kept"].reindex(lsoas["lsoa_code"]).fillna(0)
        shading = maps.amount_shading(kept)
        yield kept, shading, "Images kept", "How many images each LSOA’s numbers rest on; dark is many."
    target, predictions = model_sections.target_of(tables), rows_of(tables, "lsoa_predictions")
    model_id = model_sections.chosen_model(rows_of(tables, "model_scores"), predictions)
    rows = pd.DataFrame(columns=["predicted"], dtype=float)
    if predictions is not None and model_id is not None:
        rows = predictions[predictions["model_id"] == model_id].set_index("lsoa_code")
    if deprivation is not None:
        yield from _deprivation(deprivation.set_index("lsoa_code"), target, rows["predicted"])
    if model_id is not None:
        code = f"<code>{style.escape(model_id)}</code>"
        yield from _predictions(rows, target, code, deprivation, "streets" if is_of_images else "features")
        yield from residuals.cluster_drawings(tables, target)
    yield from _components(tables)


def _components(tables: Tables) -> Iterator[Drawing]:
    """Yield where LSOAs lie on the first principal components of what describes them."""
    scores, components = rows_of(tables, "component_scores"), rows_of(tables, "embedding_components")
    if scores is None or components is None:
        return
    is_of_images = area_table_of(tables) is None
    varying = "mean embeddings" if is_of_images else "area features, each in standard deviations"
    alike = "look alike" if is_of_images else "are alike"
    rows, known = scores.set_index("lsoa_code"), components.set_index("component")
    target = style.measure_label(model_sections.target_of(tables))
    for place in (1, 2):
        if f"component_{place}" not in rows or place not in known.index:
            continue
        values, r = rows[f"component_{place}"].astype(float), style.number(known.loc[place, "pearson_r"])
        yield (
            values,
            maps.score_shading(values),
            f"Score on principal component {place}",
            f"Of the {varying} ({style.percent(known.loc[place, 'explained_variance_share'])} of their "
            f"variance; r with {target} {r}). The sign is arbitrary: LSOAs of one colour {alike} in this.",
        )


def _deprivation(rows: pd.DataFrame, target: str, predicted: pd.Series) -> Iterator[Drawing]:
    """Yield the index, and what is predicted if that is another measure."""
    for measure in dict.fromkeys(name for name in ("imd_decile", target) if name in rows):
        if measure != target and target.startswith("imd_") and target in rows:
            continue
        values = rows[measure].astype(float)
        pooled = pd.concat([values, predicted]) if measure == target and len(predicted) else values
        yield (
            values,
            maps.deprivation_shading(pooled, measure),
            style.measure_label(measure),
            "The official index, dark is most deprived"
            + ("; shaded as the predictions beside it." if measure == target and len(predicted) else "."),
        )


def _predictions(
    rows: pd.DataFrame, target: str, code: str, deprivation: pd.DataFrame | None, seen: str
) -> Iterator[Drawing]:
    label = style.measure_label(target)
    known = rows["observed"] if deprivation is None or target not in deprivation else deprivation[target]
    yield (
        rows["predicted"],
        maps.deprivation_shading(pd.concat([known.astype(float), rows["predicted"]]), target),
        f"Predicted {label}",
        f"By {code}, without having seen the LSOA; dark is most deprived.",
    )
    positive = "less" if style.low_is_deprived(target) else "more"
    negative = "more" if positive == "less" else "less"
    yield (
        rows["residual"],
        maps.residual_shading(rows["residual"], target),
        f"Residual: observed minus predicted, {unit_of(target)}",
        f"Of {code} for {label}: orange LSOAs are {positive} deprived than their {seen} suggest, purple and "
        f"hatched ones {negative}.",
    )
    if "predicted_low" in rows and rows["predicted_low"].notna().any():
        width = (rows["predicted_high"] - rows["predicted_low"]).astype(float)
        shading = maps.amount_shading(width, digits=1 if target.endswith("_score") else 0)
        yield (
            width,
            shading,
            f"Uncertainty: width of the 90% interval, {unit_of(target)}",
            f"Of the predictions of {code}, from its errors in the other folds"
            f"{' and how many images an LSOA has' if seen == 'streets' else ''}; "
            "dark is wide. It is made to hold for nine LSOAs in ten on average, for fewer in a place unlike all "
            f"others; of these LSOAs it holds for {_share_within(rows)}.",
        )


def _share_within(rows: pd.DataFrame) -> str:
    """Return the share of LSOAs whose observed value lies in their interval, in words."""
    known = rows.dropna(subset=["predicted_low", "predicted_high"])
    is_within = known["observed"].between(known["predicted_low"], known["predicted_high"])
    return f"{style.percent(is_within.mean())} of {style.count(len(known))}"


def unit_of(measure: str) -> str:
    """Return the unit of a measure of deprivation in words."""
    for ending, unit in (("_rank", "ranks"), ("_decile", "deciles"), ("_score", "points of score")):
        if measure.endswith(ending):
            return unit
    return style.escape(measure)


def add_lsoas(page: pages.Page, tables: Tables, lsoas: "gpd.GeoDataFrame") -> None:
    """Add one row per LSOA: images, deprivation, prediction and residual; maps lead to it."""
    if len(lsoas) > MANY_LSOAS:
        many = f"{style.plural(len(lsoas), 'LSOA')} are too many for one table"
        note = pages.paragraph(f"{many}: each stands in the page of its local authority.")
        page.add_section("lsoas", "LSOA by LSOA", note)
        return
    joined = _joined(tables, lsoas)
    names = authority_names()
    is_study = "lad_code" in joined and joined["lad_code"].nunique() > 1
    target = model_sections.target_of(tables)
    numbers = [name for name in joined.columns if name in _HEADS and name != "lsoa_name"]
    rows, ids = [], []
    for row in joined.sort_values(["lsoa_name", "lsoa_code"]).to_dict("records"):
        place = [style.escape(names.get(row["lad_code"], row["lad_code"]))] if is_study else []
        rows.append([style.escape(row["lsoa_name"]), style.escape(row["lsoa_code"]), *place,
                     *(_cell(name, row, target) for name in numbers)])  # fmt: skip
        ids.append(f"lsoa-{style.escape(row['lsoa_code'])}")
    heads = ["LSOA", "Code", *(["Local authority"] if is_study else []), *(_HEADS[name] for name in numbers)]
    words = (0, 1, 2) if is_study else (0, 1)
    caption = "LSOAs by name" + (
        f"; predictions of {style.measure_label(target)}, whose intervals may reach beyond its scale; thin ones "
        "rest on little"
        if "predicted" in numbers
        else ""
    )
    page.add_section("lsoas", "LSOA by LSOA", pages.table(caption, heads, rows, words=words, ids=ids))


def _joined(tables: Tables, lsoas: "gpd.GeoDataFrame") -> pd.DataFrame:
    kept = [name for name in ("lsoa_code", "lsoa_name", "lad_code") if name in lsoas]
    joined = pd.DataFrame(lsoas[kept])
    for name, columns in (
        ("lsoa_features", ["n_panoramas", "n_images_kept"]),
        ("deprivation_indices", ["imd_rank", "imd_decile"]),
    ):
        table = rows_of(tables, name)
        if name == "lsoa_features" and area_table_of(tables) is not None:
            continue
        part = pd.DataFrame(columns=["lsoa_code", *columns]) if table is None else table[["lsoa_code", *columns]]
        joined = joined.merge(part, on="lsoa_code", how="left")
    predictions = rows_of(tables, "lsoa_predictions")
    model_id = model_sections.chosen_model(rows_of(tables, "model_scores"), predictions)
    if predictions is not None:
        wanted = ["lsoa_code", "predicted", "predicted_low", "predicted_high", "residual", "is_thin"]
        own = predictions.loc[predictions["model_id"] == model_id, [c for c in wanted if c in predictions]]
        joined = joined.merge(own, on="lsoa_code", how="left")
    return joined


def _cell(name: str, row: Mapping[Any, Any], target: str) -> str:
    digits = 1 if name in ("predicted", "residual") and target.endswith("_score") else 0
    written = style.number(row[name], digits)
    if name == "predicted" and not style.is_missing(row.get("predicted_low")):
        ends = (style.number(row[end], digits) for end in ("predicted_low", "predicted_high"))
        # what rests on few images is named as such; an LSOA that was not predicted is neither
        return f"{written} ({' to '.join(ends)}){', thin' if row.get('is_thin') is True else ''}"
    return written


_HEADS = {
    "n_panoramas": "Panoramas",
    "n_images_kept": "Images<br>kept",
    "imd_rank": "IMD rank<br>(1 = most deprived)",
    "imd_decile": "Decile",
    "predicted": "Predicted<br>(90% interval)",
    "residual": "Residual",
}
