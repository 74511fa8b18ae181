# What every manifest of an environment must keep, beyond being valid. Each rule has a name, and
# tests/template/test_manifests.py has for each a manifest that breaks it and no other.
# Input: {"objects": [...]}, all objects of one environment.
package manifests

import rego.v1

workloads contains object if {
	some object in input.objects
	object.kind == "Deployment"
}

pods contains {"name": object.metadata.name, "spec": object.spec.template.spec} if {
	some object in workloads
}

pods contains {"name": object.metadata.name, "spec": object.spec.predictor} if {
	some object in input.objects
	object.kind == "InferenceService"
}

containers contains {"pod": pod.name, "container": container} if {
	some pod in pods
	some key in ["containers", "initContainers"]
	some container in object.get(pod.spec, key, [])
}

servers contains {"pod": pod.name, "container": container} if {
	some pod in pods
	some container in pod.spec.containers
}

broken contains {"rule": "image-by-digest", "at": entry.container.name} if {
	some entry in containers
	not regex.match(`^[a-z0-9.:/_-]+@sha256:[0-9a-f]{64}$`, entry.container.image)
}

broken contains {"rule": "read-only-root", "at": entry.container.name} if {
	some entry in containers
	object.get(entry.container, ["securityContext", "readOnlyRootFilesystem"], false) != true
}

broken contains {"rule": "no-new-privileges", "at": entry.container.name} if {
	some entry in containers
	object.get(entry.container, ["securityContext", "allowPrivilegeEscalation"], true) != false
}

broken contains {"rule": "no-capabilities", "at": entry.container.name} if {
	some entry in containers
	object.get(entry.container, ["securityContext", "capabilities"], {}) != {"drop": ["ALL"]}
}

broken contains {"rule": "not-root", "at": pod.name} if {
	some pod in pods
	not runs_as_somebody(pod.spec)
}

runs_as_somebody(spec) if {
	spec.securityContext.runAsNonRoot == true
	spec.securityContext.runAsUser >= 10000
}

broken contains {"rule": "seccomp", "at": pod.name} if {
	some pod in pods
	object.get(pod.spec, ["securityContext", "seccompProfile", "type"], "") != "RuntimeDefault"
}

broken contains {"rule": "no-token", "at": pod.name} if {
	some pod in pods
	object.get(pod.spec, "automountServiceAccountToken", true) != false
}

broken contains {"rule": "nothing-of-the-node", "at": pod.name} if {
	some pod in pods
	some key in ["hostNetwork", "hostPID", "hostIPC"]
	object.get(pod.spec, key, false) == true
}

broken contains {"rule": "nothing-of-the-node", "at": pod.name} if {
	some pod in pods
	some volume in pod.spec.volumes
	volume.hostPath
}

broken contains {"rule": "resources", "at": entry.container.name} if {
	some entry in containers
	some path in [["requests", "cpu"], ["requests", "memory"], ["limits", "memory"]]
	object.get(entry.container, array.concat(["resources"], path), "") == ""
}

broken contains {"rule": "probes", "at": entry.container.name} if {
	some entry in servers
	some probe in ["startupProbe", "readinessProbe", "livenessProbe"]
	not entry.container[probe]
}

broken contains {"rule": "golden-before-service", "at": entry.container.name} if {
	some entry in servers
	not ends_with(object.get(entry.container, ["startupProbe", "exec", "command"], []), "golden")
}

broken contains {"rule": "wanted-model-only", "at": pod.name} if {
	some pod in pods
	not checks_its_model(pod.spec)
}

checks_its_model(spec) if {
	some container in spec.initContainers
	ends_with(container.command, "model")
	some variable in container.env
	variable.name == "DESIRED_STATE"
	yaml.unmarshal(variable.value).model
}

ends_with(words, word) if words[count(words) - 1] == word

broken contains {"rule": "old-stays-until-new-serves", "at": object.metadata.name} if {
	some object in workloads
	object.spec.strategy.rollingUpdate.maxUnavailable != 0
}

broken contains {"rule": "fails-in-the-end", "at": object.metadata.name} if {
	some object in workloads
	not object.spec.progressDeadlineSeconds <= 600
}

broken contains {"rule": "scaled", "at": object.metadata.name} if {
	some object in workloads
	not is_scaled(object)
}

is_scaled(workload) if {
	not workload.spec.replicas # two would decide
	some object in input.objects
	object.kind == "HorizontalPodAutoscaler"
	object.spec.scaleTargetRef.name == workload.metadata.name
}

broken contains {"rule": "disruption-budget", "at": object.metadata.name} if {
	some object in workloads
	not has_budget(object)
}

has_budget(workload) if {
	some object in input.objects
	object.kind == "PodDisruptionBudget"
	selects(object.spec.selector.matchLabels, workload)
}

broken contains {"rule": "reached-by-service", "at": object.metadata.name} if {
	some object in workloads
	not has_service(object)
}

has_service(workload) if {
	some object in input.objects
	object.kind == "Service"
	object.spec.type == "ClusterIP" # from within the cluster only
	selects(object.spec.selector, workload)
}

broken contains {"rule": "closed-network", "at": object.metadata.name} if {
	some object in workloads
	not has_closed_network
}

has_closed_network if {
	some object in input.objects
	object.kind == "NetworkPolicy"
	object.spec.podSelector == {}
	{"Ingress", "Egress"} == {kind | some kind in object.spec.policyTypes}
	not object.spec.ingress
	not object.spec.egress
}

broken contains {"rule": "open-to-all", "at": object.metadata.name} if {
	some object in input.objects
	object.kind == "NetworkPolicy"
	some rule in object.spec.ingress
	not rule.from[0]
}

broken contains {"rule": "in-a-namespace", "at": object.metadata.name} if {
	some object in input.objects
	object.kind != "Namespace"
	not object.metadata.namespace
}

broken contains {"rule": "restricted-namespace", "at": object.metadata.name} if {
	some object in input.objects
	object.kind == "Namespace"
	object.metadata.labels["pod-security.kubernetes.io/enforce"] != "restricted"
}

selects(labels, workload) if {
	count(labels) > 0
	every name, value in labels {
		workload.spec.template.metadata.labels[name] == value
	}
}
