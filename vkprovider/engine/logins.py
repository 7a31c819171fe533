"""What ``docker login`` has left for pulls: the credentials of a user, or of a file like a user's."""

from __future__ import annotations

import os

from docker import auth
from docker.errors import DockerException
from docker.utils import parse_repository_tag
from docker.utils.config import load_general_config


class Logins:
    """``path`` is the file that they are in, "" for this user's own, where the ``docker`` command finds it; None for no
    file: a node that others may send pods to does not lend them what is its user's.
    """

    def __init__(self, path: str | None = "") -> None:
        self._path = path

    def header(self, image: str) -> str:
        """The value of X-Registry-Auth for an image's registry; "" if there are no credentials for it.

        May run a credential helper, so it blocks.
        """
        if self._path is None or (self._path and not os.path.isfile(self._path)):
            return ""  # docker-py would take the user's own
        path = self._path or None
        try:
            config = auth.load_config(path, load_general_config(path))
            registry, _ = auth.resolve_repository_name(parse_repository_tag(image)[0])
            found = config.resolve_authconfig(registry)
        except DockerException:  # a helper that is missing or fails: public images can be had all the same
            return ""
        return auth.encode_header(found).decode() if found else ""
