"""The rendered chart against Kubernetes' own schemas, and against what the service needs to lose nothing."""

from typing import Any

import helm_python as helm
import pytest
from kubernetes_validate import validate

from tests.deploy.charts import CHART, only, rendered

NEWEST = "1.37"
OLDEST = "1.30"
CUSTOM = ("ServiceMonitor",)
"""Kinds that are not Kubernetes' own, so that it has no schema for them."""

MODELS = '[[models]]\nid = "gpt-image-2"\nadapter = "openai"\napi_key_env = "OPENAI_API_KEY"\n'
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "full": {
        "secretName": "limner",
        "settings": {"LIMNER_STORAGE": "gs://pictures", "LIMNER_AUTH_JWKS": "https://login.example.com/keys"},
        "models": MODELS,
        "data": {"persistent": True, "storageClassName": "fast"},
        "autoscaling": {"enabled": True},
        "serviceMonitor": {"enabled": True},
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"digest": "sha256:" + "0" * 64},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "networkPolicy": {"from": [{"namespaceSelector": {}}], "egress": [{"ports": [{"port": 443}]}]},
    },
    "sidecar": {"gateway": {"mode": "sidecar"}, "webhooks": "[[webhooks]]\n"},
}


@pytest.fixture(params=VARIANTS)
def manifests(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(VARIANTS[request.param])


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_manifests_fit_the_schemas_of_kubernetes(manifests: list[dict[str, Any]], version: str) -> None:
    own = [each for each in manifests if each["kind"] not in CUSTOM]
    for manifest in own:
        validate(manifest, version, strict=True)
    assert len(own) >= 7


def test_helm_finds_nothing_to_object_to() -> None:
    report = helm.lint(CHART)
    faults = [each for each in report["messages"] if each["error"] != "icon is recommended"]
    assert (faults, report["errors"]) == ([], [])


def test_kubernetes_waits_longer_than_the_drain(manifests: list[dict[str, Any]]) -> None:
    pod = _pod(manifests)
    environment = {each["name"]: each["value"] for each in _limner(pod)["env"]}
    drained_s = float(environment["LIMNER_DRAIN_DELAY_S"]) + float(environment["LIMNER_DRAIN_TIMEOUT_S"])
    assert pod["terminationGracePeriodSeconds"] > drained_s
    assert drained_s > 300, "a purchase may take five minutes"


def test_no_container_may_write_outside_its_volumes_or_gain_rights(manifests: list[dict[str, Any]]) -> None:
    pods = [_pod(manifests), only(manifests, "Job")["spec"]["template"]["spec"]]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_secrets_come_by_name_alone() -> None:
    manifests = rendered(VARIANTS["full"])
    assert [each["kind"] for each in manifests if each["kind"] == "Secret"] == []
    for pod in (_pod(manifests), only(manifests, "Job")["spec"]["template"]["spec"]):
        assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "limner"}}]


def test_the_catalogue_reaches_the_service_and_its_change_starts_new_pods() -> None:
    manifests = rendered(VARIANTS["full"])
    assert only(manifests, "ConfigMap")["data"]["models.toml"].strip() == MODELS.strip()
    environment = {each["name"]: each["value"] for each in _limner(_pod(manifests))["env"]}
    mounts = {each["name"]: each["mountPath"] for each in _limner(_pod(manifests))["volumeMounts"]}
    assert environment["LIMNER_MODELS"] == f"{mounts['files']}/models.toml"
    changed = rendered({**VARIANTS["full"], "models": MODELS.replace("2", "3")})
    assert _checksum(changed) != _checksum(manifests)


def test_the_envoy_beside_it_is_told_of_the_doors_that_are_no_grpc() -> None:
    """Else nothing behind it would answer its own readiness probe."""
    pod = _pod(rendered(VARIANTS["sidecar"]))
    told = [*pod["initContainers"], _limner(pod)]
    ports = [{each["name"]: each["value"] for each in container["env"]}["LIMNER_WEB_PORT"] for container in told]
    assert ports[0] == ports[1]


def test_persistent_data_outlives_the_pod() -> None:
    manifests = rendered(VARIANTS["full"])
    (claim,) = only(manifests, "StatefulSet")["spec"]["volumeClaimTemplates"]
    mounts = {each["name"]: each["mountPath"] for each in _limner(_pod(manifests))["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/limner"
    services = {each["metadata"]["name"] for each in manifests if each["kind"] == "Service"}
    assert only(manifests, "StatefulSet")["spec"]["serviceName"] in services


def test_every_probe_and_service_names_a_port_that_a_container_has(manifests: list[dict[str, Any]]) -> None:
    pod = _pod(manifests)
    names = {port["name"] for container in pod["containers"] for port in container["ports"]}
    wanted = {port["targetPort"] for each in manifests if each["kind"] == "Service" for port in each["spec"]["ports"]}
    wanted |= {
        probe["httpGet"]["port"]
        for container in pod["containers"]
        for key, probe in container.items()
        if key.endswith("Probe") and "httpGet" in probe
    }
    assert wanted <= names


def test_a_setting_that_is_no_setting_of_limner_is_refused() -> None:
    with pytest.raises(helm.HelmError, match="PATH"):
        rendered({"settings": {"PATH": "/tmp"}})


def _pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (workload,) = [each for each in manifests if each["kind"] in ("Deployment", "StatefulSet")]
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


def _limner(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = [each for each in pod["containers"] if each["name"] == "limner"]
    return dict(container)


def _checksum(manifests: list[dict[str, Any]]) -> str:
    workload = only(manifests, "StatefulSet")
    return str(workload["spec"]["template"]["metadata"]["annotations"]["checksum/files"])
