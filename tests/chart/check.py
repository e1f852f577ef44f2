"""Renders the chart for a matrix of values, lints it, and validates every object against the Kubernetes schemas.

Prints the objects of each case as JSON, for the assertions of tests/it/chart.rs; what is wrong goes to standard error and ends with 1.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import helm_python
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "deploy/helm/eks-nlb-exporter"
# The oldest one that the chart says it supports and the newest one whose schemas are there.
VERSIONS = ["1.25", kubernetes_validate.latest_version()]
YAMLLINT = (
    "{extends: default, rules: {line-length: disable, document-start: disable, comments: {min-spaces-from-content: 1}, "
    "indentation: {spaces: 2, indent-sequences: whatever, check-multi-line-strings: false}, truthy: {check-keys: false}}}"
)

OPERATOR = "monitoring.coreos.com/v1"

EVERYTHING = {
    "fullnameOverride": "nlb",
    "commonLabels": {"team": "platform"},
    "image": {"digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "aws": {
        "region": "eu-west-1",
        "roleArn": "arn:aws:iam::123456789012:role/exporter",
        "fipsEndpoints": True,
        "dualStackEndpoints": True,
    },
    "config": {
        "cluster_name": "prod",
        "policy": {"target_series": "all", "service_labels": ["team"], "quota_overrides": {"network_load_balancers": 200}},
        "alerting": {"alertmanagers": [{"url": "http://alertmanager.monitoring:9093"}], "external_labels": {"cluster": "prod"}},
    },
    "log": {"level": "debug", "format": "json"},
    "extraArgs": ["--web.max-requests=20"],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.internal:3128"}],
    "extraVolumes": [{"name": "alertmanager", "secret": {"secretName": "alertmanager"}}],
    "extraVolumeMounts": [{"name": "alertmanager", "mountPath": "/etc/alertmanager", "readOnly": True}],
    "serviceAccount": {"annotations": {"a": "b"}},
    "service": {"annotations": {"a": "b"}},
    "scrapeAnnotations": True,
    "serviceMonitor": {
        "enabled": True,
        "labels": {"release": "monitoring"},
        "relabelings": [{"targetLabel": "cluster", "replacement": "prod"}],
        "metricRelabelings": [{"action": "labeldrop", "regex": "pod_template_hash"}],
    },
    "prometheusRule": {"enabled": True, "labels": {"release": "monitoring"}, "annotations": {"a": "b"}},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "AWS"}},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "httpsTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "extraEgress": [{"ports": [{"port": 9093, "protocol": "TCP"}]}],
    },
    "podDisruptionBudget": {"enabled": True},
    "podLabels": {"tier": "monitoring"},
    "podAnnotations": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]}},
    "topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "eks-nlb-exporter"}},
    }],
    "priorityClassName": "system-cluster-critical",
}

# Of "s3cret".
HASH = "$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG"
CERTIFICATE_OF_PROMETHEUS = {
    "ca": {"secret": {"name": "nlb-tls", "key": "ca.crt"}},
    "cert": {"secret": {"name": "prometheus-tls", "key": "tls.crt"}},
    "keySecret": {"name": "prometheus-tls", "key": "tls.key"},
    "serverName": "eks-nlb-exporter.monitoring.svc",
}
PASSWORD_OF_PROMETHEUS = {"username": {"name": "scrape", "key": "username"}, "password": {"name": "scrape", "key": "password"}}

CASES = {
    "default": {},
    "everything": EVERYTHING,
    "nothing": {
        "serviceAccount": {"create": False, "name": "given"},
        "rbac": {"clusterRole": False, "roles": False},
        "service": {"enabled": False},
        "state": {"enabled": False},
        "networkPolicy": {"podIdentity": False},
        "nodeSelector": {"kubernetes.io/os": None},
    },
    "two replicas": {"replicas": 2, "podDisruptionBudget": {"enabled": True}},
    "roles only": {"rbac": {"clusterRole": False}, "controller": {"namespace": "aws"}, "state": {"allowCreate": False}},
    "pod monitor": {"podMonitor": {"enabled": True}, "service": {"enabled": False}},
    "open network policy": {"networkPolicy": {"enabled": True}},
    "TLS": {
        "web": {"tlsSecret": "nlb-tls"},
        "serviceMonitor": {"enabled": True, "tlsConfig": {"ca": CERTIFICATE_OF_PROMETHEUS["ca"]}},
        "scrapeAnnotations": True,
        "networkPolicy": {"enabled": True},
    },
    "TLS, certificates and passwords": {
        "web": {
            "tlsSecret": "nlb-tls",
            "config": {
                "tls_server_config": {
                    "client_auth_type": "RequireAndVerifyClientCert",
                    "client_ca_file": "/etc/eks-nlb-exporter-tls/ca.crt",
                    "client_allowed_sans": ["prometheus.monitoring.svc"],
                    "min_version": "TLS13",
                },
                "http_server_config": {"headers": {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=31536000"}},
                "basic_auth_users": {"prometheus": HASH},
                "rate_limit": {"interval": "100ms", "burst": 20},
            },
        },
        "podMonitor": {"enabled": True, "tlsConfig": CERTIFICATE_OF_PROMETHEUS, "basicAuth": PASSWORD_OF_PROMETHEUS},
    },
    "passwords, for probes too": {
        "web": {
            "tlsSecret": "nlb-tls",
            "config": {"basic_auth_users": {"prometheus": HASH, "probe": HASH}},
            "probeHeaders": [{"name": "Authorization", "value": "Basic cHJvYmU6czNjcmV0"}],
        },
    },
    "passwords without TLS": {"web": {"config": {"basic_auth_users": {"prometheus": HASH}}}},
    "annotations that the chart would write": {
        "aws": {"roleArn": "arn:aws:iam::123456789012:role/exporter"},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/other"}},
        "scrapeAnnotations": True,
        "podAnnotations": {"prometheus.io/path": "/federate", "checksum/config": "mine"},
    },
    "a given web configuration": {"web": {"existingSecret": "given", "tlsSecret": "nlb-tls", "scheme": "https", "probe": "tcp"}},
}

# Values that are refused, and the word by which the message names the place.
REFUSED = [
    ({"replica": 2}, "replica"),
    ({"replicas": 3}, "replicas"),
    ({"config": {"polcy": {}}}, "polcy"),
    ({"config": {"policy": {"target_series": "some"}}}, "target_series"),
    ({"config": {"aws": {"requests_per_second": {"s3": 1}}}}, "s3"),
    ({"log": {"level": "loud"}}, "level"),
    ({"aws": {"roleArn": "exporter"}}, "roleArn"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"serviceMonitor": {"interval": "soon"}}, "interval"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable"),
    ({"web": {"config": {"tls_config": {}}}}, "tls_config"),
    ({"web": {"config": {"tls_server_config": {"min_version": "TLS11"}}}}, "min_version"),
    ({"web": {"config": {"tls_server_config": {"client_auth_type": "RequestClientCert"}}}}, "client_auth_type"),
    ({"web": {"config": {"basic_auth_users": {"prometheus": "secret"}}}}, "prometheus"),
    ({"web": {"scheme": "ftp"}}, "scheme"),
    ({"commonLabels": {"app.kubernetes.io/name": "mine"}}, "commonLabels"),
    ({"podLabels": {"app.kubernetes.io/component": "mine"}}, "podLabels"),
    ({"extraEnv": [{"name": "A", "value": 1}]}, "extraEnv/0/value"),
    ({"extraEnv": [{"value": "a"}]}, "extraEnv/0"),
    ({"state": {"configMap": "elsewhere/state"}}, "state/configMap"),
]
UNRENDERED = [
    ({"serviceMonitor": {"enabled": True}, "service": {"enabled": False}}, "service.enabled"),
    ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, "twice"),
    ({"web": {"existingSecret": "given"}}, "web.scheme"),
    ({"web": {"existingSecret": "given", "config": {"rate_limit": {}}}}, "web.existingSecret"),
]

# Whether the notes say that the NetworkPolicy keeps alerts in.
EGRESS = "networkPolicy.extraEgress"
ALERTING = {"networkPolicy": {"enabled": True}, "config": {"alerting": {"alertmanagers": [{"url": "http://alertmanager:9093"}]}}}
NOTES = [
    (ALERTING, True),
    (ALERTING | {"networkPolicy": {"enabled": True, "extraEgress": [{"ports": [{"port": 9093, "protocol": "TCP"}]}]}}, False),
    (ALERTING | {"networkPolicy": {"enabled": False}}, False),
    ({"networkPolicy": {"enabled": True}}, False),
]

wrong = []


def complain(sentence):
    wrong.append(sentence)
    print(sentence, file=sys.stderr)


def objects_of(case, chart, values):
    """The case's objects, each of them valid; objects of the Prometheus operator have no schema here."""
    rendered = chart.render(values, name="eks-nlb-exporter", namespace="monitoring")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for path, text in rendered.items():
            if path.endswith(".txt") or not text.strip():
                continue
            file = pathlib.Path(folder, path.replace("/", "_"))
            file.write_text(text.strip() + "\n")
            found += [document for document in yaml.safe_load_all(text) if document is not None]
        lint = subprocess.run(["yamllint", "-s", "-d", YAMLLINT, folder], capture_output=True, text=True, check=False)
        if lint.returncode:
            complain(f"{case}: yamllint: {lint.stdout}{lint.stderr}")
    for document in found:
        name = f"{case}: {document['kind']} {document['metadata']['name']}"
        if document["kind"] not in ("ClusterRole", "ClusterRoleBinding") and "namespace" not in document["metadata"]:
            complain(f"{name} has no namespace")
        if document["apiVersion"] == OPERATOR:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except Exception as error:  # of three kinds, all of which say what is wrong
                complain(f"{name} is not valid in Kubernetes {version}: {getattr(error, 'message', error)}")
    if len({(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in found}) != len(found):
        complain(f"{case}: two objects have one name")
    return found


def main():
    cases = {}
    with helm_python.Chart.load(CHART) as chart:
        for case, values in CASES.items():
            report = helm_python.lint(CHART, values, strict=True)
            bad = [message for message in report["messages"] if message["severity"] > 1]
            if bad or report["errors"]:
                complain(f"{case}: lint: {bad} {report['errors']}")
            chart.validate_schema(values)
            cases[case] = objects_of(case, chart, values)
        for values, named in REFUSED:
            try:
                chart.validate_schema(values)
                complain(f"the schema accepts {values}")
            except helm_python.HelmValuesError as error:
                if named not in str(error):
                    complain(f"{values} is refused without naming {named}: {error}")
        for values, wanted in NOTES:
            notes = "".join(text for path, text in chart.render(values).items() if path.endswith(".txt"))
            if (EGRESS in notes) != wanted:
                complain(f"{values}: the notes {'do not ' if wanted else ''}speak of {EGRESS}")
        for values, named in UNRENDERED:
            try:
                chart.render(values)
                complain(f"{values} renders")
            except helm_python.HelmRenderError as error:
                if named not in str(error):
                    complain(f"{values} fails without naming {named}: {error}")
        # Every key of a configuration, given on standard input, is one of the schema's.
        try:
            chart.validate_schema({"config": json.load(sys.stdin)})
        except helm_python.HelmValuesError as error:
            complain(f"the schema does not know a key of the daemon's configuration: {error}")
        if "metadata" not in chart.schema.get("properties", {}) and set(chart.values) - set(chart.schema["properties"]):
            complain(f"values without a schema: {set(chart.values) - set(chart.schema['properties'])}")
    json.dump(cases, sys.stdout)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
