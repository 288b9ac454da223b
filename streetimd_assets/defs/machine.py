"""What a study needs of this machine: versions, disk, open files, and what computes embeddings."""

import importlib.metadata
import math
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from streetimd_assets.encoders.readiness import describe_computing, find_weights_at_hand
from streetimd_assets.errors import EncoderError
from streetimd_assets.study import Study

State = Literal["ok", "warning", "problem", "not checked"]

# tables that a query joins over all local authorities, each one open file; and files open anyway
_TABLES_JOINED, _FILES_OPEN = 5, 64
_NAMED_IN_FULL = ("dagster", "duckdb", "torch", "torchvision", "open_clip_torch")
_REINSTALL = "install the versions tested: pip install -e . -c constraints.txt"


@dataclass(frozen=True)
class Finding:
    """One thing examined, what was found, and what to do about it (empty if nothing)."""

    what: str
    state: State
    said: str
    remedy: str = ""


def examine_python() -> Iterator[Finding]:
    """Compare this Python with those the package is for."""
    here = platform.python_version()
    try:
        wanted = importlib.metadata.metadata("streetimd")["Requires-Python"] or ""
    except importlib.metadata.PackageNotFoundError:
        yield Finding("Python", "not checked", f"Python {here}; the package is not installed", _REINSTALL)
        return
    fits = SpecifierSet(wanted).contains(here, prereleases=True)
    said = f"Python {here}" if fits else f"Python {here}, and {wanted} is needed"
    yield Finding("Python", "ok" if fits else "problem", said, "" if fits else f"install a Python {wanted}")


def examine_libraries(installed: Callable[[str], str] = importlib.metadata.version) -> Iterator[Finding]:
    """Compare installed libraries with what the package requires, and torch with torchvision.

    Parameters
    ----------
    installed
        Gives the version of a library by its name, or raises PackageNotFoundError.
    """
    try:
        required = [Requirement(line) for line in importlib.metadata.requires("streetimd") or ()]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("libraries", "not checked", "the package is not installed", _REINSTALL)
        return
    needed = [*(each for each in required if each.marker is None), Requirement("torchvision")]
    versions = {each.name: _version_of(each.name, installed) for each in needed}
    wrong = [each for each in needed if not _fits(each, versions[each.name])]
    for each in wrong:
        here = versions[each.name] or "not installed"
        yield Finding(each.name, "problem", f"{each.name} is {here}, and {each.specifier} is needed", _REINSTALL)
    if not wrong:
        named = ", ".join(f"{name} {versions[name]}" for name in _NAMED_IN_FULL if name in versions)
        yield Finding("libraries", "ok", f"{len(needed)} as required, among them {named}")
    yield from _examine_pair(versions.get("torch"), versions["torchvision"])


def _version_of(name: str, installed: Callable[[str], str]) -> str | None:
    try:
        return installed(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _fits(requirement: Requirement, version: str | None) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _examine_pair(torch: str | None, torchvision: str | None) -> Iterator[Finding]:
    """See that torchvision is the one made for this torch: 0.15 went with 2.0, and so on."""
    if torch is None or torchvision is None or Version(torch).major != 2:
        return
    expected = f"0.{Version(torch).minor + 15}"
    if f"{Version(torchvision).major}.{Version(torchvision).minor}" != expected:
        yield Finding(
            "torchvision",
            "warning",
            f"torchvision {torchvision} is not the one made for torch {torch}, which is {expected}",
            _REINSTALL,
        )


def examine_disk(data_root: Path, n_bytes: int) -> Iterator[Finding]:
    """See that data can be written where they are kept, and that the study fits there."""
    folder = next(path for path in (data_root, *data_root.parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:
        said = f"nothing can be written to {folder} ({error.strerror})"
        yield Finding("data root", "problem", said, "name a folder of yours: --data or STREETIMD_DATA")
        return
    yield Finding("data root", "ok", f"data can be written to {data_root}")
    free = shutil.disk_usage(folder).free
    said = f"{_gigabytes(free)} are free, and the whole study takes at most about {_gigabytes(n_bytes)}"
    remedy = "keep data on a larger disk (STREETIMD_DATA), cap points per LSOA, or set retain_images = false"
    yield Finding("disk", "ok", said) if free > n_bytes else Finding("disk", "warning", said, remedy)


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"


def examine_open_files(study: Study) -> Iterator[Finding]:
    """Compare how many files may be open with what a query over all local authorities opens."""
    try:
        import resource
    except ImportError:
        yield Finding("open files", "not checked", "this system does not say how many files may be open")
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # no limit is written as a number below zero
    unlimited = {resource.RLIM_INFINITY: math.inf}
    yield judge_open_files(unlimited.get(soft, soft), unlimited.get(hard, hard), study)


def judge_open_files(soft: float, hard: float, study: Study) -> Finding:
    """Return the finding for these limits: a file per local authority and table joined, and connections."""
    n_authorities = len(study.authorities)
    collecting = _FILES_OPEN + study.imagery.max_connections
    needed = collecting + _TABLES_JOINED * n_authorities
    limit = "any number of" if soft == math.inf else f"{soft:,}"
    said = (
        f"{limit} files may be open, and a query that joins {_TABLES_JOINED} tables over {n_authorities:,} "
        f"local authorities needs about {needed:,}"
    )
    if soft >= needed:
        return Finding("open files", "ok", said)
    remedy = f"ulimit -n {needed}" if hard >= needed else f"ask for more than {hard:,}, the most you may set"
    return Finding("open files", "problem" if soft < collecting else "warning", said, remedy)


def examine_encoder(study: Study) -> tuple[list[Finding], str | None]:
    """See what computes embeddings and where the weights are.

    Returns
    -------
    findings
        On the device and the weights.
    address
        Where weights are to be fetched from; None if they are here, or cannot be had.
    """
    choice = study.encoder
    device = _finding_of("device", lambda: describe_computing(choice.model, choice.device, choice.precision))
    found = [device]
    try:
        weights = find_weights_at_hand(choice.model, choice.weights)
    except EncoderError as error:
        return [*found, Finding("weights", "problem", str(error))], None
    where = f"are in {weights.path}" if weights.path else f"will be fetched from {weights.address} at first use"
    return [*found, Finding("weights", "ok", f"{study.code_stamp}: weights {where}")], weights.address


def _finding_of(what: str, describe: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", describe())
    except EncoderError as error:
        return Finding(what, "problem", str(error))
