"""Every table once: what one row is, its columns, their types, units and meaning.

The database, the checks, the Dagster catalogue and the README all read this page.

Names: ``_code`` official and ``_id`` ours; units as suffixes (``easting_m`` and ``northing_m`` are
EPSG:27700, ``longitude_deg`` and ``latitude_deg`` EPSG:4326, ``heading_deg`` clockwise from north);
shares from 0 to 1 end in ``_share``; counts start with ``n_``; booleans ``is_`` or ``has_``; ``_on`` a
date. Rank 1 is the most deprived. A value that cannot be known is NULL, never zero.

A column whose name holds ``{category}`` is a template: it stands once for each of the study's
categories. ``{domain}`` stands once for each of :data:`DOMAINS`, and ``{feature}`` once for each column
of the table of area features that a study without images names.

An embedding has 512 dimensions; in a study of area features it has one for each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

# written into every table file; it grows by one when any table changes, and what changed carries it as `since`
SCHEMA_VERSION = 3
EMBEDDING_DIMENSIONS = 512
EMBEDDING = f"FLOAT[{EMBEDDING_DIMENSIONS}]"
# stands for a category set where there are no images
NO_CATEGORY_SET = "none"
# what a study without images does without: these groups, and these tables of others
_OF_IMAGES = (
    *("sampling", "imagery", "embedding", "classification", "assessment", "truth"),
    *("road_segments", "concept_correlations", "learning_curve", "example_images", "example_words"),
)
STATISTICS = ("mean", "median", "max")

DOMAINS = {
    "income": "Income",
    "employment": "Employment",
    "education": "Education, Skills and Training",
    "health": "Health Deprivation and Disability",
    "crime": "Crime",
    "barriers": "Barriers to Housing and Services",
    "living_environment": "Living Environment",
}
MEASURES = ("imd_rank", "imd_score", *(f"{domain}_score" for domain in DOMAINS))

# what models predict: the study's target in the main, the others besides
PREDICTED = ("imd_rank", "imd_score", "imd_decile", *(f"{domain}_score" for domain in DOMAINS))

PANORAMA_STATUSES = (
    "ok",
    "no_imagery",
    "too_far",
    "not_official",
    "outside_dates",
    "outside_local_authority",
    "duplicate_panorama",
    "failed",
)
IMAGE_STATUSES = ("ok", "invalid_image", "failed")
# ways of holding LSOAs out, the hardest question first
HARDEST_FIRST = ("leave_one_la_out", "spatial_blocks", "random_folds")
# the answer of a rater who cannot tell, beside the categories
UNSURE = "unsure"
# directions among embeddings, shown beside features: of a model, and of a concept by its name
RIDGE_DIRECTION = "ridge_direction"
CONCEPT_HEAD = "concept: "


@dataclass(frozen=True)
class Column:
    """One column: its DuckDB type, unit ("" if none) and meaning.

    Of a column whose name was given by a user, the name promises nothing of its values. A column that came
    with a later schema version than its table (`since`) is NULL where a file is older.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    nullable: bool = False
    has_given_name: bool = False
    since: int = 2

    @property
    def is_embedding(self) -> bool:
        """True if each value is a vector, of as many dimensions as :attr:`n_dimensions` says."""
        return self.type.startswith("FLOAT[")

    @property
    def n_dimensions(self) -> int:
        """Dimensions of an embedding."""
        return int(self.type.removeprefix("FLOAT[").removesuffix("]"))


@dataclass(frozen=True)
class Table:
    """One table, which is also one asset.

    Parameters
    ----------
    name, group
        The table's and asset's name, and the asset group it stands in.
    grain
        What one row is, as a noun with its article.
    columns
        Its columns in order, templates included.
    key
        The columns that name a row; rows are stored in their order.
    is_partitioned
        True if stored per local authority, False if study-wide.
    since
        The earliest schema version whose files can still be read: older ones meant something else.
    """

    name: str
    group: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    is_partitioned: bool = True
    since: int = 2

    def expand(self, categories: Sequence[str] = (), features: Sequence[str] = ()) -> "Table":
        """Return the table with its templates written out for these categories, or these area features."""
        expanded: list[Column] = []
        for column in self.columns:
            if "{category}" in column.name:
                expanded += [_fill(column, "category", name, name) for name in categories]
            elif "{domain}" in column.name:
                expanded += [_fill(column, "domain", key, label) for key, label in DOMAINS.items()]
            elif "{feature}" in column.name:
                expanded += [_fill(column, "feature", name, name) for name in features]
            elif column.is_embedding and features:
                expanded.append(replace(column, type=f"FLOAT[{len(features)}]"))
            else:
                expanded.append(column)
        return replace(self, columns=tuple(expanded))

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def is_of_images(self) -> bool:
        """True if a study of area features, which has no images, does without it."""
        return self.group in _OF_IMAGES or self.name in _OF_IMAGES

    @property
    def holds_embeddings(self) -> bool:
        """True if a row per image carries an embedding: large, stored in large blocks."""
        return self.name == "image_embeddings"


def _fill(column: Column, template: str, name: str, label: str) -> Column:
    return replace(
        column,
        name=column.name.replace("{" + template + "}", name),
        meaning=column.meaning.replace("{" + template + "}", label),
    )


def _text(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name, "VARCHAR", meaning, nullable=nullable)


def _number(name: str, meaning: str, unit: str = "", *, nullable: bool = False) -> Column:
    return Column(name, "DOUBLE", meaning, unit, nullable)


def _score(name: str, meaning: str, *, since: int = 3) -> tuple[Column, Column, Column]:
    """A score and the ends of its interval, which came later; NULL where it is not defined."""
    interval = "end of its 95% interval, blocks of neighbours resampled"
    low, high = (
        replace(_number(f"{name}_{end}", f"{which} {interval}", nullable=True), since=since)
        for end, which in (("low", "lower"), ("high", "upper"))
    )
    return _number(name, meaning, nullable=True), low, high


def _count(name: str, meaning: str, unit: str = "", *, nullable: bool = False) -> Column:
    return Column(name, "INTEGER", meaning, unit, nullable)


def _embedding(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name, EMBEDDING, meaning, nullable=nullable)


_LSOA = _text("lsoa_code", "official code of the LSOA")
_LAD = _text("lad_code", "official code of the local authority district")
_EASTING = _number("easting_m", "British National Grid easting, EPSG:27700", "m")
_NORTHING = _number("northing_m", "British National Grid northing, EPSG:27700", "m")
_LONGITUDE = _number("longitude_deg", "WGS 84 longitude, EPSG:4326", "deg")
_LATITUDE = _number("latitude_deg", "WGS 84 latitude, EPSG:4326", "deg")
_HEADING = _number("heading_deg", "direction the camera faces, clockwise from north", "deg", nullable=True)
_CAPTURED = Column("captured_on", "DATE", "day the picture was taken, as the provider says", nullable=True)
_VIEWER = _text("viewer_url", "the provider's own page of the panorama", nullable=True)
_ROAD_BEARING = _number(
    "road_bearing_deg", "bearing of the road at the point, clockwise from north, 0 to 180", "deg", nullable=True
)
_CREDIT = _text("credit", "who is to be credited", nullable=True)
_LICENCE = _text("licence", "licence of the picture", nullable=True)
_IMAGE_ID = _text("image_id", "panorama and heading, as panorama_id@heading")
_IMAGE_PATH = _text(
    "image_path", "file of the picture, relative to the study's folder; it may be deleted by now", nullable=True
)
_ENCODER = _text("encoder", "model, weights and the hash of their file; or the table of area features and its hash")
_CATEGORY_SET = _text("category_set_hash", "hash of category names, prompts and templates")
_FEATURE_SET = _text("feature_set", "embeddings, percentages, both, table (of area features), or baseline")
_STATISTIC = _text("statistic", "how images are pooled: mean, median or max", nullable=True)
_MODEL_ID = _text("model_id", "names a model: target, features, estimator and, where it was held out, split")
_CONCEPT = _text("concept", "name of the text or pair")
_CONCEPT_KIND = _text(
    "kind",
    "pair (texts less their opposites), prompt (a text less the mean of all), or random (a word, or two, of the "
    "null)",
)
_TOWARD = _text("toward", "texts at the high end, one per line")
_AWAY = _text("away", "of a pair, texts at the low end, one per line", nullable=True)
_FEATURE_POSITION = _count(
    "feature_position", "rank of the feature by importance, 1 is the highest; directions follow the features"
)
_SPLIT = _text("split", "repeated_80_20, random_folds, spatial_blocks or leave_one_la_out")
_ESTIMATOR = _text(
    "estimator",
    "ridge, pls, svr, random_forest, lightgbm, or a baseline: mean, coordinates, road_density, n_images",
)
_GEOMETRY = "as WKB, EPSG:27700"

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "lsoa_boundaries",
            "geography",
            "an LSOA",
            (
                _LSOA,
                _text("lsoa_name", "official name of the LSOA"),
                _LAD,
                _number("area_m2", "area of the LSOA", "m2"),
                Column("geometry", "BLOB", f"outline {_GEOMETRY}"),
            ),
            ("lsoa_code",),
        ),
        Table(
            "road_segments",
            "geography",
            "an undirected road segment",
            (
                _text("segment_id", "OSM way and the order of the segment along it"),
                Column("osm_way_id", "BIGINT", "OpenStreetMap way"),
                _text("road_name", "name of the road", nullable=True),
                _text("highway", "OpenStreetMap class of the road"),
                _number("length_m", "length of the segment", "m"),
                _number("bearing_deg", "from first end to last, clockwise from north", "deg", nullable=True),
                Column("geometry", "BLOB", f"line {_GEOMETRY}"),
            ),
            ("segment_id",),
        ),
        Table(
            "deprivation_indices",
            "geography",
            "an LSOA",
            (
                _LSOA,
                _LAD,
                _text("deprivation_index", "edition of the index: iod2025, iod2019 or synthetic"),
                _number("imd_score", "Index of Multiple Deprivation, higher is more deprived"),
                _count("imd_rank", "national rank, 1 is the most deprived"),
                _count("imd_decile", "national decile, 1 is the most deprived tenth"),
                _number("{domain}_score", "{domain}: score, higher is more deprived"),
                _count("{domain}_rank", "{domain}: national rank, 1 is the most deprived"),
                _count("{domain}_decile", "{domain}: national decile, 1 is the most deprived tenth"),
            ),
            ("lsoa_code",),
        ),
        Table(
            "sample_points",
            "sampling",
            "a point on a road",
            (
                _text("point_id", "position in decimetres, easting_northing"),
                _LSOA,
                _text("segment_id", "road segment the point lies on"),
                _EASTING,
                _NORTHING,
                _LONGITUDE,
                _LATITUDE,
                _ROAD_BEARING,
            ),
            ("point_id",),
        ),
        Table(
            "panoramas",
            "imagery",
            "a panorama answered for a point; flat photographs may be several, one for each heading",
            (
                _text("point_id", "sample point asked for, or the picture's own place"),
                _count("position", "place among those answered for the point, from 1"),
                _text("panorama_id", "the provider's name of the panorama", nullable=True),
                _text("status", "ok, or why it is not used: " + ", ".join(PANORAMA_STATUSES)),
                _text("status_detail", "more about the status", nullable=True),
                _text("lsoa_code", "LSOA in which the panorama itself stands", nullable=True),
                _number("easting_m", "easting of the panorama, EPSG:27700", "m", nullable=True),
                _number("northing_m", "northing of the panorama, EPSG:27700", "m", nullable=True),
                _number("longitude_deg", "longitude of the panorama, EPSG:4326", "deg", nullable=True),
                _number("latitude_deg", "latitude of the panorama, EPSG:4326", "deg", nullable=True),
                _number("distance_m", "from the point to the panorama", "m", nullable=True),
                Column("captured_on", "DATE", "day of capture, as the provider says", nullable=True),
                Column("is_360", "BOOLEAN", "it looks all round, so views are taken of it in each heading"),
                _number(
                    "camera_heading_deg",
                    "heading of a flat photograph, or of the middle of a 360 degree picture",
                    "deg",
                    nullable=True,
                ),
                _ROAD_BEARING,
                _text("source", "image source: painted, folder or a provider"),
                _LICENCE,
                _CREDIT,
                _VIEWER,
            ),
            ("point_id", "position"),
        ),
        Table(
            "imagery_plan",
            "imagery",
            "an LSOA",
            (
                _LSOA,
                _number("road_length_m", "undirected road inside the LSOA", "m"),
                _count("n_points", "sample points"),
                _count("n_panoramas", "usable panoramas standing in the LSOA"),
                _count("n_images_planned", "images those panoramas will give"),
                _number("median_distance_m", "median distance from point to panorama", "m", nullable=True),
                Column("oldest_captured_on", "DATE", "oldest usable panorama", nullable=True),
                Column("median_captured_on", "DATE", "median day of capture", nullable=True),
                _number("median_age_years", "median age of the panoramas when planned", "years", nullable=True),
                _count("n_images_held", "planned images that are held already"),
                _count("n_images_to_fetch", "planned images still to be fetched"),
                _number(
                    "cost_usd",
                    "of the images to fetch, by the price table; the local authority's whole cost shared out "
                    "by images",
                    "USD",
                ),
            ),
            ("lsoa_code",),
        ),
        Table(
            "street_images",
            "imagery",
            "a panorama and heading",
            (
                _IMAGE_ID,
                _text("panorama_id", "the provider's name of the panorama"),
                _text("point_id", "sample point the panorama answered for"),
                _LSOA,
                _HEADING,
                _text("status", "ok, or why it is not used: " + ", ".join(IMAGE_STATUSES)),
                _text("status_detail", "more about the status", nullable=True),
                _IMAGE_PATH,
                _count("width_px", "width of the picture", "px", nullable=True),
                _count("height_px", "height of the picture", "px", nullable=True),
                _count("n_bytes", "size of the file", "bytes", nullable=True),
                _text("sha256", "hash of the file", nullable=True),
                _CAPTURED,
                _text("source", "image source: painted, folder or a provider"),
                _LICENCE,
                _CREDIT,
                _VIEWER,
            ),
            ("image_id",),
        ),
        Table(
            "image_embeddings",
            "embedding",
            "an image",
            (
                _IMAGE_ID,
                _LSOA,
                _HEADING,
                _embedding("embedding", "CLIP embedding of unit length"),
                _text("sha256", "hash of the file embedded"),
                _ENCODER,
            ),
            ("image_id",),
        ),
        Table(
            "category_embeddings",
            "embedding",
            "a category",
            (
                _count("position", "place of the category in the study's list, from 0"),
                _text("category", "name of the category"),
                Column("is_reject", "BOOLEAN", "its images are set aside from the features"),
                _text("prompts", "the phrases averaged, one per line"),
                _embedding("embedding", "averaged CLIP text embedding of unit length"),
                _number("logit_scale", "sharpness of the softmax, as the model learnt it"),
                _CATEGORY_SET,
                _ENCODER,
            ),
            ("category",),
            is_partitioned=False,
        ),
        Table(
            "prompt_variants",
            "embedding",
            "a category in other words, or a control that no street shows",
            (
                _text("variant", "what was changed, in words"),
                _text("kind", "reworded, without_prompt, without_template or control"),
                _text("category", "category whose words were changed, or control"),
                _text("prompts", "the phrases averaged, one per line"),
                _embedding("embedding", "averaged CLIP text embedding of unit length"),
                _CATEGORY_SET,
                _ENCODER,
            ),
            ("variant", "category"),
            is_partitioned=False,
        ),
        Table(
            "concept_directions",
            "embedding",
            "a text, or a pair of texts, as a direction among embeddings",
            (
                _CONCEPT,
                _CONCEPT_KIND,
                _TOWARD,
                _AWAY,
                _embedding("embedding", "direction of unit length"),
                _ENCODER,
            ),
            ("concept",),
            is_partitioned=False,
        ),
        Table(
            "category_probabilities",
            "classification",
            "an image",
            (
                _IMAGE_ID,
                _LSOA,
                _HEADING,
                _text("category", "the category with the highest probability"),
                _number("probability", "softmax share of that category; relative, not calibrated"),
                _number("margin", "cosine similarity of the first category minus that of the second"),
                _number("entropy_share", "entropy of the probabilities over its maximum, 0 to 1"),
                Column("is_rejected", "BOOLEAN", "the category is a reject category"),
                _number("{category}_similarity", "cosine similarity with {category}"),
                _number("{category}_probability", "softmax share of {category}; relative, not calibrated"),
                _CATEGORY_SET,
                _ENCODER,
            ),
            ("image_id",),
        ),
        Table(
            "assessment_images",
            "assessment",
            "a chosen image and why",
            (
                _text("reason", "highest_scoring, least_decisive, category_grid or control"),
                _text("category", "category it was chosen for"),
                _count("position", "place within reason and category, from 1"),
                _IMAGE_ID,
                _LSOA,
                _HEADING,
                _number("probability", "probability of that category"),
                _number("margin", "cosine similarity of the first category minus that of the second"),
                _number("{category}_probability", "softmax share of {category}; relative, not calibrated"),
                _IMAGE_PATH,
                _CAPTURED,
                _LICENCE,
                _CREDIT,
                _VIEWER,
            ),
            ("reason", "category", "position"),
        ),
        Table(
            "prompt_sensitivities",
            "assessment",
            "a change of the prompts",
            (
                _text("variant", "what was changed, in words"),
                _text("kind", "reworded, without_prompt, without_template or control"),
                _text("category", "the one category whose words were changed", nullable=True),
                _count("n_images", "images classified"),
                _count("n_changed", "images that change category; of a control, images it would take"),
                _number("changed_share", "n_changed of n_images", nullable=True),
                _text("changed_from", "of the commonest change, the category left", nullable=True),
                _text("changed_to", "of the commonest change, the category entered, or control", nullable=True),
                _count("n_changed_from_to", "images of the commonest change"),
            ),
            ("variant",),
        ),
        Table(
            "label_candidates",
            "assessment",
            "an image chosen to be labelled by people",
            (
                _IMAGE_ID,
                _count("position", "place in the order in which raters see them, from 1; random"),
                _text("design", "stratified, or random among all images"),
                _text("stratum", "predicted category and the half of its images by probability"),
                _count("n_in_stratum", "images in the stratum, labelled or not"),
                _LSOA,
                _HEADING,
                _text("category", "the category predicted, which raters are not shown"),
                _number("probability", "its softmax share; relative, not calibrated"),
                _IMAGE_PATH,
                _CAPTURED,
                _LICENCE,
                _CREDIT,
                _VIEWER,
                _CATEGORY_SET,
                _ENCODER,
            ),
            ("image_id",),
        ),
        Table(
            "image_labels",
            "assessment",
            "an image labelled by a rater",
            (
                _IMAGE_ID,
                _text("rater", "name the rater gave"),
                _text("label", "a category, or unsure"),
                _LAD,
                Column("labelled_at", "TIMESTAMP", "when, UTC", nullable=True),
                _text("file", "the CSV file it was read from"),
            ),
            ("image_id", "rater"),
            is_partitioned=False,
        ),
        Table(
            "label_agreement",
            "assessment",
            "a category",
            (
                _text("category", "name of the category"),
                _count("n_labelled", "images that people gave this label; a tie counts for each of its labels"),
                _count("n_predicted", "labelled images that the model gave this category"),
                _number("precision", "of the images predicted, the share people label so", nullable=True),
                _number("precision_low", "lower end of the 95% interval", nullable=True),
                _number("precision_high", "upper end of the 95% interval", nullable=True),
                _number("recall", "of the images people label so, the share predicted", nullable=True),
                _number("recall_low", "lower end of the 95% interval", nullable=True),
                _number("recall_high", "upper end of the 95% interval", nullable=True),
                _number("predicted_share", "of all images, those predicted"),
                _number("corrected_share", "of all images, what people would label so", nullable=True),
                _number("corrected_share_low", "lower end of the 95% interval", nullable=True),
                _number("corrected_share_high", "upper end of the 95% interval", nullable=True),
            ),
            ("category",),
            is_partitioned=False,
        ),
        Table(
            "label_figures",
            "assessment",
            "a figure about the classification or its raters",
            (
                _text(
                    "figure",
                    "accuracy, cohens_kappa, temperature, calibration_error_before, calibration_error_after",
                ),
                _number("value", "the figure", nullable=True),
                _number("low", "lower end of the 95% interval", nullable=True),
                _number("high", "upper end of the 95% interval", nullable=True),
                _count("n_images", "labelled images it is about"),
                _text("detail", "what it is of, such as the two raters", nullable=True),
            ),
            ("figure",),
            is_partitioned=False,
        ),
        Table(
            "label_confusions",
            "assessment",
            "a label and a predicted category",
            (
                _text("label", "what people say, by majority"),
                _text("category", "what the model says"),
                _count("n_images", "labelled images; a tie counts for each of its labels"),
                _number("share", "of all images, re-weighted to how often the model says it"),
            ),
            ("label", "category"),
            is_partitioned=False,
        ),
        Table(
            "reliability_bins",
            "assessment",
            "a bin of probability, before or after temperature scaling",
            (
                _text("stage", "before or after"),
                _count("bin", "number of the bin, from 1"),
                _number("mean_probability", "mean probability of the category predicted"),
                _number("agreement_share", "images of which people say the same, re-weighted"),
                _number("agreement_low", "lower end of the 95% interval", nullable=True),
                _number("agreement_high", "upper end of the 95% interval", nullable=True),
                _count("n_images", "labelled images"),
            ),
            ("stage", "bin"),
            is_partitioned=False,
        ),
        Table(
            "lsoa_features",
            "features",
            "an LSOA",
            (
                _LSOA,
                _LAD,
                _count("n_points", "sample points in the LSOA"),
                _count("n_panoramas", "usable panoramas standing in the LSOA"),
                _count("n_images", "images classified"),
                _count("n_images_kept", "images not set aside by a reject category"),
                _number("rejected_share", "images set aside, of n_images", nullable=True),
                _count("n_{category}", "images of {category}"),
                _number(
                    "{category}_share",
                    "images of {category}, of n_images_kept (a reject category: of n_images)",
                    nullable=True,
                ),
                _embedding("mean_embedding", "mean over the kept images", nullable=True),
                _embedding("median_embedding", "median of each dimension over the kept images", nullable=True),
                _embedding(
                    "max_embedding",
                    "maximum of each dimension over the kept images; grows with their number",
                    nullable=True,
                ),
                _embedding("{category}_mean_embedding", "mean over the images of {category}", nullable=True),
                _embedding("{category}_median_embedding", "median, images of {category}", nullable=True),
                _embedding("{category}_max_embedding", "maximum, images of {category}", nullable=True),
                Column(
                    "{feature}",
                    "DOUBLE",
                    "{feature}, as the study's table of area features has it",
                    nullable=True,
                    has_given_name=True,
                ),
                _CATEGORY_SET,
                _ENCODER,
            ),
            ("lsoa_code",),
        ),
        Table(
            "imd_correlations",
            "correlation",
            "an embedding dimension and a measure of deprivation",
            (
                _text("measure", "what it is correlated with: " + ", ".join(MEASURES)),
                _count("dimension", "embedding dimension, from 0"),
                _text("feature", "of a table of area features, the name of that column", nullable=True),
                _number("pearson_r", "linear correlation over LSOAs; rank 1 is the most deprived", nullable=True),
                _number("spearman_r", "rank correlation over LSOAs", nullable=True),
                _number("p_value", "of pearson_r, taking LSOAs as independent, which they are not", nullable=True),
                _number("q_value", "of p_value: Benjamini-Hochberg over dimensions", nullable=True),
                _number(
                    "spatial_p_value",
                    "of pearson_r, beside random surfaces that are as smooth as the measure (Gaussian process)",
                    nullable=True,
                ),
                _number("spatial_q_value", "of spatial_p_value: Benjamini-Hochberg", nullable=True),
                _number(
                    "spectral_p_value",
                    "of pearson_r, by Moran spectral randomisation of the measure; NULL for very many LSOAs",
                    nullable=True,
                ),
                _number("spectral_q_value", "of spectral_p_value: Benjamini-Hochberg", nullable=True),
                _count("n_lsoas", "LSOAs used"),
            ),
            ("measure", "dimension"),
            is_partitioned=False,
        ),
        Table(
            "spatial_fields",
            "correlation",
            "a measure of deprivation, and how alike it is among neighbours",
            (
                _text("measure", "the measure: " + ", ".join(MEASURES)),
                _number("morans_i", "Moran's I among the 8 nearest LSOAs: 0 is no likeness, 1 is a smooth surface"),
                _number("range_m", "of the field fitted: likeness falls to 1/e over this distance", "m"),
                _number("smooth_share", "share of the field's variance that neighbours have in common"),
                _text("shape", "of the field by distance, from the roughest: exponential, matern or gaussian"),
                _number("stretch", "how many times farther likeness reaches along bearing_deg than across it"),
                _number(
                    "bearing_deg",
                    "direction in which likeness reaches farthest, clockwise from grid north, 0 to 180",
                    "deg",
                ),
                _number(
                    "longest_range_m",
                    "longest range nearly as likely as range_m, with which random surfaces are drawn",
                    "m",
                ),
                _count("n_lsoas", "LSOAs used"),
            ),
            ("measure",),
            is_partitioned=False,
        ),
        Table(
            "noise_correlations",
            "correlation",
            "a draw of random noise",
            (
                _text(
                    "kind",
                    "independent: random embeddings beside the target; spatial: the study's embeddings beside a "
                    "random surface as smooth as the target",
                ),
                _count("draw", "number of the draw, from 0"),
                _number("max_absolute_r", "largest |r| over the dimensions"),
                _number("median_absolute_r", "median |r| over the dimensions"),
                _count("n_dimensions", "dimensions"),
                _count("n_lsoas", "LSOAs used"),
            ),
            ("kind", "draw"),
            is_partitioned=False,
        ),
        Table(
            "embedding_components",
            "correlation",
            "a principal component of the mean embeddings",
            (
                _count("component", "number of the component, from 1"),
                _number("explained_variance_share", "variance it carries, of the whole"),
                _number("pearson_r", "linear correlation of its scores with the target", nullable=True),
                _number("spearman_r", "rank correlation of its scores with the target", nullable=True),
                _count("n_lsoas", "LSOAs used"),
                _embedding("loadings", "direction of unit length"),
            ),
            ("component",),
            is_partitioned=False,
        ),
        Table(
            "concept_correlations",
            "correlation",
            "a text and a measure of deprivation",
            (
                _CONCEPT,
                _CONCEPT_KIND,
                _TOWARD,
                _AWAY,
                _text("measure", "what it is correlated with"),
                _number("pearson_r", "of the mean embedding's place along the text's direction", nullable=True),
                _number("pearson_r_low", "lower end of the 95% interval, blocks resampled", nullable=True),
                _number("pearson_r_high", "upper end of the 95% interval", nullable=True),
                _number("spearman_r", "rank correlation", nullable=True),
                _number(
                    "spatial_p_value",
                    "of pearson_r, beside random surfaces that are as smooth as the measure",
                    nullable=True,
                ),
                _number("spatial_q_value", "of spatial_p_value: Benjamini-Hochberg over texts", nullable=True),
                _number(
                    "random_word_p_value",
                    "share of random words, of a pair of random pairs, with at least this |r|; NULL for those",
                    nullable=True,
                ),
                _count("n_lsoas", "LSOAs used"),
            ),
            ("measure", "concept"),
            is_partitioned=False,
        ),
        Table(
            "model_scores",
            "comparison",
            "a model and fold",
            (
                _MODEL_ID,
                _text("experiment", "forest_80_20 (one forest on every way of summarising images) or tuned"),
                _text(
                    "lsoas",
                    "own: all that have these features; common: those that have images of every category compared",
                ),
                _text("target", "column of deprivation_indices predicted"),
                _FEATURE_SET,
                _STATISTIC,
                _text("category", "category whose images alone are used", nullable=True),
                _ESTIMATOR,
                _SPLIT,
                _text("fold", "repeat or fold from 0, or the local authority held out, or 'all' together"),
                _count("n_lsoas", "LSOAs with these features"),
                _number("coverage_share", "n_lsoas of the LSOAs with any image kept"),
                _count("n_train", "LSOAs fitted on"),
                _count("n_test", "LSOAs scored"),
                *_score("r2", "coefficient of determination on the scored LSOAs", since=2),
                *_score("mean_absolute_error", "in units of the target"),
                *_score("decile_absolute_error", "mean error in tenths of the study's LSOAs"),
                *_score("spearman_r", "rank correlation of predicted and observed"),
                *_score(
                    "within_one_decile_share", "LSOAs predicted in their own tenth of the study's LSOAs or the next"
                ),
                *_score("weighted_kappa", "Cohen's kappa over tenths, quadratic weights"),
                _number("interval_coverage_share", "LSOAs inside their own 90% interval", nullable=True),
                _text("tuning", "none, usual, nested, or reused: as tuned on the same LSOAs for the target"),
                _text("parameters", "parameters used, as JSON", nullable=True),
                _text("note", "why there is no score", nullable=True),
            ),
            ("model_id", "fold"),
            is_partitioned=False,
        ),
        Table(
            "model_differences",
            "comparison",
            "a model and one it is compared with, on the same LSOAs",
            (
                _MODEL_ID,
                _text("reference_id", "model_id it is compared with"),
                _text("experiment", "forest_80_20 or tuned"),
                _text("target", "column of deprivation_indices predicted"),
                _SPLIT,
                _number("r2_difference", "R² of the model minus that of the reference"),
                _number("r2_difference_low", "lower end of the 95% interval, blocks resampled", nullable=True),
                _number("r2_difference_high", "upper end of the 95% interval", nullable=True),
                _count("n_lsoas", "LSOAs scored by both"),
            ),
            ("model_id", "reference_id"),
            is_partitioned=False,
        ),
        Table(
            "lsoa_predictions",
            "comparison",
            "an LSOA and model",
            (
                _MODEL_ID,
                _LSOA,
                _LAD,
                _text("fold", "fold in which the LSOA was held out"),
                _number("observed", "the target"),
                _number("predicted", "by a model that never saw this LSOA"),
                _number("residual", "observed minus predicted"),
                _number(
                    "predicted_low",
                    "lower end of the 90% interval, from the errors in the other folds",
                    nullable=True,
                ),
                _number("predicted_high", "upper end of the 90% interval", nullable=True),
                Column("is_thin", "BOOLEAN", "fewer images kept than the study calls enough: trust it less"),
            ),
            ("model_id", "lsoa_code"),
            is_partitioned=False,
        ),
        Table(
            "residual_autocorrelation",
            "comparison",
            "a model, and how alike its errors are among neighbours",
            (
                _MODEL_ID,
                _SPLIT,
                _number(
                    "morans_i",
                    "Moran's I of the residuals: 0 is none, positive is errors in clumps; NULL if all are equal",
                    nullable=True,
                ),
                _number("expected_i", "what independent residuals would give"),
                _number("p_value", "share of random arrangements at least as far from expected_i", nullable=True),
                _number("observed_morans_i", "Moran's I of the target itself", nullable=True),
                _count("n_neighbours", "nearest LSOAs compared with"),
                _count("n_lsoas", "LSOAs used"),
            ),
            ("model_id",),
            is_partitioned=False,
        ),
        Table(
            "residual_clusters",
            "comparison",
            "an LSOA, and whether the errors of the headline model clump around it",
            (
                _MODEL_ID,
                _LSOA,
                _LAD,
                _number("residual", "observed minus predicted, held out"),
                _number("local_i", "local Moran's I"),
                _text("cluster", "high_high, low_low, high_low, low_high, or none where q is not below 0.05"),
                _number("p_value", "share of random arrangements of the others at least as far from expected"),
                _number("q_value", "Benjamini-Hochberg over LSOAs"),
            ),
            ("lsoa_code",),
            is_partitioned=False,
        ),
        Table(
            "learning_curve",
            "comparison",
            "a number of points per LSOA, and what models read from so many",
            (
                _count("n_points_per_lsoa", "the most points used of each LSOA"),
                _text("repeat", "number of the random choice of points from 0, or 'all' together"),
                _SPLIT,
                _ESTIMATOR,
                _number("mean_points_per_lsoa", "points used: some LSOAs have fewer"),
                _number("mean_images_per_lsoa", "images kept of those points"),
                _number("r2", "coefficient of determination on LSOAs held out", nullable=True),
                _number("r2_low", "lower end of the 95% interval, blocks resampled", nullable=True),
                _number("r2_high", "upper end of the 95% interval", nullable=True),
                _count("n_lsoas", "LSOAs used"),
            ),
            ("n_points_per_lsoa", "repeat"),
            is_partitioned=False,
        ),
        Table(
            "fitted_models",
            "comparison",
            "a model fitted on every LSOA",
            (
                _MODEL_ID,
                _text("target", "column of deprivation_indices predicted"),
                _FEATURE_SET,
                _STATISTIC,
                _text("estimator", "ridge, pls, svr, random_forest or lightgbm"),
                _text("parameters", "as JSON"),
                _text("feature_names", "one per line, in the order the model expects"),
                _text("local_authorities", "fitted on these, one per line"),
                _count("n_lsoas", "fitted on"),
                _count("seed", "of the random numbers"),
                _text("format", "skops, or lightgbm (its own text)"),
                _text("library_versions", "as JSON"),
                _CATEGORY_SET,
                _ENCODER,
                Column("payload", "BLOB", "the model itself, in its format"),
            ),
            ("model_id",),
            is_partitioned=False,
        ),
        Table(
            "local_authority_scores",
            "comparison",
            "a model, scored within the local authority",
            (
                _MODEL_ID,
                _LAD,
                _FEATURE_SET,
                _ESTIMATOR,
                _text("split", "how the predictions were held out"),
                _count("n_lsoas", "LSOAs scored"),
                *_score("r2", "against the local authority's own mean; NULL under 10 LSOAs"),
                *_score("mean_absolute_error", "in units of the target"),
                *_score("mean_error", "predicted minus observed: systematic error here"),
                *_score("spearman_r", "rank correlation; NULL under 10 LSOAs"),
            ),
            ("model_id",),
        ),
        Table(
            "feature_importances",
            "importance",
            "a feature and method",
            (
                _MODEL_ID,
                _text(
                    "method",
                    "permutation, permutation_cluster, permutation_component (on held-out LSOAs), gini, or shap",
                ),
                _text("feature", "an embedding dimension, a category share, or a group of features"),
                _number(
                    "importance",
                    "permutation: loss of R²; gini: share of impurity removed; shap: mean absolute effect on the "
                    "prediction, in units of the target",
                ),
                _number(
                    "importance_sd", "over seeds and, of each, shuffles (permutation), trees (gini) or folds (shap)"
                ),
                _number("band_low", "2.5% of the same over features where the target is shuffled", nullable=True),
                _number("band_high", "97.5% of the same over features where the target is shuffled", nullable=True),
                _number(
                    "band_top",
                    "highest of the same of any feature where the target is shuffled: what the first of many gets "
                    "by chance",
                    nullable=True,
                ),
                _number(
                    "top_share",
                    "permutation, gini: share of seeds of folds and model with it among the 20 highest",
                    nullable=True,
                ),
                _number(
                    "direction_r",
                    "shap: correlation of the share with what it adds to the prediction; positive where more of it "
                    "raises the target predicted",
                    nullable=True,
                ),
                _count("position", "rank by importance, 1 is the highest"),
                _text(
                    "members",
                    "of a cluster, its features; of a component, the ten with the largest loadings; one per line",
                    nullable=True,
                ),
            ),
            ("model_id", "method", "feature"),
            is_partitioned=False,
        ),
        Table(
            "example_words",
            "importance",
            "a text at one end of a feature",
            (
                _text(
                    "feature", "an embedding dimension or a direction: ridge_direction, or concept: and its name"
                ),
                _FEATURE_POSITION,
                _text("end", "high or low"),
                _count("position", "place from that end, from 1"),
                _text("text", "a phrase of the study's bank"),
                _number("value", "of the feature in the text, from the mean of the bank, in standard deviations"),
            ),
            ("feature", "end", "position"),
            is_partitioned=False,
        ),
        Table(
            "example_images",
            "importance",
            "an image at one end of a feature",
            (
                _text("model_id", "the model that leans on the feature; of a text there is none", nullable=True),
                _text(
                    "feature",
                    "an embedding dimension, a category share, or a direction: ridge_direction, or concept: "
                    "and its name",
                ),
                _FEATURE_POSITION,
                _text("end", "high or low"),
                _count("position", "place from that end, from 1"),
                _number("value", "of the feature in this image; of a share, the probability"),
                _IMAGE_ID,
                _LSOA,
                _LAD,
                _HEADING,
                _text("category", "the category with the highest probability"),
                _IMAGE_PATH,
                _CAPTURED,
                _LICENCE,
                _CREDIT,
                _VIEWER,
            ),
            ("feature", "end", "position"),
            is_partitioned=False,
        ),
        Table(
            "planted_lsoas",
            "truth",
            "an LSOA of a study with painted images",
            (
                _LSOA,
                _LAD,
                _number("deprivation", "what the painter was told, 0 least to 1 most deprived"),
                _number("{category}_planted_share", "planted probability of painting {category}"),
            ),
            ("lsoa_code",),
        ),
        Table(
            "planted_scenes",
            "truth",
            "a painted image",
            (
                _IMAGE_ID,
                _text("panorama_id", "the painter's name of the panorama"),
                _text("lsoa_code", "LSOA whose deprivation drew the scene"),
                _HEADING,
                _text("category", "scene class painted"),
                _number("disrepair", "visible disrepair painted, 0 to 1"),
                _text("fault", "fault planted: blank, truncated, indoor", nullable=True),
            ),
            ("image_id",),
        ),
    )
}

PARTITIONED_TABLES = tuple(name for name, table in TABLES.items() if table.is_partitioned)


def get_table(name: str, categories: Sequence[str] = (), features: Sequence[str] = ()) -> Table:
    """Return the declaration of a table, its templates written out."""
    return TABLES[name].expand(categories, features)
