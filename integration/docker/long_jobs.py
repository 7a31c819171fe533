"""Jobs that take long, because they wait for a deadline or a back-off. See ``conftest.long_jobs``."""

from __future__ import annotations

from typing import Any

from integration.docker.pods import ALWAYS, MARK, UNTIL_TERM, example, job, on_term, pod, shell

LONGEST = 100.0  # seconds that any of these may take

FORMS = {"native": "test-sidecar-native.yaml", "marked": "test-sidecar-marked.yaml"}
KILLED = {f"{form}-{grace}": (form, grace) for form in FORMS for grace in (30, 2)}
ANSWERS = {f"{form}-answers-{code}": (form, code) for form in FORMS for code in (143, 0)}
FAILS, RESTARTS = "fails", "restarts"


def seed(form: str, grace: int) -> dict[str, Any]:
    """The example as it is; another grace than the default is written into it."""
    manifest = example(FORMS[form])
    if grace != 30:
        manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = grace
    return manifest


def answering(form: str, code: int) -> dict[str, Any]:
    """A sidecar that ends with a code of its own when it is told to."""
    sidecar = shell("sidecar", on_term(f"exit {code}"))
    if form == "native":
        return job("answers", shell("app", "sleep 1"), pod_spec={"initContainers": [sidecar | ALWAYS]})
    return job("answers", shell("app", "sleep 1"), sidecar | {"env": MARK})


def restarting_pod() -> dict[str, Any]:
    """A marked sidecar that fails twice and then runs; the app waits for that."""
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    fails = f"echo >>/shared/times; [ $(wc -l </shared/times) = 3 ] || {{ sleep 1; exit 7; }}; {UNTIL_TERM}"
    waits = "until [ $(wc -l </shared/times) = 3 ]; do sleep 0.2; done; sleep 1"
    sidecar = shell("sidecar", fails, env=MARK, **shared)
    return pod(RESTARTS, shell("app", waits, **shared), sidecar, volumes=[{"name": "shared", "emptyDir": {}}])


def manifests() -> dict[str, dict[str, Any]]:
    """All of them, by name."""
    return {
        **{name: seed(*variant) for name, variant in KILLED.items()},
        **{name: answering(*variant) for name, variant in ANSWERS.items()},
        FAILS: job(FAILS, shell("app", "exit 3"), backoffLimit=2),
        RESTARTS: job(RESTARTS, pod_spec=restarting_pod()["spec"]),
    }
