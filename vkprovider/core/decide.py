"""``decide``: from one look at a pod to everything that follows from it.

::

    news ─▶ folded into record, memory, events
                 │
    pod, engine, record ─▶ has the end begun? ──yes─▶ stop what runs, in order ─▶ sandbox ─▶ teardown
                                  └──no──▶ single stops, volumes, sandbox, starts
                 │
    status, events, probes, the record to be written before any action, and when to look again

Synchronous, total, without IO; equal views give equal decisions.
"""

from __future__ import annotations

from datetime import timedelta

from vkprovider.core.actions import POD, Decision
from vkprovider.core.devices import assign_devices
from vkprovider.core.draft import Draft
from vkprovider.core.living import live
from vkprovider.core.lost import account_for_lost
from vkprovider.core.news import fold_news
from vkprovider.core.phase import FAILED, SUCCEEDED
from vkprovider.core.probe_targets import wanted_probes
from vkprovider.core.resize import allocate, resize_running, restart_resized
from vkprovider.core.standing import present_sandbox
from vkprovider.core.status import build_status
from vkprovider.core.stopping import begin_end, carry_on_end
from vkprovider.core.upkeep import followed_objects
from vkprovider.core.view import PodView
from vkprovider.model.observed import Run

UNSEEN_AGAIN = timedelta(seconds=30)


def decide(view: PodView) -> Decision:
    """Decide what is due for a pod now."""
    view, events = allocate(account_for_lost(view))
    view, turned_away = assign_devices(view)
    draft = Draft(view)
    draft.events += (*events, *turned_away)
    _take_in(draft)
    ending = begin_end(draft)
    if ending is not None:
        carry_on_end(draft, ending)
    else:
        restart_resized(draft)
        live(draft)
        resize_running(draft)
    return _sum_up(draft)


def _take_in(draft: Draft) -> None:
    """News, and what the first look or a new sandbox adds to the record; what concerns removed containers goes."""
    fold_news(draft)
    if draft.record.start_time is None:
        draft.note(start_time=draft.view.now)
    ips = _ips(draft.view)
    if ips and ips != draft.record.ips:
        draft.note(ips=ips)
    known = {c.id for c in draft.view.observed.containers}
    draft.note(
        stops={k: v for k, v in draft.record.stops.items() if k in known},
        resized={k: v for k, v in draft.record.resized.items() if k in known},
        updates=tuple(i for i in draft.record.updates if i in known),
        hooks=tuple(h for h in draft.record.hooks if h.split("/", 1)[0] in known),
    )
    for path, reason, message in draft.roles.ignored:
        if draft.once(f"{reason}/{path}/{message}"):
            key = next((r.name for r in draft.roles.all if r.field_path == path), POD)
            draft.event(key, reason, message, warning=True)
    draft.refresh()


def _ips(view: PodView) -> tuple[str, ...]:
    if view.pod.spec.host_network:
        return (view.settings.host_ip,)
    sandbox = present_sandbox(view)
    return sandbox.ips if sandbox is not None else ()


def _sum_up(draft: Draft) -> Decision:
    """The decision. A terminal status is written down when it is first reached, and stands from then on."""
    actions = draft.free_actions()
    draft.refresh(actions)
    status, conditions = build_status(draft.view, draft.roles, draft.standings)
    if draft.record.final is not None:
        status = draft.record.final
    elif status["phase"] in (SUCCEEDED, FAILED):
        draft.note(final=status)
    draft.keep(conditions=conditions)
    if any(c.run is Run.UNKNOWN for c in draft.view.observed.containers):
        draft.wakes.append(draft.view.now + UNSEEN_AGAIN)  # nobody will tell when it can be seen
    return Decision(
        actions=actions,
        cancel=frozenset(draft.cancel),
        probes=wanted_probes(draft.view, draft.standings),
        status=status,
        events=tuple(draft.events),
        record=draft.record,
        memory=draft.memory,
        wake_at=draft.wake_at(),
        objects=followed_objects(draft),
        gone=draft.memory.torn_down,
    )
