"""The study's categories in other words, to see how much the words decide."""

from collections.abc import Iterable

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.defs.table_asset import Made, stamped, table_asset
from streetimd_assets.encoders.base import Encoder
from streetimd_assets.science import classification, prompts


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Other wordings of the study's categories, and the control."""
    choice, categories, how = house.study.encoder, house.study.categories, house.study.assessment
    words = [[category.name, category.prompts] for category in categories.category]

    @table_asset(
        house,
        kinds=frozenset({"pytorch"}),
        code_version=stamped(
            1, *choice.deciding, categories.content_hash, words, categories.templates,
            how.rewordings, how.control_prompts,
        ),
        pool="torch",
    )  # fmt: skip
    def prompt_variants(encoder: dg.ResourceParam[LazyEncoder]) -> Made:
        """Each category said otherwise: reworded, with a prompt or a template left out; and a control.

        Made once for the study, so that each local authority can count, without the encoder, the images
        that change category with the words. A control, such as a cucumber, is what no street shows.
        """
        model = encoder.loaded
        said = prompts.wordings(categories, rewordings=how.rewordings, control_prompts=how.control_prompts)
        vectors = _embed_once(model, (phrase for wording in said for phrase in wording.phrases))
        rows = [
            {
                "variant": wording.variant,
                "kind": wording.kind,
                "category": wording.category,
                "prompts": "\n".join(wording.phrases),
                "embedding": classification.average_prompts(np.stack([vectors[text] for text in wording.phrases])),
                "category_set_hash": categories.content_hash,
                "encoder": model.identity,
            }
            for wording in said
        ]
        table = pd.DataFrame(rows, columns=list(house.store.table("prompt_variants").column_names))
        return Made(table, {"n_variants": int(table["variant"].nunique()), "n_phrases": len(vectors)})

    return [prompt_variants]


def _embed_once(model: Encoder, phrases: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Embed each phrase once: most stand in many variants."""
    texts = list(dict.fromkeys(phrases))
    return dict(zip(texts, model.embed_texts(texts), strict=True)) if texts else {}
