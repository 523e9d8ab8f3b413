/**
 * Third-party programs, which must have the same results with a real control plane and with `up`. To add one, add a peer
 * to `tests/support/peers/go.ts` (a Go module below tests/interop/peers) or a package to `install_debian.ts` or `debian.ts`
 * in the same folder, and its script here.
 */
import type { Script } from "./kubectl_comparison/comparison.ts";
import { NO_QUOTAS } from "./kubectl_comparison/get.ts";

/** The difference for a request whose signer does not run, which tlsboot warns about. */
const NO_SIGNER = {
  reason: "the server of tlsboot knows which signers run in it",
  difference: /^(?: .*\n)*\+ stderr: Warning: no signer for "example\.com\/nobody" runs in this server: .*\s*$/,
};

/** Commands of newer releases. kube-apiserver itself may report an event in the namespace `default`. */
const NEWER_COMMANDS = ["events -n kube-public", "auth whoami"];

/** The everyday commands of an administrator, with one release of kubectl. */
function administrate(program: string, asks: readonly string[] = []): Script {
  const name = program.replaceAll(".", "-");
  const run = (command: string, code?: number) => ({
    program,
    run: command,
    ...(code === undefined ? {} : { code }),
  });
  return {
    title: `${program}: everyday commands`,
    files: {
      "objects.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: ${name}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: map, namespace: ${name}, labels: {a: b}}
data: {plain: text}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden, namespace: ${name}}
stringData: {password: hunter2}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: ${name}}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
`,
      "map.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: map, namespace: ${name}}
data: {plain: other, more: text}
`,
      "node.yaml": `
apiVersion: v1
kind: Node
metadata: {name: ${name}-node}
`,
      "request.yaml": `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: ${name}-web}
spec: {request: \${csr:web}, signerName: example.com/nobody, usages: [digital signature, client auth]}
`,
      "review.yaml": `
apiVersion: authorization.k8s.io/v1
kind: SubjectAccessReview
spec: {user: alice, resourceAttributes: {verb: get, resource: secrets, namespace: default}}
`,
    },
    steps: [
      run("create -f objects.yaml", 0),
      run("create -f objects.yaml", 1),
      // The objects that controllers create. kubectl does not wait for two objects that do not exist.
      { run: `wait --for=create --timeout=150s -n ${name} cm/kube-root-ca.crt`, code: 0 },
      { run: `wait --for=create --timeout=150s -n ${name} sa/default`, code: 0 },
      run(`get cm,secret,role -n ${name}`, 0),
      run(`get cm map -n ${name} -o yaml`, 0),
      run("apply -f map.yaml", 0),
      run("apply -f map.yaml", 0),
      run(`patch cm map -n ${name} -p '{"data":{"more":null}}'`, 0),
      run(`label cm map -n ${name} c=d --overwrite`, 0),
      run(`describe cm map -n ${name}`, 0),
      run(`describe secret,role -n ${name}`, 0),
      { ...run(`describe ns ${name}`, 0), intended: NO_QUOTAS },
      run("create -f review.yaml -o yaml", 0),
      { ...run("create -f request.yaml", 0), intended: NO_SIGNER },
      run(`get csr ${name}-web`, 0),
      run(`certificate approve ${name}-web`, 0),
      run(`describe csr ${name}-web`, 0),
      run(`delete csr ${name}-web`, 0),
      run("create -f node.yaml", 0),
      run(`describe node ${name}-node`, 0),
      run(`taint node ${name}-node a=b:NoSchedule`, 0),
      run(`drain ${name}-node --ignore-daemonsets`, 0),
      run(`uncordon ${name}-node`, 0),
      run(`get node ${name}-node -o jsonpath={.spec}`, 0),
      run(`delete node ${name}-node`, 0),
      run("auth can-i create csr"),
      run("auth can-i get secrets --as alice"),
      ...asks.map((ask) => run(ask, 0)),
      run(`get nothings -n ${name}`, 1),
      run(`delete ns ${name}`, 0),
      run(`get cm map -n ${name}`, 1),
    ],
  };
}

/** A release from install to uninstall, with a chart that needs no pods. */
function release(program: string): Script {
  const namespace = program;
  const run = (command: string, code = 0) => ({ program, run: command, code });
  return {
    title: `${program}: a release`,
    files: {
      "chart/Chart.yaml": "{apiVersion: v2, name: demo, version: 1.2.3, appVersion: 4.5.6}\n",
      "chart/values.yaml": "greeting: hello\n",
      "chart/templates/NOTES.txt": "Greeted with {{ .Values.greeting }} in {{ .Release.Namespace }}.\n",
      "chart/templates/objects.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-map"}
data: {greeting: "{{ .Values.greeting }}"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: "{{ .Release.Name }}-robot"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: "{{ .Release.Name }}-reader"}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}-once", annotations: {helm.sh/hook: pre-install}}
stringData: {found: '{{ (lookup "v1" "Namespace" "" "kube-system").metadata.name }}'}
`,
    },
    steps: [
      run(`install demo ./chart -n ${namespace} --create-namespace --wait --timeout 30s`),
      run(`install demo ./chart -n ${namespace}`, 1),
      run(`list -n ${namespace}`),
      run(`status demo -n ${namespace}`),
      run(`upgrade demo ./chart -n ${namespace} --set greeting=hi --wait --timeout 30s`),
      run(`get manifest demo -n ${namespace}`),
      run(`get values demo -n ${namespace}`),
      run(`history demo -n ${namespace}`),
      run(`rollback demo 1 -n ${namespace} --wait --timeout 30s`),
      { run: `get cm demo-map -n ${namespace} -o jsonpath={.data}`, code: 0 },
      { run: `get secret demo-once -n ${namespace} -o jsonpath={.data}`, code: 0 },
      run(`upgrade demo ./chart -n ${namespace} --dry-run=server --set greeting=dry`),
      run(`uninstall demo -n ${namespace} --wait --timeout 30s`),
      run(`list -n ${namespace}`),
      { run: `get cm,role,sa -n ${namespace} -o name`, code: 0 },
      { run: `delete ns ${namespace}`, code: 0 },
    ],
  };
}

/** A tool that reads every role and binding, and checks its own rights first. */
const WHO_CAN: Script = {
  title: "kubectl-who-can: rights",
  files: {
    "rights.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: rights}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: rights}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: rights}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}]
`,
  },
  steps: [
    { run: "create -f rights.yaml", code: 0 },
    ...["get secrets -n rights", "get secrets --all-namespaces", "create namespaces", "get /healthz"].map((run) => ({
      program: "kubectl-who-can",
      run,
      code: 0,
      cut: "lines that tlsboot lacks" as const,
    })),
    { program: "kubectl-who-can", run: "get nothings", code: 1 },
    { run: "delete ns rights", code: 0 },
  ],
};

/**
 * Deletes owners with every policy and prints their dependents. The collector runs asynchronously. It has seen a
 * dependent once it has deleted a later object, whose owner does not exist.
 */
const GARBAGE = `
import time
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

config.load_kube_config()
core, leases = client.CoreV1Api(), client.CoordinationV1Api()
NAMESPACE = "kube-node-lease"

def state(read):
    try:
        return read()
    except ApiException as error:
        return error.status

def lease(name):
    return state(lambda: "orphan" if not leases.read_namespaced_lease(name, NAMESPACE).metadata.owner_references else "owned")

def is_deleted(name):
    return leases.read_namespaced_lease(name, NAMESPACE).metadata.deletion_timestamp is not None

def node(name):
    return state(lambda: ",".join(core.read_node(name).metadata.finalizers or ["there"]))

def wait(what, look, want):
    for _ in range(300):
        if look() == want:
            break
        time.sleep(0.2)
    print(what, look())

for policy in ["Background", "Foreground", "Orphan"]:
    name = "garbage-" + policy.lower()
    made = core.create_node({"metadata": {"name": name}})
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": made.metadata.uid, "blockOwnerDeletion": True}
    held = ["example.com/hold"] if policy == "Foreground" else None
    metadata = {"name": name, "ownerReferences": [owner], "finalizers": held}
    leases.create_namespaced_lease(NAMESPACE, {"metadata": metadata, "spec": {"holderIdentity": name}})
    absent = dict(owner, name="absent", uid="00000000-0000-4000-8000-000000000000")
    leases.create_namespaced_lease(NAMESPACE, {"metadata": {"name": name + "-seen", "ownerReferences": [absent]}})
    wait(policy + ": a lease without an owner:", lambda: lease(name + "-seen"), 404)
    core.delete_node(name, propagation_policy=policy)
    if held:
        wait(policy + ": the node waits:", lambda: node(name), "foregroundDeletion")
        wait(policy + ": its lease is being deleted:", lambda: is_deleted(name), True)
        leases.patch_namespaced_lease(name, NAMESPACE, {"metadata": {"finalizers": None}})
    wait(policy + ": the node:", lambda: node(name), 404)
    wait(policy + ": its lease:", lambda: lease(name), "orphan" if policy == "Orphan" else 404)
leases.delete_namespaced_lease("garbage-orphan", NAMESPACE)
`;

/** The Python client: objects, patches, selectors, pages, a watch, refusals. */
const CLIENT = `
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

config.load_kube_config()
core, rbac, certificates = client.CoreV1Api(), client.RbacAuthorizationV1Api(), client.CertificatesV1Api()
core.create_namespace({"metadata": {"name": "python"}})
for index in range(5):
    core.create_namespaced_config_map("python", {"metadata": {"name": "m%d" % index, "labels": {"odd": str(index % 2)}}})
print([m.metadata.name for m in core.list_namespaced_config_map("python", label_selector="odd=1").items])
page = core.list_namespaced_config_map("python", limit=2, label_selector="odd")
print(len(page.items), page.metadata.remaining_item_count)
rest = core.list_namespaced_config_map("python", limit=9, label_selector="odd", _continue=page.metadata._continue)
print([m.metadata.name for m in rest.items])
print(core.patch_namespaced_config_map("m0", "python", {"data": {"a": "b"}}).data)
version = core.list_namespaced_config_map("python").metadata.resource_version
core.delete_namespaced_config_map("m1", "python")
for event in watch.Watch().stream(core.list_namespaced_config_map, "python", label_selector="odd", resource_version=version, timeout_seconds=60):
    print(event["type"], event["object"].metadata.name)
    break
print(len(core.list_pod_for_all_namespaces().items))
rbac.create_namespaced_role("python", {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]})
for call in [
    lambda: core.read_namespaced_secret("none", "python"),
    lambda: core.create_namespaced_config_map("python", {"metadata": {"name": "m0"}}),
    lambda: core.create_namespaced_config_map("python", {"metadata": {"name": "Not Good"}}),
    lambda: certificates.create_certificate_signing_request({"metadata": {"name": "bad"}, "spec": {"request": "bm8=", "signerName": "a"}}),
]:
    try:
        call()
    except ApiException as error:
        print(error.status, error.reason, error.body)
core.delete_namespace("python")
`;

const PYTHON = "/usr/bin/python3";

/** Every program, the fast ones first. */
export const PROGRAMS: readonly Script[] = [
  administrate("kubectl", NEWER_COMMANDS),
  administrate("kubectl-1.20"),
  {
    title: "python3-kubernetes: objects",
    files: { "client.py": CLIENT },
    steps: [{ program: PYTHON, run: "client.py", code: 0 }],
  },
  {
    title: "python3-kubernetes: garbage",
    files: { "garbage.py": GARBAGE },
    steps: [{ program: PYTHON, run: "garbage.py", code: 0 }],
  },
  administrate("kubectl-1.27"),
  administrate("kubectl-1.32", NEWER_COMMANDS),
  WHO_CAN,
  release("helm-3"),
  release("helm-4"),
];
