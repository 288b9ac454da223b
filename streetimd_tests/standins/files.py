"""A plain file server, as the government's publishing service is one."""

import hashlib
from collections.abc import Callable, Mapping

from streetimd_tests.standins.server import Asked, Reply


class Files:
    """Files by path, each read when it is asked for; none is sent again to who names its tag."""

    def __init__(self, files: Mapping[str, Callable[[], bytes]]):
        self.files = files

    def answer(self, asked: Asked) -> Reply:
        if asked.path not in self.files:
            return Reply(b"not found", 404)
        content = self.files[asked.path]()
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        if asked.headers.get("If-None-Match") == tag:
            return Reply(status=304, headers={"ETag": tag})
        return Reply(content, content_type="text/csv", headers={"ETag": tag})
