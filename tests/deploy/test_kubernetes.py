"""The manifests, without a cluster."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from roskva.config import Config
from roskva.server.metrics import GAUGES
from tests.kit.deploy import DEPLOY, MANIFESTS, PRIVATE, PUBLIC, container, load, manifest

LABELS = {"app.kubernetes.io/name": "roskva"}
POD: dict[str, Any] = manifest("deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", ["1.30.0", "1.37.0"])
def test_they_obey_the_schemas(version: str) -> None:
    """Kubernetes, of old and of now, knows all that is said."""
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "--quiet", "-k", version]
    checked = subprocess.run([*command, *MANIFESTS], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_kustomization_has_them_all() -> None:
    """Each manifest is a resource, but for the autoscaler, which needs more than a cluster has."""
    kustomization = load(DEPLOY / "kubernetes" / "kustomization.yaml")
    assert {*kustomization["resources"], "autoscaler.yaml"} == {path.name for path in MANIFESTS}
    (image,) = kustomization["images"]
    assert image["name"] == container()["image"]
    assert image["newTag"] == tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert kustomization["namespace"] == manifest("namespace")["metadata"]["name"]


def test_all_mean_the_same_pods() -> None:
    """Every selector is the pods' label."""
    assert manifest("deployment")["spec"]["template"]["metadata"]["labels"] == LABELS
    assert manifest("service")["spec"]["selector"] == LABELS
    selectors = [
        manifest("deployment")["spec"]["selector"],
        manifest("disruption")["spec"]["selector"],
        manifest("network")["spec"]["podSelector"],
        *(spread["labelSelector"] for spread in POD["topologySpreadConstraints"]),
    ]
    assert all(selector == {"matchLabels": LABELS} for selector in selectors)
    assert manifest("autoscaler")["spec"]["scaleTargetRef"]["name"] == manifest("deployment")["metadata"]["name"]


def test_ports_have_their_names() -> None:
    """Probes, the service and the policy name the ports that the container has."""
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"public": PUBLIC, "private": PRIVATE}
    (served,) = manifest("service")["spec"]["ports"]
    assert served["targetPort"] == "public"
    rules = manifest("network")["spec"]["ingress"]
    assert [port["port"] for rule in rules for port in rule["ports"]] == ["public", "private"]
    (rule,) = manifest("ingress")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": manifest("service")["metadata"]["name"], "port": {"name": served["name"]}}


@pytest.mark.parametrize(
    ("probe", "path"), [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
)
def test_probes_ask_the_right_page(probe: str, path: str) -> None:
    """A store that is out takes a pod out, and never restarts it; a slow one is waited for."""
    asked = container()[probe]
    assert asked["httpGet"] == {"path": path, "port": "private"}
    assert asked["timeoutSeconds"] > Config().store_timeout


def test_there_are_enough() -> None:
    """Three nodes, and one at most is missing on purpose."""
    assert manifest("deployment")["spec"]["replicas"] >= 3
    assert manifest("disruption")["spec"]["maxUnavailable"] == 1
    assert manifest("deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert manifest("autoscaler")["spec"]["minReplicas"] >= 3


def test_a_pod_may_do_nothing_more_than_it_must() -> None:
    """No root, no capability, no way to write, no account, and no variables of a service that look like settings."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["automountServiceAccountToken"] is False
    assert POD["enableServiceLinks"] is False
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_keys_come_from_the_secret() -> None:
    """The key file is where the Secret is mounted, and not for everybody to read."""
    (volume,) = POD["volumes"]
    (mount,) = container()["volumeMounts"]
    (item,) = volume["secret"]["items"]
    (path,) = [each["value"] for each in container()["env"] if each["name"] == "ROSKVA_KEY_FILE"]
    assert (mount["name"], path) == (volume["name"], f"{mount['mountPath']}/{item['path']}")
    assert volume["secret"]["defaultMode"] == 0o440


def test_agents_are_counted_by_a_metric_that_exists() -> None:
    """The autoscaler's metric is one of ours."""
    (pods, cpu) = manifest("autoscaler")["spec"]["metrics"]
    assert pods["pods"]["metric"]["name"].removeprefix("roskva_") in GAUGES
    assert cpu["resource"]["name"] == "cpu"
