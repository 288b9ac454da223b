"""The image providers, one module each; every module here that declares ``PROVIDER`` is one."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from streetimd_assets.errors import BudgetError, StudyError, TermsError
from streetimd_assets.sources.imagery.base import ImagerySource, Provider
from streetimd_assets.study.imagery import Budget, Imagery


@cache
def all_providers() -> Mapping[str, Provider]:
    """Return every provider by its name."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    found = (module.PROVIDER for module in modules if hasattr(module, "PROVIDER"))
    return {provider.name: provider for provider in sorted(found, key=lambda provider: provider.name)}


def find_provider(name: str) -> Provider:
    """Return the provider that a study names.

    Raises
    ------
    StudyError
        If there is none of that name.
    """
    if name not in all_providers():
        raise StudyError(
            f"imagery.source is '{name}', which is none of {', '.join([*all_providers(), 'painted'])}; name one"
        )
    return all_providers()[name]


def open_source(choice: Imagery, environment: Mapping[str, str]) -> ImagerySource:
    """Return the study's image source, ready to be asked.

    Parameters
    ----------
    choice
        The study's section.
    environment
        Where keys are looked for; nothing else is read from it.

    Raises
    ------
    StudyError
        If there is no such provider.
    TermsError
        If its terms need to be accepted and are not, or a key is missing.
    """
    provider = find_provider(choice.source)
    require_acceptance(provider, choice)
    require_keys(provider, environment)
    wanted = [*provider.keys, *provider.optional_keys]
    return provider.open(choice, {name: environment[name] for name in wanted if environment.get(name)})


def require_acceptance(provider: Provider, choice: Imagery) -> None:
    """See that the study accepts a provider's terms where it must.

    Raises
    ------
    TermsError
        If it does not.
    """
    if provider.terms.needs_acceptance and not choice.accept_terms:
        raise TermsError(
            f"imagery.source '{provider.name}' may be asked only by those who accept its terms "
            f"({provider.terms.url}): {provider.terms.summary} If you may do what this study does, write "
            "accept_terms = true under [imagery]; or choose open imagery, such as source = 'mapillary'"
        )


def require_budget(provider: Provider, budget: Budget) -> None:
    """See that a study which buys images limits what it spends; planning needs no budget.

    Raises
    ------
    BudgetError
        If it does not.
    """
    if provider.prices is not None and not budget.limits_a_month:
        raise BudgetError(
            f"imagery.source '{provider.name}' costs money and the study sets no limit for a month; write "
            "max_images_per_month or max_usd_per_month under [budget] (`streetimd plan` says what it would cost)"
        )


def require_keys(provider: Provider, environment: Mapping[str, str]) -> None:
    """See that the keys a provider needs are there.

    Raises
    ------
    TermsError
        If one is not.
    """
    missing = [name for name in provider.keys if not environment.get(name)]
    if missing:
        raise TermsError(
            f"imagery.source '{provider.name}' needs {missing[0]} ({provider.keys[missing[0]]}); set it in the "
            "environment, or in a file named .env in the folder you run from"
        )
