"""Post one JSON document to an address of the user's, such as a chat's webhook."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from streetimd_assets import __version__
from streetimd_assets.errors import SourceError

_PATIENCE_S = 20


def post_json(address: str, content: Mapping[str, object], *, named: str) -> None:
    """Post a document to an address that may itself be a secret, as those of chats are.

    Parameters
    ----------
    address
        Where to; an address of the web, http or https.
    content
        What to post.
    named
        What errors call the address, such as the variable that holds it: it is never said itself.

    Raises
    ------
    SourceError
        If it is no address, cannot be reached, or answers with anything but 2xx.
    """
    if not address.startswith(("http://", "https://")):
        raise SourceError(f"{named} is not an address of the web; it must begin with https:// or http://")
    headers = {"Content-Type": "application/json", "User-Agent": f"StreetIMD/{__version__}"}
    try:
        request = urllib.request.Request(address, json.dumps(content).encode(), headers)
        with urllib.request.urlopen(request, timeout=_PATIENCE_S):
            pass
    except urllib.error.HTTPError as answer:
        raise SourceError(f"the address in {named} answered {answer.code}; see that it is still valid") from None
    except (OSError, ValueError, http.client.HTTPException):
        # also of an address with a blank or a bracket in it, which the error would repeat
        raise SourceError(f"the address in {named} cannot be reached; see that it is right") from None
