"""``streetimd doctor``: what a study needs of this machine and of the world, examined and left as it is.

No finding holds a key, and nothing is bought: each address is asked for one byte.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.machine import (
    Finding,
    examine_disk,
    examine_encoder,
    examine_libraries,
    examine_open_files,
    examine_python,
)
from streetimd_assets.errors import BudgetError, StudyError, TermsError
from streetimd_assets.settings import Settings, read_environment
from streetimd_assets.sources.boundaries import DEFAULT_BOUNDARIES
from streetimd_assets.sources.deprivation import DEFAULT_FILES
from streetimd_assets.sources.imagery.base import Provider
from streetimd_assets.sources.imagery.providers import require_acceptance, require_budget
from streetimd_assets.sources.web import NoAnswer, Web, without_secrets
from streetimd_assets.study import Study

LONGEST_ASKED_S = 10
# median of street pictures of 640 by 640 pixels as JPEG; rows and embedding of an image in all tables
BYTES_PER_PICTURE, PICTURE_SIDE_PX, BYTES_PER_ROW = 55_000, 640, 3_500
# England has some 303,000 km of public road in 33,755 LSOAs; towns have less in each
ROAD_M_PER_LSOA = 9_000


def examine(settings: Settings, study: Study) -> list[Finding]:
    """Examine what a study needs, from versions to addresses; takes seconds, and changes nothing.

    Parameters
    ----------
    settings
        Where the data are kept.
    study
        The study, read and valid.

    Returns
    -------
    findings
        In the order in which a person would look; none raises, whatever it finds.
    """
    acquisition = Acquisition(House(study, settings))
    found = [*examine_python(), *examine_libraries()]
    provider = None
    try:
        provider = acquisition.provider
    except StudyError as error:
        found.append(Finding("image source", "problem", str(error)))
    else:
        found += examine_provider(provider, study, read_environment())
    found += examine_local_files(study)
    encoder, weights_address = examine_encoder(study) if study.has_images else ([], None)
    addresses = {
        **addresses_of(study, provider),
        **({"weights to fetch": weights_address} if weights_address else {}),
    }
    n_bytes = estimate_bytes(study, retains_images=provider is None or acquisition.retains_images)
    return [
        *found,
        *examine_addresses(addresses),
        *examine_disk(settings.data_root, n_bytes),
        *examine_open_files(study),
        *encoder,
    ]


def examine_provider(provider: Provider | None, study: Study, environment: Mapping[str, str]) -> Iterator[Finding]:
    """See that keys are there (their values are never named), terms are accepted and a budget is set."""
    if not study.has_images:
        yield Finding("features", "ok", f"come from {study.area_table.path.name}: no images are needed")
        return
    if provider is None:
        yield Finding("image source", "ok", "painted images need no key and cost nothing")
        return
    for name, meaning in provider.keys.items():
        if environment.get(name):
            yield Finding("key", "ok", f"{name} is set")
        else:
            remedy = "set it in the environment, or in a file named .env in the folder you run from"
            yield Finding("key", "problem", f"{name} is not set: {meaning}", remedy)
    for name, meaning in provider.optional_keys.items():
        is_set = "is set" if environment.get(name) else f"is not set, and may be left out: {meaning}"
        yield Finding("key", "ok", f"{name} {is_set}")
    try:
        require_acceptance(provider, study.imagery)
        yield Finding("terms", "ok", f"{provider.title}: {provider.terms.title} ({provider.terms.url})")
    except TermsError as error:
        yield Finding("terms", "problem", str(error))
    try:
        require_budget(provider, study.budget)
        costs = "costs nothing" if provider.prices is None else "the study limits what a month may cost"
        yield Finding("budget", "ok", f"{provider.title}: {costs}")
    except BudgetError as error:
        yield Finding("budget", "problem", str(error))


def examine_local_files(study: Study) -> Iterator[Finding]:
    """See that files and folders the study names are there."""
    place, imagery = study.geography, study.imagery
    is_official = place.source == "official"
    named = {
        "geography.boundaries": place.boundaries if is_official else None,
        "geography.lookup": place.lookup if is_official else None,
        "geography.roads_file": place.roads_file if is_official else None,
        "deprivation.url": study.deprivation.url if is_official else None,
        "features.features_from": study.features.features_from,
        "imagery.folder": imagery.folder if imagery.source == "folder" else None,
        "imagery.manifest": imagery.manifest if imagery.source == "folder" else None,
    }
    for field, path in named.items():
        if not path or _is_address(path):
            continue
        if Path(path).exists():
            yield Finding("file", "ok", f"{field}: {path}")
        else:
            yield Finding(
                "file", "problem", f"{field} names {path}, which does not exist", "correct it in the study"
            )


def _is_address(named: str | None) -> bool:
    return named is not None and "://" in named


def addresses_of(study: Study, provider: Provider | None) -> dict[str, str]:
    """Return the addresses a study asks over HTTP, by what is asked of them."""
    place, found = study.geography, {}
    if place.source == "official":
        found["boundaries"] = place.boundaries or DEFAULT_BOUNDARIES[study.census]
        found["look-up"] = place.lookup or ""
        needs_server = study.has_images and not place.roads_file
        found["roads"] = f"{place.overpass_url.rstrip('/')}/status" if needs_server else ""
        found["deprivation index"] = study.deprivation.url or DEFAULT_FILES[study.deprivation.index]
    if provider is not None and provider.address is not None:
        found["image source"] = study.imagery.address or provider.address
    return {what: address for what, address in found.items() if _is_address(address)}


def examine_addresses(addresses: Mapping[str, str]) -> list[Finding]:
    """Ask each address for one byte, all at the same time; a refusal is an answer too."""
    # in a thread of its own: whoever calls may be in an event loop
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, _ask_all(addresses)).result()


async def _ask_all(addresses: Mapping[str, str]) -> list[Finding]:
    async with Web(n_tries=1, read_timeout_s=LONGEST_ASKED_S) as web:
        return await asyncio.gather(*(_ask(web, what, address) for what, address in addresses.items()))


async def _ask(web: Web, what: str, address: str) -> Finding:
    named, elsewhere = without_secrets(address), "see that this machine may reach it (network, proxy, firewall)"
    try:
        async with asyncio.timeout(LONGEST_ASKED_S):
            answer = await web.get(address, headers={"Range": "bytes=0-0"})
    except TimeoutError:
        return Finding(what, "problem", f"{named} did not answer within {LONGEST_ASKED_S} s", elsewhere)
    except NoAnswer as error:
        # a server that is busy answers with a status; it is there
        if re.search(r"\(\d{3} ", str(error)):
            return Finding(what, "warning", str(error), "try again later: it can be reached, and is busy")
        return Finding(what, "problem", str(error), elsewhere)
    said = f"{named} can be reached ({answer.status} {answer.reason})"
    if answer.status == 404 and what == "deprivation index":
        return Finding(what, "problem", said, "the file has moved: name its address, or a copy, in deprivation.url")
    return Finding(what, "ok", said)


def estimate_bytes(study: Study, *, retains_images: bool) -> int:
    """Return about how many bytes the whole study takes on disk: rather too many than too few.

    Parameters
    ----------
    study
        Its points per LSOA follow from the spacing, the minimum and the cap, on roads as long as the
        average of England; each gives one image per heading. A folder's images are counted instead.
    retains_images
        False if pictures are deleted once they are embedded.
    """
    choice = study.imagery
    if not study.has_images:
        # each feature stands in two columns, and in every table of its dimension or model
        return sum(authority.n_lsoas for authority in study.authorities) * study.n_dimensions * 100
    if choice.source == "folder":
        sizes = [path.stat().st_size for path in Path(choice.folder or "").rglob("*") if path.is_file()]
        return sum(sizes) + BYTES_PER_ROW * len(sizes)
    n_lsoas = sum(authority.n_lsoas for authority in study.authorities)
    per_lsoa = max(ROAD_M_PER_LSOA / study.sampling.spacing_m, study.sampling.min_points_per_lsoa)
    per_lsoa = min(per_lsoa, study.sampling.max_points_per_lsoa or per_lsoa)
    picture = BYTES_PER_PICTURE * (choice.image_size_px / PICTURE_SIDE_PX) ** 2 if retains_images else 0
    return round(n_lsoas * per_lsoa * len(choice.headings_deg) * (picture + BYTES_PER_ROW))


def has_problems(findings: Iterable[Finding]) -> bool:
    """Return True if something would stop the study."""
    return any(finding.state == "problem" for finding in findings)
