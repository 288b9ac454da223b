"""Ask a server for one thing over HTTP, and turn every failure into one sentence with its remedy."""

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from streetimd_assets.errors import SourceError
from streetimd_assets.sources.web import Answer, IsBusy, NoAnswer, Web, without_secrets

N_TRIES = 4


def ask(
    url: str,
    params: Mapping[str, str] | None = None,
    *,
    error: type[SourceError],
    remedy: str,
    is_busy: IsBusy | None = None,
) -> bytes:
    """Return what a server answers to one GET request, redirects followed.

    Parameters
    ----------
    url, params
        The address and its query.
    error
        Class of the error raised.
    remedy
        What the user can do, in words that follow "; ".
    is_busy
        Says of an answer with status 200 whether it is really a plea to ask again.

    Raises
    ------
    SourceError
        Of the class given, if the server refuses or does not answer.
    """
    return ask_for_answer(url, params, error=error, remedy=remedy, is_busy=is_busy).body


def ask_for_answer(
    url: str,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    error: type[SourceError],
    remedy: str,
    is_busy: IsBusy | None = None,
    n_tries: int = N_TRIES,
    taken: Collection[int] = (200,),
) -> Answer:
    """Return the whole answer to one GET request, if its status is among those ``taken``.

    Raises
    ------
    SourceError
        Of the class given, if the server answers with another status or not at all.
    """

    async def once() -> Answer:
        async with Web(n_tries=n_tries, read_timeout_s=120) as web:
            return await web.get(url, params, headers, follow_redirects=True, is_busy=is_busy)

    try:
        # in a thread of its own: a notebook's event loop is running already
        with ThreadPoolExecutor(max_workers=1) as thread:
            answer = thread.submit(asyncio.run, once()).result()
    except NoAnswer as failure:
        if failure.is_silent:
            raise error(f"{failure}; try again later, or {remedy}").passing() from None
        raise error(f"{failure}; {remedy}") from None
    if answer.status not in taken:
        raise error(f"{without_secrets(url)} answered {answer.status} {answer.reason}; {remedy}")
    return answer
