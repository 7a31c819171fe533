"""What deploy/monitoring holds: rules that promtool accepts and that fire when they should, and a dashboard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.plugins.real_parts import missing
from vkprovider.telemetry.catalogue import CATALOGUE, Type

MONITORING = Path(__file__).parents[1] / "deploy" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
NAME = re.compile(r"\b(?:kubelet|vkprovider|rest_client|process|volume_manager|storage)_[a-z_]+")
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def promtool(*arguments: str | Path) -> None:
    if shutil.which("promtool") is None:
        missing("there is no promtool: run integration/setup/apt.sh prometheus")
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_alerts() -> None:
    promtool("check", "rules", ALERTS)


def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    cases = yaml.safe_load((Path(__file__).parent / "fixtures" / "alerts.yaml").read_text())
    tested = {each["alertname"] for test in cases["tests"] for each in test["alert_rule_test"] if each["exp_alerts"]}
    assert tested == {
        rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    }
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], **cases}))
    promtool("test", "rules", path)


def test_the_operators_rules_are_the_same() -> None:
    rule = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text())
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())


def test_the_dashboard_is_what_its_program_writes() -> None:
    program = [sys.executable, MONITORING / "make_dashboard.py"]
    written = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60).stdout
    assert written == (MONITORING / "dashboard.json").read_text(), "run deploy/monitoring/make_dashboard.py"


def test_no_query_asks_for_what_is_never_told() -> None:
    parts = [(series.name, series.type is Type.HISTOGRAM) for series in CATALOGUE]
    told = {name + end for name, parted in parts for end in (("_bucket", "_sum", "_count") if parted else ("",))}
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    queries += [rule["expr"] for group in groups for rule in group["rules"]]
    asked = {name for query in queries for name in NAME.findall(query)}
    assert asked <= told | PROCESS
    assert len(asked) > 20
