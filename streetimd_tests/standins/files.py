"""A plain file server, as the government's publishing service is one."""

from collections.abc import Callable, Mapping

from streetimd_tests.standins.server import Asked, Reply


class Files:
    """Files by path, each read when it is asked for."""

    def __init__(self, files: Mapping[str, Callable[[], bytes]]):
        self.files = files

    def answer(self, asked: Asked) -> Reply:
        if asked.path not in self.files:
            return Reply(b"not found", 404)
        return Reply(self.files[asked.path](), content_type="text/csv")
