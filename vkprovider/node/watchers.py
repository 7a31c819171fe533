"""Several watchers as one."""

from __future__ import annotations

from vkprovider.core.actions import Decision
from vkprovider.core.view import PodView
from vkprovider.model.engine import PullProgress
from vkprovider.model.pod import Pod
from vkprovider.ports import Watcher


class Watchers:
    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def looked(self, view: PodView, decision: Decision) -> None:
        for watcher in self._watchers:
            watcher.looked(view, decision)

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        for watcher in self._watchers:
            watcher.pulling(pod, container, progress)
