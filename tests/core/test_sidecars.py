"""Which container is what, by which rule, and in which order they start and stop: docs/reference/sidecars.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.core.given import MARK, container, given, marked, native, pod
from vkprovider.core.decide import decide
from vkprovider.core.sidecars import Kind, Role, Roles, classify
from vkprovider.model.pod import Pod

APP = container("app")


def env(**variables: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value} for name, value in variables.items()]}


def kinds(of: Pod) -> dict[str, Kind]:
    return {role.name: role.kind for role in classify(of).all}


def names(waves: Iterable[Iterable[Role]]) -> list[list[str]]:
    return [[role.name for role in wave] for wave in waves]


# --- marks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("__IS_SIDECAR__", "true", Kind.MARKED),
        ("__IS_SIDECAR__", "TRUE", Kind.MARKED),
        ("__IS_SIDECAR__", " True\n", Kind.MARKED),
        ("__IS_SIDECAR__", "false", Kind.APP),
        ("__IS_SIDECAR__", "1", Kind.APP),
        ("__IS_SIDECAR__", "yes", Kind.APP),
        ("__IS_SIDECAR__", "", Kind.APP),
        ("__is_sidecar__", "true", Kind.APP),
        ("ECI_SIDECAR_CONTAINER", "true", Kind.MARKED),
        ("ECI_SIDECAR_CONTAINER", "false", Kind.APP),
        ("ECI_CONTAINER_TYPE", "sidecar", Kind.MARKED),
        ("ECI_CONTAINER_TYPE", "SideCar", Kind.MARKED),
        ("ECI_CONTAINER_TYPE", "app", Kind.APP),
        ("KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", "true", Kind.JOB),
        ("KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", "false", Kind.APP),
        ("SOMETHING_ELSE", "true", Kind.APP),
    ],
)
def test_marks(name: str, value: str, kind: Kind):
    (_, role) = classify(pod(APP, container("c", **env(**{name: value})))).regulars
    word = "sidecar" if name == "ECI_CONTAINER_TYPE" else "true"
    why = "app: a regular container without a sidecar mark" if kind is Kind.APP else f"{kind}: env {name}={word}"
    assert (role.kind, role.why) == (kind, why)


@pytest.mark.parametrize(
    "source",
    [
        {"fieldRef": {"fieldPath": "metadata.name"}},
        {"configMapKeyRef": {"name": "c", "key": "k"}},
        {"secretKeyRef": {"name": "s", "key": "k"}},
    ],
)
def test_only_a_literal_value_is_a_mark(source: dict[str, Any]):
    c = container("c", env=[{"name": "__IS_SIDECAR__", "valueFrom": source}])
    assert kinds(pod(APP, c))["c"] is Kind.APP


def test_a_mark_from_a_whole_config_map_is_none():
    c = container("c", envFrom=[{"configMapRef": {"name": "marks"}}])
    assert kinds(pod(APP, c))["c"] is Kind.APP


@pytest.mark.parametrize(("values", "kind"), [(("false", "true"), Kind.MARKED), (("true", "false"), Kind.APP)])
def test_of_several_values_the_last_counts_as_it_does_for_the_process(values: tuple[str, str], kind: Kind):
    c = container("c", env=[{"name": "__IS_SIDECAR__", "value": value} for value in values])
    assert kinds(pod(APP, c))["c"] is kind


def test_a_sidecar_for_the_whole_life_is_not_one_for_the_end_only():
    both = env(__IS_SIDECAR__="true", KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT="true")
    assert kinds(pod(APP, container("c", **both)))["c"] is Kind.MARKED


@pytest.mark.parametrize("policy", ["OnFailure", "Never", "Sometimes"])
def test_a_native_sidecar_is_an_init_container_that_always_restarts(policy: str):
    p = pod(APP, inits=(native("n"), container("i"), container("j", restartPolicy=policy)))
    assert kinds(p) == {"n": Kind.NATIVE, "i": Kind.INIT, "j": Kind.INIT, "app": Kind.APP}


def test_a_mark_on_an_init_container_is_none():
    assert kinds(pod(APP, inits=(marked("i"),)))["i"] is Kind.INIT


def test_every_role_says_which_rule_made_it():
    p = pod(APP, marked("m"), inits=(container("i"), native("n")))
    assert {role.name: role.why for role in classify(p).all} == {
        "i": "init container",
        "n": "native sidecar: an init container with restartPolicy Always",
        "app": "app: a regular container without a sidecar mark",
        "m": "marked sidecar: env __IS_SIDECAR__=true",
    }
    assert [role.field_path for role in classify(p).all] == [
        "spec.initContainers{i}",
        "spec.initContainers{n}",
        "spec.containers{app}",
        "spec.containers{m}",
    ]


# --- where marks have no effect ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "containers",
    [
        (marked("a"),),
        (marked("a"), marked("b")),
        (marked("a"), container("b", **env(KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT="true"))),
    ],
)
def test_a_pod_must_have_an_app(containers: tuple[dict[str, Any], ...]):
    p = pod(*containers)
    assert set(kinds(p).values()) == {Kind.APP}
    (event,) = decide(given(p)).events
    assert (event.type, event.reason, event.field_path) == ("Warning", "SidecarMarkIgnored", "")
    assert all(c["name"] in event.message for c in containers)


@pytest.mark.parametrize("variable", ["ECI_CONTAINER_LAUNCH_PRIORITY", "ECI_CONTAINER_EXIT_PRIORITY"])
@pytest.mark.parametrize("value", ["high", "", "1.5", "1001", "-1001", "99999999999"])
def test_a_priority_that_is_none_is_told_once(variable: str, value: str):
    p = pod(container("app", **env(**{variable: value})))
    first = decide(given(p))
    (event,) = first.events
    assert (event.type, event.reason, event.field_path) == ("Warning", "SidecarMarkIgnored", "spec.containers{app}")
    assert event.message == f"{variable}={value!r} is not a whole number from -1000 to 1000 and is ignored"
    assert decide(given(p, memory=first.memory)).events == ()


@pytest.mark.parametrize("value", ["-1000", "1000", "0", " 7 ", "+3"])
def test_whole_numbers_are_priorities(value: str):
    (role,) = classify(pod(container("app", **env(ECI_CONTAINER_LAUNCH_PRIORITY=value)))).regulars
    assert role.launch_priority == int(value)
    assert classify(pod(container("app", **env(ECI_CONTAINER_LAUNCH_PRIORITY=value)))).ignored == ()


# --- order -------------------------------------------------------------------------------------------------------


def launch(name: str, priority: int | None, *more: dict[str, str]) -> dict[str, Any]:
    own = [] if priority is None else [{"name": "ECI_CONTAINER_LAUNCH_PRIORITY", "value": str(priority)}]
    return container(name, env=[*own, *more])


def leave(name: str, priority: int | None, *more: dict[str, str]) -> dict[str, Any]:
    own = [] if priority is None else [{"name": "ECI_CONTAINER_EXIT_PRIORITY", "value": str(priority)}]
    return container(name, env=[*own, *more])


def roles(*containers: dict[str, Any], inits: tuple[dict[str, Any], ...] = ()) -> Roles:
    return classify(pod(*containers, inits=inits))


def test_without_priorities_sidecars_start_one_by_one_and_apps_together():
    found = roles(container("a"), marked("m"), container("b"), marked("n"))
    assert names(found.marked_waves()) == [["m"], ["n"]]
    assert names(found.app_waves()) == [["a", "b"]]


def test_launch_priorities():
    found = roles(
        launch("a", None),
        launch("b", 5),
        launch("c", -5),
        launch("d", 5),
        launch("m", 1, MARK),
        launch("n", None, MARK),
        launch("o", 1, MARK),
    )
    assert names(found.app_waves()) == [["b", "d"], ["a"], ["c"]]
    assert names(found.marked_waves()) == [["m", "o"], ["n"]]


def test_the_stop_order_is_the_reverse_of_the_start_order():
    found = roles(
        container("a"),
        marked("m"),
        container("j", **env(KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT="true")),
        marked("n"),
        inits=(native("x"), container("i"), native("y")),
    )
    assert names(found.stop_waves()) == [["i", "a"], ["j"], ["n"], ["m"], ["y"], ["x"]]


def test_exit_priorities():
    found = roles(
        leave("a", None), leave("b", 5), leave("c", -5), leave("m", 1, MARK), leave("n", 7, MARK), leave("o", 1, MARK)
    )
    assert names(found.stop_waves()) == [["b"], ["a"], ["c"], ["n"], ["m", "o"]]


def test_priorities_do_not_mix_apps_and_sidecars():
    found = roles(launch("a", 1000), launch("m", -1000, MARK))
    assert names(found.marked_waves()) == [["m"]]
    assert names(found.app_waves()) == [["a"]]
    assert names(roles(leave("a", -1000), leave("m", 1000, MARK)).stop_waves()) == [["a"], ["m"]]


def test_switches():
    found = roles(
        container("a", **env(__IGNORE_READY__="True", ECI_CONTAINER_IGNORE_EXIT_CODE="TRUE")),
        inits=(native("n", **env(__IGNORE_READY__="true", ECI_CONTAINER_IGNORE_EXIT_CODE="true")),),
    )
    (n, a) = found.all
    assert (a.ignore_ready, a.ignore_exit_code) == (True, True)
    assert (n.ignore_ready, n.ignore_exit_code) == (True, False)  # its exit code never counts anyway
