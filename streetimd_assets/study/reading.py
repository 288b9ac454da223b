"""Read a study from the package or from a TOML file, and say in one sentence what is wrong with it."""

import json
import textwrap
import tomllib
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from streetimd_assets.errors import StudyError, UnknownLocalAuthorityError
from streetimd_assets.study.model import Study

# pydantic speaks of Python's types, a study's author of TOML's
_IN_TOML = {
    "tuple_type": 'it must be a list, such as ["Camden", "Tower Hamlets"]',
    "model_type": "it must be a section, a line in [brackets] with its fields below",
    "too_short": "the list must not be empty",
    "string_type": 'it must be text in "quotes"',
    "bool_parsing": "it must be true or false",
}
BUNDLED_STUDIES = ("demo", "england", "greater-manchester")


def load_study(name_or_path: str | Path) -> Study:
    """Load a bundled study by name, or a study file by path.

    Relative paths within a study file are relative to that file.

    Raises
    ------
    StudyError
        One sentence naming the file, the field, its value and what is allowed.
    """
    text, origin = _read(name_or_path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{origin} is not valid TOML: {error}; correct that line") from None
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise StudyError(_sentence(origin, error)) from None
    except UnknownLocalAuthorityError as error:
        raise UnknownLocalAuthorityError(f"{origin}: local_authorities: {error}") from None
    return _with_readable_head(_with_absolute_paths(study, Path(name_or_path).resolve().parent), origin)


def _with_readable_head(study: Study, origin: str) -> Study:
    """Read the head of the table of area features, if the study names one: its columns are the study's."""
    try:
        _ = study.area_features
    except StudyError as error:
        raise StudyError(f"{origin}: {error}") from None
    return study


def bundled_study_text(name: str) -> str:
    """Return the TOML of a study that ships with the package."""
    return (files("streetimd_assets.study") / "studies" / f"{name}.toml").read_text(encoding="utf-8")


def _read(name_or_path: str | Path) -> tuple[str, str]:
    if str(name_or_path) in BUNDLED_STUDIES:
        return bundled_study_text(str(name_or_path)), f"the bundled study '{name_or_path}'"
    path = Path(name_or_path)
    try:
        # some editors begin a file with a byte-order mark, which is not TOML
        return path.read_text(encoding="utf-8-sig"), str(name_or_path)
    except UnicodeDecodeError:
        raise StudyError(f"{name_or_path} is not text in UTF-8; save it again as UTF-8") from None
    except IsADirectoryError:
        raise StudyError(f"'{name_or_path}' is a folder; name the study file itself") from None
    except (OSError, ValueError):
        raise StudyError(
            f"'{name_or_path}' is neither a bundled study ({', '.join(BUNDLED_STUDIES)}) nor a study file "
            "that can be read; `streetimd init` writes one"
        ) from None


def _sentence(origin: str, error: ValidationError) -> str:
    """Turn pydantic's first complaint into one sentence, and count the others."""
    first, *others = error.errors(include_url=False)
    field = ".".join(str(part) for part in first["loc"])
    problem = first["msg"].removeprefix("Value error, ")
    problem = _IN_TOML.get(first["type"]) or problem[0].lower() + problem[1:]
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_at(first["loc"][:-1]))
        said = f"{origin}: '{field}' is not a field of a study; allowed here are {allowed}"
    elif first["type"] == "missing":
        said = f"{origin}: '{field}' is missing; add it"
    elif field:
        said = f"{origin}: {field} = {_shown(first['input'])} is not allowed: {problem}"
    else:
        said = f"{origin}: {problem}"
    return f"{said} (and {len(others)} more)" if others else said


def _shown(value: object) -> str:
    """Return a value much as TOML writes it, and no longer than a sentence bears."""
    return textwrap.shorten(json.dumps(value, default=str, ensure_ascii=False), 80, placeholder=" …")


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields allowed at a place in the study."""
    model: type = Study
    for part in location:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation  # type: ignore[attr-defined]
            model = next(iter(getattr(annotation, "__args__", ())), annotation)
    return sorted(model.model_fields)  # type: ignore[attr-defined]


def _with_absolute_paths(study: Study, base: Path) -> Study:
    """Make the paths a study names absolute: a run may be started from anywhere."""

    def absolute(path: str | None) -> str | None:
        return str((base / Path(path).expanduser()).resolve()) if path else path

    def local(named: str | None) -> str | None:
        return named if named and "://" in named else absolute(named)

    place, imagery = study.geography, study.imagery
    update: dict[str, object] = {
        "geography": place.model_copy(
            update={
                "boundaries": local(place.boundaries),
                "lookup": local(place.lookup),
                "roads_file": absolute(place.roads_file),
            }
        ),
        "features": study.features.model_copy(update={"features_from": absolute(study.features.features_from)}),
        "deprivation": study.deprivation.model_copy(update={"url": local(study.deprivation.url)}),
        "imagery": imagery.model_copy(
            update={"folder": absolute(imagery.folder), "manifest": absolute(imagery.manifest)}
        ),
    }
    if study.encoder.weights.startswith((".", "/", "~")):
        update["encoder"] = study.encoder.model_copy(update={"weights": absolute(study.encoder.weights)})
    return study.model_copy(update=update)
