"""Sections of the study report: what was asked, what was found, and how far it can be trusted."""

from collections.abc import Mapping

from streetimd_assets.plots import (
    coverage,
    examples,
    importance_sections,
    links,
    model_sections,
    pages,
    picture_sheets,
    style,
)
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of
from streetimd_assets.plots.picture_sheets import Pictures, ReadImage

# pictures of the report; the page of examples shows all that were chosen
_MOST_FEATURES, _MOST_EXAMPLES = 8, 6


def question(tables: Tables, addresses: Mapping[str, str]) -> str:
    """Return the question in three sentences, the headline if there are models, and the ways to other pages."""
    area_table = coverage.area_table_of(tables)
    about = (
        "Streets look different in deprived and in prosperous neighbourhoods. This study turns street images into "
        "numbers per LSOA, with a model that was never shown a deprivation figure."
        if area_table is None
        else f"This study looks at no image: its numbers per LSOA are a table of area features, {area_table}."
    )
    asked = pages.paragraph(
        about,
        "It asks how much of deprivation those numbers can tell in neighbourhoods held out from the fit, beyond "
        "what location and chance alone would give.",
    )
    found = model_sections.headline(rows_of(tables, "model_scores"), rows_of(tables, "model_differences"))
    return asked + (f'\n<p class="headline">{found}</p>' if found else "") + links.other_pages(addresses)


def add_coverage(page: pages.Page, tables: Tables, authority_pages: Mapping[str, str]) -> None:
    """Add what was covered, by status and by local authority, each leading to its page by its ``lad_code``."""
    features, area_table = rows_of(tables, "lsoa_features"), coverage.area_table_of(tables)
    blocks = []
    if features is None:
        blocks.append(missing_note("lsoa_features"))
    else:
        counts = coverage.authority_counts(features, rows_of(tables, "lsoa_boundaries"))
        total = counts.sum()
        what = (
            f"images: {style.count(total['n_images'])} were classified and {style.count(total['n_images_kept'])} "
            "kept."
            if area_table is None
            else "every feature; an LSOA that lacks one is left out."
        )
        blocks.append(
            pages.paragraph(
                f"{style.count(total['n_lsoas_with_images'])} of {style.plural(total['n_lsoas'], 'LSOA')} in "
                f"{style.plural(len(counts), 'local authority', 'local authorities')} have {what}",
                "A local authority whose name is a link has a page of its own." if authority_pages else "",
            )
        )
        blocks.append(coverage.authority_table(counts, authority_pages, is_of_images=area_table is None))
    statuses = coverage.status_table(tables) if area_table is None else ""
    page.add_section("coverage", "Coverage", *blocks, statuses)


def add_importance(
    page: pages.Page,
    tables: Tables,
    titles: Mapping[str, str],
    read_image: ReadImage | None = None,
    example_page: str | None = None,
) -> None:
    """Add the features the models lean on, by each method, and what they look like.

    Pictures stand here if `read_image` gives them; else a link to `example_page` does, if there is one.
    """
    rows = rows_of(tables, "feature_importances")
    if rows is None:
        page.add_section("importance", "Feature importance", missing_note("feature_importances"))
        return
    is_of_images = coverage.area_table_of(tables) is None
    blocks = importance_sections.importance_blocks(page, rows, titles, is_of_images=is_of_images)
    page.add_section("importance", "Feature importance", *blocks)
    if not is_of_images:
        return
    page.add_section(
        "examples",
        "What the leading features look like",
        *_examples(page, tables, titles, read_image, example_page),
    )


def _examples(
    page: pages.Page,
    tables: Tables,
    titles: Mapping[str, str],
    read_image: ReadImage | None,
    example_page: str | None,
) -> list[str]:
    rows = rows_of(tables, "example_images")
    if rows is None:
        return [missing_note("example_images")]
    if read_image is None:
        where = links.page_link(example_page, "a page of their own") if example_page else "a page of their own"
        return [
            pages.paragraph(
                f"{style.plural(rows['image_id'].nunique(), 'example image')} of the "
                f"{style.plural(rows['feature'].nunique(), 'leading feature')} stand in {where}: the provider does "
                "not allow its pictures beside maps, or they were not kept."
            )
        ]
    page.css += examples.CSS
    page.scripts.append(picture_sheets.SCRIPT)
    is_direction = rows["feature"].map(lambda name: style.is_direction(str(name))).astype(bool)
    is_shown = (is_direction | (rows["feature_position"] <= _MOST_FEATURES)) & (rows["position"] <= _MOST_EXAMPLES)
    pictures = Pictures(read_image, int(is_shown.sum()))
    blocks = [examples.caution(rows, rows_of(tables, "example_words")), picture_sheets.KEYS]
    if example_page and not is_shown.all():
        blocks.append(
            pages.paragraph(f"There are more in {links.page_link(example_page, 'the page of examples')}.")
        )
    for _, some in rows[is_shown].groupby("feature_position", sort=True):
        title, block = examples.feature_block(
            some,
            pictures,
            titles,
            rows_of(tables, "imd_correlations"),
            model_sections.target_of(tables),
            rows_of(tables, "example_words"),
            rows_of(tables, "concept_correlations"),
        )
        blocks += [f"<h3>{title}</h3>", block]
    return blocks


def add_recovered(page: pages.Page, tables: Tables) -> None:
    """Add what was planted beside what was recovered, where the world is synthetic."""
    rows = rows_of(tables, "recovered_beside_planted")
    if rows is None:
        return
    cells = [
        [
            style.escape(row["finding"]),
            _found(row["planted"]),
            _found(row["recovered"]),
            style.escape(row["unit"]),
        ]
        for row in rows.to_dict("records")
    ]
    page.add_section(
        "recovered",
        "Planted and recovered",
        pages.paragraph(
            "The images were painted, so the answers are known; this is how well they were found again."
        ),
        pages.table("Planted and recovered", ["Finding", "Planted", "Recovered", "Unit"], cells, words=(0, 3)),
    )


def _found(value: object) -> str:
    return style.number(value, 3) if isinstance(value, int | float) else style.escape(value)


def add_meaning(page: pages.Page, tables: Tables) -> None:
    """Add what the numbers do and do not say."""
    about = _ABOUT_IMAGES if coverage.area_table_of(tables) is None else _ABOUT_AREA_FEATURES
    page.add_section(
        "meaning",
        "What these numbers say, and what they do not",
        pages.bullets(
            [
                "These are statements about neighbourhoods (LSOAs), never about the people or households in them.",
                f"Correlation is not causation: {about[0]} neither makes nor proves deprivation.",
                "A prediction is an estimate with an error, not a measurement; the official index stays the "
                "reference, and rank 1 is the most deprived.",
                "Neighbouring LSOAs resemble one another: random folds flatter every model, and p-values that "
                "take LSOAs as independent are too small.",
                *about[1:],
            ]
        ),
    )


# what causes nothing, and what is to be said besides
_ABOUT_IMAGES = (
    "the look of a street",
    f"Probability is {style.SHARE_NOTE}; categories are what the model takes an image for.",
    "Max pooling grows with sample size: an LSOA with more images has higher maxima.",
    "Images show streets where and when a camera passed; places without images are not described.",
)
_ABOUT_AREA_FEATURES = (
    "an area feature",
    "Features that were made from deprivation figures, or from what these are made from, tell them again: see how "
    "each feature was made.",
)
