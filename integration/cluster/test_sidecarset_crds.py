"""The definitions of SidecarSet and SidecarSetResourceBinding, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from .clients import Cluster, KubectlError
from .identities import DEPLOY

pytestmark = pytest.mark.cluster

SIDECAR_SET = """
apiVersion: apps.kruise.io/v1alpha1
kind: SidecarSet
metadata:
  name: crd-filebeat
spec:
  selector:
    matchLabels:
      nothing.has/this-label: "true"
  updateStrategy:
    type: NotUpdate
  containers:
  - name: filebeat
    image: busybox
    imagePullPolicy: IfNotPresent
    args: ["/bin/sh", "-c", "cat /etc/filebeat.yml && sleep 36000"]
    env:
    - name: ECI_SIDECAR_CONTAINER
      value: "true"
    volumeMounts:
    - {name: config, mountPath: /etc/filebeat.yml, readOnly: true, subPath: filebeat.yml}
    - {name: stdlog, mountPath: /var/log/std, readOnly: true}
  volumes:
  - name: config
    configMap:
      name: kube-system/filebeat-config
  - name: stdlog
    csi:
      driver: stdlogplugin.csi.alibabacloud.com
"""
BINDING = """
apiVersion: sidecarset.alibabacloud.com/v1alpha1
kind: SidecarSetResourceBinding
metadata:
  name: crd-filebeat
  namespace: kube-system
  labels:
spec:
  subjects:
    - kind: SidecarSet
      name: crd-filebeat
  resourceRefs:
    - kind: ConfigMap
      name: filebeat-config
"""


@pytest.fixture(scope="module")
def defined(cluster: Cluster) -> Iterator[Cluster]:
    for plural, group in (
        ("sidecarsets", "apps.kruise.io"),
        ("sidecarsetresourcebindings", "sidecarset.alibabacloud.com"),
    ):
        cluster.kubectl("apply", f"--filename={DEPLOY / 'sidecarset' / f'crd-{plural}.yaml'}")
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{plural}.{group}")
    yield cluster
    cluster.kubectl("delete", "sidecarset", "crd-filebeat", "--ignore-not-found")
    cluster.kubectl("delete", "ssrb", "crd-filebeat", "--namespace=kube-system", "--ignore-not-found")


def test_a_sidecar_set_is_kept_as_it_was_written(defined: Cluster) -> None:
    defined.kubectl("apply", "--filename=-", stdin=SIDECAR_SET)
    stored = json.loads(defined.kubectl("get", "sidecarset", "crd-filebeat", "--output=json"))
    assert stored["spec"] == yaml.safe_load(SIDECAR_SET)["spec"]


def test_its_columns_are_those_of_openkruise(defined: Cluster) -> None:
    defined.kubectl("apply", "--filename=-", stdin=SIDECAR_SET)
    status = '{"status":{"matchedPods":3,"updatedPods":2,"readyPods":1}}'
    defined.kubectl("patch", "sidecarset", "crd-filebeat", "--subresource=status", "--type=merge", f"--patch={status}")
    table = defined.kubectl("get", "sidecarset", "crd-filebeat").splitlines()
    assert table[0].split() == ["NAME", "MATCHED", "UPDATED", "READY", "AGE"]
    assert table[1].split()[:4] == ["crd-filebeat", "3", "2", "1"]


def test_a_binding_is_taken_with_its_empty_labels(defined: Cluster) -> None:
    defined.kubectl("apply", "--filename=-", stdin=BINDING)
    table = defined.kubectl("get", "ssrb", "crd-filebeat", "--namespace=kube-system").splitlines()
    assert table[1].split()[:3] == ["crd-filebeat", "crd-filebeat", "filebeat-config"]


@pytest.mark.parametrize(
    ("manifest", "before", "after", "complaint"),
    [
        (BINDING, "kind: ConfigMap", "kind: Pod", "ConfigMap"),
        (BINDING, "kind: SidecarSet\n", "kind: Deployment\n", "SidecarSet"),
        (BINDING, "name: filebeat-config", "name: default/filebeat-config", "should match"),
        (SIDECAR_SET, "type: NotUpdate", "type: Sometimes", "RollingUpdate"),
        (SIDECAR_SET, "selector:", "selectors:", "spec.selector"),
    ],
)
def test_what_makes_no_sense_is_refused(
    defined: Cluster, manifest: str, before: str, after: str, complaint: str
) -> None:
    wrong = manifest.replace("name: crd-filebeat", "name: crd-wrong").replace(before, after)
    with pytest.raises(KubectlError) as refused:
        defined.kubectl("create", "--filename=-", stdin=wrong)
    assert complaint in str(refused.value)
