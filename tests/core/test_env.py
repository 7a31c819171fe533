"""A container's environment: sources, order, what is missing and how that is said."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from tests.core.given import container, pod
from vkprovider.core.env import Whereabouts, needed_objects, resolve_env
from vkprovider.core.faults import Fault
from vkprovider.core.objects import Objects
from vkprovider.errors import VkError
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ObjectRef

CONFIG = ObjectRef("ConfigMap", "default", "settings")
SECRET = ObjectRef("Secret", "default", "keys")
OBJECTS: Objects = {
    CONFIG: {"data": {"level": "high", "port": "80"}, "binaryData": {"blob": "AAE="}},
    SECRET: {"data": {"token": b64encode(b"t0k$(level)").decode(), "empty": ""}},
}
WHERE = Whereabouts(node_name="node-1", host_ip="192.168.0.1", allocatable={"cpu": "4", "memory": "1Gi"})


def one(**fields: Any) -> Pod:
    return pod(container("app", **fields))


def env(of: Pod, objects: Objects = OBJECTS, pod_ips: tuple[str, ...] = ("10.0.0.7",)) -> dict[str, str]:
    app = of.spec.containers[0]
    return dict(resolve_env(of, app, objects, msgspec.structs.replace(WHERE, pod_ips=pod_ips)))


def value(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "value": text}


def key(name: str, source: str, of: str, at: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": {f"{source}KeyRef": {"name": of, "key": at, **more}}}


def field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def config_map(**more: Any) -> dict[str, Any]:
    return {"configMapRef": {"name": "settings"}, **more}


def test_plain_values_refer_to_those_before_them() -> None:
    variables = [value("A", "1"), value("B", "$(A)$(C)$$(A)"), value("C", "3"), value("EMPTY", "")]
    assert env(one(env=variables)) == {"A": "1", "B": "1$(C)$(A)", "C": "3", "EMPTY": ""}


def test_a_later_value_wins_and_keeps_the_first_place() -> None:
    result = resolve_env(
        given := one(env=[value("A", "1"), value("B", "2"), value("A", "$(A)$(B)")]),
        given.spec.containers[0],
        {},
        WHERE,
    )
    assert result == (("A", "12"), ("B", "2"))


def test_env_from_takes_whole_objects_with_a_prefix_and_later_ones_win() -> None:
    given = one(
        envFrom=[config_map(), config_map(prefix="C_"), {"secretRef": {"name": "keys"}, "prefix": "S_"}],
        env=[value("port", "8080"), value("both", "$(level)-$(C_level)")],
    )
    assert env(given) == {
        "level": "high",
        "port": "8080",
        "C_level": "high",
        "C_port": "80",
        "S_token": "t0k$(level)",
        "S_empty": "",
        "both": "high-high",
    }


def test_the_second_of_two_objects_wins() -> None:
    other = ObjectRef("ConfigMap", "default", "other")
    given = one(envFrom=[config_map(), {"configMapRef": {"name": "other"}}])
    assert env(given, {**OBJECTS, other: {"data": {"level": "low"}}}) == {"level": "low", "port": "80"}


def test_keys_of_objects_are_taken_as_they_are() -> None:
    variables = [value("level", "x"), key("T", "secret", "keys", "token"), key("L", "configMap", "settings", "level")]
    assert env(one(env=variables)) == {"level": "x", "T": "t0k$(level)", "L": "high"}


def test_a_value_silences_value_from() -> None:
    both = {**key("A", "configMap", "nowhere", "k"), "value": "own"}
    given = one(env=[both])
    assert needed_objects(given, given.spec.containers[0]) == frozenset()
    assert env(given, {}) == {"A": "own"}


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (key("A", "configMap", "nowhere", "k"), 'configmap "nowhere" not found'),
        (key("A", "secret", "nowhere", "k"), 'secret "nowhere" not found'),
        (key("A", "configMap", "settings", "k"), "couldn't find key k in ConfigMap default/settings"),
        (key("A", "configMap", "settings", "blob"), "couldn't find key blob in ConfigMap default/settings"),
        (key("A", "secret", "keys", "k"), "couldn't find key k in Secret default/keys"),
        (
            {"name": "A", "valueFrom": {}},
            "valueFrom has a source that is none of "
            "configMapKeyRef, fieldRef, fileKeyRef, resourceFieldRef, secretKeyRef",
        ),
        (field("A", "spec.hostname"), "unsupported fieldPath: spec.hostname"),
        (field("A", "metadata.generation"), "unsupported fieldPath: metadata.generation"),
    ],
)
def test_what_is_missing_is_said_in_the_kubelets_words(variable: dict[str, Any], message: str) -> None:
    given = one(env=[variable])
    missing = dict.fromkeys(needed_objects(given, given.spec.containers[0]))
    with pytest.raises(Fault) as caught:
        env(given, {**missing, **OBJECTS})
    assert (caught.value.waiting_reason, caught.value.message) == ("CreateContainerConfigError", message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapRef": {"name": "nowhere"}}, 'configmap "nowhere" not found'),
        ({"secretRef": {"name": "nowhere"}}, 'secret "nowhere" not found'),
    ],
)
def test_a_missing_env_from_holds_the_container_unless_it_is_optional(source: dict[str, Any], message: str) -> None:
    given = one(envFrom=[source])
    missing = dict.fromkeys(needed_objects(given, given.spec.containers[0]))
    with pytest.raises(Fault, match=message):
        env(given, missing)
    (kind,) = source
    assert env(one(envFrom=[{kind: {**source[kind], "optional": True}}]), missing) == {}


def test_an_optional_key_that_is_missing_leaves_what_was_there() -> None:
    variables = [
        key("level", "configMap", "settings", "k", optional=True),
        key("A", "secret", "nowhere", "k", optional=True),
    ]
    given = one(envFrom=[config_map()], env=variables)
    nowhere = ObjectRef("Secret", "default", "nowhere")
    assert env(given, {**OBJECTS, nowhere: None}) == {"level": "high", "port": "80"}


def test_an_env_from_of_another_kind_is_not_passed_over() -> None:
    with pytest.raises(Fault, match="neither configMapRef nor secretRef"):
        env(one(envFrom=[{"prefix": "A_"}]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("/w==", "the value of key k is not UTF-8 text and cannot be an environment variable"),
        ("a b", r'secret "keys" is not valid: data\[k\]: illegal base64 data'),
    ],
)
def test_secrets_that_cannot_be_text(data: str, message: str) -> None:
    with pytest.raises(Fault, match=message):
        env(one(env=[key("A", "secret", "keys", "k")]), {SECRET: {"data": {"k": data}}})


FIELDS = {
    "metadata.name": "web-0",
    "metadata.namespace": "shop",
    "metadata.uid": "uid-1",
    "metadata.labels['app.kubernetes.io/name']": "web",
    "metadata.annotations['note']": "it's here",
    "metadata.labels['absent']": "",
    "spec.nodeName": "node-1",
    "spec.serviceAccountName": "robot",
    "status.hostIP": "192.168.0.1",
    "status.hostIPs": "192.168.0.1",
    "status.podIP": "10.0.0.7",
    "status.podIPs": "10.0.0.7,fd00::7",
}


def named(**spec: Any) -> Pod:
    variables = [field(f"F{n}", path) for n, path in enumerate(FIELDS)]
    return decode_pod(
        {
            "metadata": {
                "name": "web-0",
                "namespace": "shop",
                "uid": "uid-1",
                "labels": {"app.kubernetes.io/name": "web"},
                "annotations": {"note": "it's here"},
            },
            "spec": {"containers": [container("app", env=variables)], "serviceAccountName": "robot", **spec},
        }
    )


def test_fields_of_the_pod() -> None:
    assert tuple(env(named(), pod_ips=("10.0.0.7", "fd00::7")).values()) == tuple(FIELDS.values())


def test_requests_and_limits_of_itself_and_of_others() -> None:
    def of(resource: str, **more: str) -> dict[str, Any]:
        return {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": resource, **more}}}

    other = container("other", resources={"requests": {"memory": "64Mi"}})
    for source, expected in (
        (of("limits.cpu"), "4"),
        (of("requests.cpu", divisor="1m"), "500"),
        (of("requests.memory", containerName="other", divisor="1Mi"), "64"),
    ):
        app = container("app", resources={"requests": {"cpu": "0.5"}}, env=[source])
        assert env(pod(app, other)) == {"A": expected}
    with pytest.raises(Fault, match="container nobody not found"):
        env(one(env=[of("limits.cpu", containerName="nobody")]))


def test_an_object_that_cannot_be_had_now() -> None:
    with pytest.raises(Fault, match="the API server is away"):
        env(one(env=[key("A", "configMap", "settings", "level")]), {CONFIG: VkError("the API server is away")})


def test_on_the_nodes_network_the_pods_address_is_the_nodes() -> None:
    found = dict(zip(FIELDS, env(named(hostNetwork=True), pod_ips=()).values(), strict=True))
    assert (found["status.podIP"], found["status.podIPs"]) == ("192.168.0.1", "192.168.0.1")


def test_an_address_that_is_not_there_yet_is_empty() -> None:
    found = dict(zip(FIELDS, env(named(), pod_ips=()).values(), strict=True))
    assert (found["status.podIP"], found["status.podIPs"]) == ("", "")


def test_needed_objects_are_all_the_container_refers_to() -> None:
    given = one(
        envFrom=[config_map(), {"secretRef": {"name": "more"}}],
        env=[key("A", "secret", "keys", "token"), field("B", "metadata.name"), value("C", "x")],
    )
    app = given.spec.containers[0]
    assert needed_objects(given, app) == {CONFIG, SECRET, ObjectRef("Secret", "default", "more")}


def test_services_come_last_and_may_be_referred_to() -> None:
    services = {"DB_SERVICE_HOST": "10.0.0.1", "DB_SERVICE_PORT": "5432"}
    given = one(env=[value("DB_SERVICE_PORT", "1"), value("URL", "$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)$(LATER)")])
    result = resolve_env(given, given.spec.containers[0], {}, WHERE, services)
    assert result == (("DB_SERVICE_PORT", "1"), ("URL", "10.0.0.1:1$(LATER)"), ("DB_SERVICE_HOST", "10.0.0.1"))
