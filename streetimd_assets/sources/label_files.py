"""CSV files of labels, as the labelling page saves them or as people write them by hand."""

import csv
import io
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from streetimd_assets.errors import LabelError
from streetimd_assets.schemas import UNSURE
from streetimd_assets.study import Study

COLUMNS = ("image_id", "rater", "label", "labelled_at", "study", "local_authority", "category_set_hash")
# a cell that begins so would be run by a spreadsheet; the page puts an apostrophe before it
_RISKY = ("=", "+", "-", "@", "\t", "\r", "'")
_LONGEST_NAME = 80

ImagesOf = Callable[[str], Collection[str]]


class _OutdatedError(LabelError):
    """A row that was right when it was written: the study has changed since."""


def read_label_files(paths: Sequence[Path], *, study: Study, images_of: ImagesOf) -> tuple[pd.DataFrame, list[str]]:
    """Read files of labels; of a rater's labels of one image the latest holds.

    Parameters
    ----------
    paths
        The files; of labels given at the same moment, or at none that is known, the later file and line
        holds, in the order of the files' names. Raters whose names differ in capitals or blanks only
        are one.
    study
        The study the labels must be of, with the categories there are.
    images_of
        Gives the images of a local authority, by its key, that may have a label.

    Returns
    -------
    labels
        Columns of ``image_labels``, in the order of image_id and rater; labelled_at is UTC.
    set_aside
        A sentence for each row whose image is no longer the study's, or that was labelled with other
        categories or prompts than the study's now.

    Raises
    ------
    LabelError
        If a file, a column or a row is not as it should be.
    """
    rows, set_aside = list[dict[str, Any]](), list[str]()
    for path in sorted(paths, key=lambda path: path.name):
        for line, cells in _rows(path):
            try:
                rows.append(_checked(path, line, cells, study, images_of))
            except _OutdatedError as error:
                set_aside.append(str(error))
    columns = ["image_id", "rater", "label", "lad_code", "labelled_at", "file"]
    table = pd.DataFrame(rows, columns=columns)
    table["labelled_at"] = pd.to_datetime(table["labelled_at"]).astype("datetime64[us]")
    same = table["rater"].str.casefold()
    table["rater"] = table["rater"].groupby(same).transform("first") if len(table) else table["rater"]
    latest = table.sort_values("labelled_at", kind="stable", na_position="first")
    latest = latest.drop_duplicates(["image_id", "rater"], keep="last")
    return latest.sort_values(["image_id", "rater"], ignore_index=True), set_aside


def read_label_file(path: Path, *, study: Study, images_of: ImagesOf) -> list[dict[str, Any]]:
    """Read one file of labels.

    Raises
    ------
    LabelError
        If it cannot be read, lacks a column, or a row has a label, an image, a local authority, a study
        or a category set that is not the study's.
    """
    return [_checked(path, line, cells, study, images_of) for line, cells in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield each row's line number and its cells by column; empty lines are passed over."""
    text = _text(path)
    head = text.split("\n", 1)[0]
    # where a comma divides decimals, spreadsheets divide cells by semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        names = [name.strip() for name in next(reader, [])]
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            raise LabelError(
                f"{path.name} has no column {missing[0]}; its first line must name {', '.join(COLUMNS)}, as the "
                "labelling page saves them"
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise _refusal(
                    path, reader.line_num, f"has {len(cells)} cells where the first line has {len(names)}",
                    "put each cell that holds a comma or a line break between quotes, or delete the line",
                )  # fmt: skip
            yield reader.line_num, {name: _plain(cell) for name, cell in zip(names, cells, strict=True)}
    except csv.Error as error:
        raise _refusal(
            path, reader.line_num, f"is not CSV ({error})", "save the file as CSV in UTF-8 again"
        ) from None


def _text(path: Path) -> str:
    try:
        # spreadsheets begin a file in UTF-8 with a mark, which is no part of the first name
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LabelError(f"{path.name} is not text in UTF-8; save it as 'CSV UTF-8' again") from None
    except OSError as error:
        raise LabelError(
            f"{path} cannot be read ({error.strerror or error}); name a CSV file saved by the labelling page"
        ) from None


def _plain(cell: str) -> str:
    """Undo what keeps a spreadsheet from running a cell."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_RISKY) else cell


def _checked(path: Path, line: int, cells: Mapping[str, str], study: Study, images_of: ImagesOf) -> dict[str, Any]:
    """Return a row of ``image_labels``, once each of its cells is one of the study's."""
    if cells["study"] != study.name:
        raise _refusal(
            path, line, f"is of study '{_short(cells['study'])}', not of {study.name}", "give it to that study"
        )
    authority = next((a for a in study.authorities if a.slug == cells["local_authority"]), None)
    if authority is None:
        raise _refusal(
            path, line, f"names local authority '{_short(cells['local_authority'])}', which is none of the study's",
            "correct it or delete the line",
        )  # fmt: skip
    if cells["category_set_hash"] != study.categories.content_hash:
        raise _refusal(
            path, line,
            f"was labelled with the category set {_short(cells['category_set_hash'])}, and the study's is now "
            f"{study.categories.content_hash}",
            "put the categories and prompts back, or label again",
            kind=_OutdatedError,
        )  # fmt: skip
    if cells["label"] not in (*study.categories.names, UNSURE):
        offered = ", ".join((*study.categories.names, UNSURE))
        raise _refusal(path, line, f"has label '{_short(cells['label'])}'", f"write one of {offered}")
    if cells["image_id"] not in images_of(authority.slug):
        raise _refusal(
            path, line,
            f"has image '{_short(cells['image_id'])}', which is no classified image of {authority.slug}",
            f"delete the line, or collect {authority.slug} as it was when the image was drawn",
            kind=_OutdatedError,
        )  # fmt: skip
    return {
        "image_id": cells["image_id"],
        "rater": _rater(path, line, cells["rater"]),
        "label": cells["label"],
        "lad_code": authority.lad_code,
        "labelled_at": _moment(path, line, cells["labelled_at"]),
        "file": path.name,
    }


def _rater(path: Path, line: int, name: str) -> str:
    # letters with marks are written in two ways that look the same
    printable = "".join(sign if sign.isprintable() else " " for sign in unicodedata.normalize("NFC", name))
    cleaned = " ".join(printable.split())
    if not cleaned or len(cleaned) > _LONGEST_NAME:
        wrong = "no rater" if not cleaned else f"a rater's name of {len(cleaned)} letters"
        raise _refusal(path, line, f"has {wrong}", f"write a name of 1 to {_LONGEST_NAME} letters")
    return cleaned


def _moment(path: Path, line: int, text: str) -> datetime | None:
    """Return a moment in UTC without its zone, as tables keep it; None if it is not said."""
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise _refusal(
            path,
            line,
            f"was labelled at '{_short(text)}'",
            "write a time as 2026-05-04T13:30:00Z, or leave it empty",
        ) from None


def _short(text: str) -> str:
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return printable if len(printable) <= 60 else f"{printable[:57]}..."


def _refusal(path: Path, line: int, wrong: str, remedy: str, *, kind: type[LabelError] = LabelError) -> LabelError:
    return kind(f"{path.name}, line {line} {wrong}; {remedy}")
