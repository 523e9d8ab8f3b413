/** kubectl apply on the client and on the server, diff, replace, edit and patch; and trust bundles. */
import { TRUST_ANCHOR } from "../../trust_anchor.ts";
import type { Script } from "./comparison.ts";

const map = (data: string, metadata = "") => `
apiVersion: v1
kind: ConfigMap
metadata: {name: map, namespace: applying${metadata}}
data: {${data}}
`;

const bundle = (name: string, spec: string) => `
apiVersion: certificates.k8s.io/v1
kind: ClusterTrustBundle
metadata: {name: "${name}"}
spec: {${spec}}
`;
const anchor = `trustBundle: ${JSON.stringify(TRUST_ANCHOR)}`;

/** ClusterTrustBundles, changed with every kind of write. */
export const trustBundles: Script = {
  title: "trust bundles",
  files: {
    "plain.yaml": bundle("plain", anchor),
    "signed.yaml": bundle("example.com:foo:v1", `signerName: example.com/foo, ${anchor}`),
    "misnamed.yaml": bundle("v1", `signerName: example.com/foo, ${anchor}`),
    "twice.yaml": bundle("plain", `trustBundle: ${JSON.stringify(TRUST_ANCHOR.repeat(2))}`),
  },
  steps: [
    "get clustertrustbundles",
    "create -f plain.yaml",
    "apply --server-side -f signed.yaml",
    "create -f misnamed.yaml",
    "replace -f twice.yaml",
    "apply -f twice.yaml",
    "get clustertrustbundles",
    "get clustertrustbundle plain -o yaml",
    "get clustertrustbundles --field-selector spec.signerName=example.com/foo -o wide",
    "get clustertrustbundles --field-selector spec.trustBundle=x",
    "describe clustertrustbundle example.com:foo:v1",
    'patch clustertrustbundle example.com:foo:v1 --type merge -p \'{"spec":{"signerName":"example.com/bar"}}\'',
    "label clustertrustbundle example.com:foo:v1 a=b",
    "delete clustertrustbundle plain example.com:foo:v1",
  ],
};

/** Client-side apply keeps the last configuration in an annotation. */
export const applying: Script = {
  title: "apply on the client, diff, prune",
  files: {
    "ns.yaml": "{apiVersion: v1, kind: Namespace, metadata: {name: applying}}",
    "map1.yaml": map('a: "1", b: "2"'),
    "map2.yaml": map('a: "1", c: "3"', ", labels: {colour: red}"),
    "bad.yaml": map('"not good": "3"'),
    "unknown.yaml": `${map('a: "1"')}colour: red\n`,
    "role1.yaml": role("[configmaps]", "[get]"),
    "role2.yaml": role("[configmaps, secrets]", "[get, list]"),
    "sa.yaml":
      "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: applying}, secrets: [{name: a}, {name: b}]}",
    "sa2.yaml":
      "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: applying}, secrets: [{name: c}, {name: b}]}",
    "pruned.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: applying, labels: {app: p}}}",
    "pruned2.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: gone, namespace: applying, labels: {app: p}}}",
  },
  steps: [
    "apply -f ns.yaml",
    "diff -f map1.yaml",
    "apply -f map1.yaml --dry-run=server",
    "apply -f map1.yaml",
    "apply -f map1.yaml",
    "get cm map -n applying -o yaml --show-managed-fields",
    "diff -f map1.yaml",
    "diff -f map2.yaml",
    "apply -f map2.yaml --dry-run=server -o yaml",
    "apply -f map2.yaml",
    "get cm map -n applying -o yaml --show-managed-fields",
    "apply view-last-applied cm map -n applying",
    "apply -f bad.yaml",
    "apply -f unknown.yaml",
    "diff -f unknown.yaml",
    "apply -f unknown.yaml --validate=warn",
    "apply set-last-applied -f map1.yaml",
    "apply -f map1.yaml -o json",
    "apply -f role1.yaml",
    "diff -f role2.yaml",
    "apply -f role2.yaml",
    "get role reader -n applying -o yaml",
    "apply -f sa.yaml",
    "apply -f sa2.yaml",
    "get sa robot -n applying -o yaml",
    "apply -f pruned.yaml -f pruned2.yaml",
    "apply -f pruned.yaml --prune -l app=p -n applying --prune-allowlist=core/v1/ConfigMap",
    "get cm -n applying -o name",
    "apply -f map1.yaml --force",
    "create cm plain -n applying --from-literal=a=1",
    {
      run: "apply -f -",
      stdin: '{apiVersion: v1, kind: ConfigMap, metadata: {name: plain, namespace: applying}, data: {b: "2"}}',
    },
    "get cm plain -n applying -o 'jsonpath={.data}'",
  ],
};

/** Server-side apply: field ownership, conflicts, and the migration from client-side apply. */
export const applyingOnServer: Script = {
  title: "apply on the server",
  files: {
    "map1.yaml": map('a: "1", b: "2"'),
    "map2.yaml": map('a: "1"'),
    "map3.yaml": map('a: "9"'),
    "ns.yaml": "{apiVersion: v1, kind: Namespace, metadata: {name: applying}}",
    "unknown.yaml": `${map('a: "1"')}colour: red\n`,
    "csr.yaml": `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: ssa-web, labels: {a: b}}
spec: {request: "\${csr:ssa-web}", signerName: example.com/ssa, usages: [client auth]}
`,
    "role.yaml": role("[configmaps]", "[get]"),
    "managed.yaml":
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: managed, namespace: applying, managedFields: [{manager: x}]}}",
  },
  steps: [
    "apply -f ns.yaml --server-side",
    "delete cm map -n applying --ignore-not-found",
    "apply -f map1.yaml --server-side --dry-run=server",
    "apply -f map1.yaml --server-side",
    "apply -f map1.yaml --server-side",
    "get cm map -n applying -o yaml --show-managed-fields",
    "apply -f map2.yaml --server-side",
    "get cm map -n applying -o yaml",
    "apply -f map3.yaml --server-side --field-manager=other",
    "apply -f map3.yaml --server-side --field-manager=other --force-conflicts",
    "get cm map -n applying -o yaml --show-managed-fields",
    "apply -f map2.yaml --server-side",
    "apply -f map2.yaml",
    "apply -f map1.yaml --server-side --force-conflicts -o yaml --show-managed-fields",
    "diff -f map3.yaml --server-side --force-conflicts",
    "diff -f map3.yaml --server-side",
    "apply -f unknown.yaml --server-side",
    "apply -f managed.yaml --server-side",
    "apply -f csr.yaml --server-side",
    "get csr ssa-web -o yaml --show-managed-fields",
    "label csr ssa-web a=c --overwrite",
    "apply -f csr.yaml --server-side",
    "certificate approve ssa-web",
    "get csr ssa-web -o 'jsonpath={.metadata.managedFields[*].subresource}'",
    "apply -f role.yaml --server-side",
    "apply -f role.yaml",
    "get role reader -n applying -o yaml --show-managed-fields",
    "apply -f role.yaml --server-side --subresource=status",
    "delete ns applying --wait=false",
  ],
};

/** Changes existing objects with replace, edit, patch, label and annotate. */
export const changing: Script = {
  title: "replace, edit, patch, label, annotate",
  files: {
    "objects.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: changing}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: map, namespace: changing}
data: {a: "1", shape: round}
---
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: changing-web}
spec: {request: "\${csr:changing-web}", signerName: example.com/changing, usages: [client auth]}
`,
    "replace.yaml":
      '{apiVersion: v1, kind: ConfigMap, metadata: {name: map, namespace: changing}, data: {b: "2", shape: round}}',
    "old.yaml":
      '{apiVersion: v1, kind: ConfigMap, metadata: {name: map, namespace: changing, resourceVersion: "1"}, data: {b: "2"}}',
    "uid.yaml":
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: map, namespace: changing, uid: 00000000-0000-4000-8000-000000000000}}",
    "forced.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: forced, namespace: changing}}",
    "patch.yaml": "data: {from: file}\n",
    "csr.yaml": `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: changing-web, labels: {colour: red}}
spec: {request: "\${csr:changing-web}", signerName: example.com/changing, usages: [client auth]}
`,
  },
  steps: [
    "create -f objects.yaml",
    "replace -f replace.yaml",
    "get cm map -n changing -o yaml --show-managed-fields",
    "replace -f old.yaml",
    "replace -f uid.yaml",
    "replace -f forced.yaml",
    "replace --force -f replace.yaml",
    "replace --force -f forced.yaml",
    "replace -f replace.yaml --dry-run=server -o name",
    { run: "edit cm map -n changing", env: { KUBE_EDITOR: "sed -i s/round/square/" } },
    { run: "edit cm map -n changing", env: { KUBE_EDITOR: "true" } },
    { run: "edit cm map -n changing -o json", env: { KUBE_EDITOR: "sed -i s/square/flat/" } },
    { run: "edit cm map -n changing", env: { KUBE_EDITOR: "sed -i 's/^  shape: .*/  \"not good\": x/'" } },
    { run: "edit csr changing-web", env: { KUBE_EDITOR: "sed -i 's/^  name: .*/&\\n  labels: {edited: \"yes\"}/'" } },
    { run: "edit csr changing-web", env: { KUBE_EDITOR: "sed -i s,example.com/changing,example.com/other," } },
    { run: "edit csr changing-web --subresource=status", env: { KUBE_EDITOR: "true" } },
    { run: "edit cm nobody -n changing", env: { KUBE_EDITOR: "true" } },
    { run: "edit cm map -n changing", env: { KUBE_EDITOR: "false" } },
    "get cm map -n changing -o yaml --show-managed-fields",
    `patch cm map -n changing -p '{"data":{"a":"2","gone":null}}'`,
    `patch cm map -n changing -p '{"data":{"a":"2"}}'`,
    `patch cm map -n changing --type=merge -p '{"data":{"shape":null}}' -o yaml`,
    `patch cm map -n changing --type=json -p '[{"op":"add","path":"/data/new","value":"x"}]'`,
    `patch cm map -n changing --type=json -p '[{"op":"test","path":"/data/new","value":"y"}]'`,
    `patch cm map -n changing --type=json -p '[{"op":"remove","path":"/data/nothing"}]'`,
    `patch cm map -n changing --type=json -p '{"op":"remove"}'`,
    `patch cm map -n changing --type=json -p '[{"op":"fly","path":"/data"}]'`,
    `patch cm map -n changing --type=merge -p '{"data":'`,
    `patch cm map -n changing --type=merge -p '{"data":{"a":1}}'`,
    `patch cm map -n changing --type=merge -p '{"metadata":{"name":"other"}}'`,
    `patch cm map -n changing --type=merge -p '{"metadata":{"resourceVersion":"1"}}'`,
    `patch cm map -n changing --type=banana -p '{}'`,
    "patch cm map -n changing --patch-file=patch.yaml",
    `patch cm map -n changing --dry-run=server -p '{"data":{"dry":"run"}}' -o 'jsonpath={.data}'`,
    `patch cm nobody -n changing -p '{}'`,
    `patch csr changing-web --subresource=approval -p '{"status":{"conditions":[{"type":"Approved","status":"True","reason":"ByPatch"}]}}'`,
    `patch csr changing-web --subresource=approval --type=merge -p '{"status":{"conditions":[]}}'`,
    `patch csr changing-web --subresource=status --type=merge -p '{"status":{"certificate":"bm8="}}'`,
    `patch csr changing-web --type=merge -p '{"spec":{"signerName":"example.com/other"}}'`,
    "diff -f csr.yaml",
    "apply -f csr.yaml",
    "apply -f csr.yaml",
    "replace -f csr.yaml",
    `patch csr changing-web --type=json -p '[{"op":"replace","path":"/metadata/labels/colour","value":"grey"}]'`,
    `patch csr changing-web -p '{"metadata":{"labels":{"shape":"round"}}}'`,
    `patch csr changing-web --type=merge -p '{"metadata":{"labels":{"colour":"not allowed"}}}'`,
    "label cm map -n changing a=b",
    "label cm map -n changing a=c",
    "label cm map -n changing a=c --overwrite",
    "label cm map -n changing a=c --overwrite",
    "label cm map -n changing a-",
    "label cm map -n changing a-",
    "label cm map -n changing --list",
    "label cm map -n changing 'a=not good'",
    "label cm map -n changing 'not/a/key=b'",
    "label cm --all -n changing all=yes -o yaml",
    "label cm -n changing -l all=yes more=yes",
    "label cm map -n changing x=y --resource-version=1",
    "label cm map -n changing x=y --dry-run=server -o 'jsonpath={.metadata.labels}'",
    "label csr changing-web a=b",
    "annotate cm map -n changing example.com/why=because",
    "annotate cm map -n changing example.com/why=other",
    "annotate cm map -n changing example.com/why-",
    "annotate cm map -n changing --list",
    "annotate cm map -n changing 'not good=b'",
    "annotate csr a=b --field-selector=metadata.name=changing-web",
    "label cm nobody -n changing a=b",
    "get csr changing-web -o yaml --show-managed-fields",
  ],
};

/** Commands that change nodes, such as cordon and taint. */
export const nodes: Script = {
  title: "taint, cordon, drain",
  files: {
    "node.yaml": "{apiVersion: v1, kind: Node, metadata: {name: worked-node}}",
  },
  steps: [
    "create -f node.yaml",
    "taint node worked-node a=b:NoSchedule",
    "taint node worked-node a=b:NoSchedule",
    "taint node worked-node a=c:NoSchedule --overwrite",
    "taint node worked-node x:NoExecute y=z:PreferNoSchedule",
    "taint node worked-node a=b:Nonsense",
    "get node worked-node -o yaml --show-managed-fields",
    "taint node worked-node a:NoSchedule-",
    "taint node worked-node y-",
    "taint node worked-node nothing-",
    "taint node nobody a=b:NoSchedule",
    "cordon worked-node",
    "cordon worked-node",
    "get node worked-node",
    "cordon worked-node --dry-run=server",
    `patch node worked-node --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'`,
    "get node worked-node",
    "describe node worked-node",
    "uncordon worked-node",
    "uncordon worked-node",
    "cordon nobody",
    { run: "drain worked-node --dry-run=server", code: 0 },
    { run: "drain worked-node --ignore-daemonsets --delete-emptydir-data", code: 0 },
    "drain worked-node --pod-selector=a=b",
    "drain nobody",
    "uncordon worked-node",
    "label node worked-node node-role.kubernetes.io/worker=",
    "get node worked-node",
    "get node worked-node -o yaml --show-managed-fields",
    "delete node worked-node",
  ],
};

function role(resources: string, verbs: string): string {
  return `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: applying}
rules: [{apiGroups: [""], resources: ${resources}, verbs: ${verbs}}]
`;
}
