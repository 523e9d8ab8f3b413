/** kubectl delete, wait, certificate, and the commands that watch. */
import type { Script } from "./comparison.ts";

const csr = (name: string, label: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: ${name}, labels: {theme: ${label}}}
spec: {request: "\${csr:${name}}", signerName: example.com/${label}, usages: [client auth]}
`;

export const deciding: Script = {
  title: "certificate approve and deny",
  files: {
    "csrs.yaml": ["a1", "a2", "a3", "a4", "a5", "a6"].map((name) => csr(`deciding-${name}`, "deciding")).join("---"),
    "a5.yaml": csr("deciding-a5", "deciding"),
    "role.yaml": "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: deciding-nothing}}",
  },
  steps: [
    "create -f csrs.yaml",
    "certificate approve deciding-a1",
    "certificate approve deciding-a1",
    "certificate approve deciding-a1 --force",
    "certificate deny deciding-a1",
    "certificate deny deciding-a1 --force",
    "get csr deciding-a1 -o yaml --show-managed-fields",
    "certificate deny deciding-a2",
    "certificate deny deciding-a2",
    "certificate approve deciding-a2",
    "certificate approve deciding-a2 --force",
    "certificate approve deciding-a3 deciding-a4",
    "certificate approve",
    "certificate approve nobody",
    "certificate approve nobody deciding-a3",
    "certificate approve -f a5.yaml -o name",
    "certificate approve deciding-a1 -o yaml",
    "certificate deny csr/deciding-a1",
    "create -f role.yaml",
    "certificate approve -f role.yaml",
    { run: "certificate approve deciding-a6", as: "alice" },
    "create clusterrole deciding-half --verb=get,update --resource=csr,csr/approval",
    "create clusterrolebinding deciding-half --clusterrole=deciding-half --user=half",
    "certificate approve deciding-a6 --as=half",
    "certificate deny deciding-a6 --as=half",
    "get csr -l theme=deciding",
    "get csr -l theme=deciding -o 'jsonpath={range .items[*]}{.metadata.name}: {.status.conditions[*].type} {.status.conditions[*].reason} {.status.conditions[*].message}{end}'",
    "delete csr -l theme=deciding",
  ],
};

/** Every way to delete objects. */
export const deleting: Script = {
  title: "delete",
  files: {
    "objects.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: deleting}
${
      ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map((name) =>
        `---
apiVersion: v1
kind: ConfigMap
metadata: {name: ${name}, namespace: deleting, labels: {name: ${name}, theme: deleting}}
`
      ).join("")
    }---
apiVersion: v1
kind: ConfigMap
metadata: {name: held, namespace: deleting, finalizers: [example.com/hold]}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: deleting}
`,
    "a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: deleting}}",
  },
  steps: [
    "create -f objects.yaml",
    "delete cm a -n deleting --dry-run=server",
    "delete cm a -n deleting --dry-run=client",
    "delete -f a.yaml",
    "delete -f a.yaml",
    "delete -f a.yaml --ignore-not-found",
    "delete cm b c -n deleting",
    "delete cm/d secret/s -n deleting -o name",
    "delete cm e -n deleting --force --grace-period=0",
    "delete cm f -n deleting --now",
    "delete cm -n deleting -l name=g --cascade=orphan --wait=false",
    "get cm g -n deleting -o yaml --ignore-not-found",
    'patch cm g -n deleting --type=merge -p \'{"metadata":{"finalizers":null}}\'',
    "delete cm h -n deleting --cascade=foreground --wait=false",
    "get cm h -n deleting -o yaml --ignore-not-found",
    'patch cm h -n deleting --type=merge -p \'{"metadata":{"finalizers":null}}\'',
    "delete cm i -n deleting --cascade=banana",
    "delete cm nobody -n deleting",
    "delete cm nobody -n deleting --ignore-not-found",
    "delete cm -n deleting",
    "delete bananas x",
    "delete cm held -n deleting --wait=false",
    "get cm held -n deleting -o yaml",
    "delete cm held -n deleting --timeout=1s",
    `patch cm held -n deleting --type=merge -p '{"metadata":{"finalizers":["example.com/other"]}}'`,
    `patch cm held -n deleting --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'`,
    "get cm held -n deleting",
    "delete cm --all -n deleting",
    "delete cm --all -n deleting",
    "delete --raw /api/v1/namespaces/deleting/configmaps/x",
    "delete secrets --all -A --field-selector=metadata.namespace=nowhere",
    "delete ns deleting --wait=false",
    "get ns deleting -o yaml",
    "create cm late -n deleting",
    "delete ns deleting --wait=false",
    "delete ns default --wait=false",
    "delete ns kube-system --wait=false",
    "delete ns nobody",
  ],
};

/** Waits for existing, created and deleted objects. */
export const waiting: Script = {
  title: "wait",
  files: { "csr.yaml": csr("waiting-web", "waiting"), "csr2.yaml": csr("waiting-two", "waiting") },
  steps: [
    "wait csr/waiting-web --for=condition=Approved --timeout=1s",
    "wait csr/waiting-web --for=create --timeout=1s",
    "create -f csr.yaml -f csr2.yaml",
    "wait csr/waiting-web --for=create --timeout=150s",
    "wait csr/waiting-web --for=condition=Approved --timeout=2s",
    "certificate approve waiting-web",
    "wait csr/waiting-web --for=condition=Approved --timeout=150s",
    "wait csr/waiting-web --for=condition=Approved=false --timeout=2s",
    "wait csr/waiting-web --for=jsonpath='{.status.conditions[0].reason}'=KubectlApprove --timeout=150s",
    "wait csr/waiting-web --for=jsonpath={.status.certificate} --timeout=2s",
    "wait csr -l theme=waiting --for=condition=Approved --timeout=2s",
    "wait csr --all --field-selector=metadata.name=waiting-web --for=condition=Approved --timeout=150s -o name",
    "wait csr/waiting-web --for=banana --timeout=1s",
    "wait csr/waiting-web --for=delete --timeout=2s",
    "delete csr waiting-web",
    "wait csr/waiting-web --for=delete --timeout=150s",
    "wait csr -l theme=nobody --for=condition=Approved --timeout=1s",
    "wait ns/default --for=jsonpath={.status.phase}=Active --timeout=150s",
    "delete csr waiting-two --dry-run=server",
    "delete csr waiting-two --force --grace-period=0",
    "delete csr waiting-two --ignore-not-found",
  ],
};

/** Watches that receive Tables or whole objects. */
export const watching: Script = {
  title: "get --watch",
  files: { "csr.yaml": csr("watching-web", "watching"), "csr2.yaml": csr("watching-two", "watching") },
  steps: [
    "create -f csr.yaml",
    {
      watch: "get csr -l theme=watching --watch",
      lines: 6,
      while: [
        "certificate approve watching-web",
        "create -f csr2.yaml",
        "label csr watching-two a=b",
        "delete csr watching-two",
      ],
    },
    {
      watch: "get csr watching-web --watch --no-headers",
      lines: 2,
      while: ["label csr watching-web a=b"],
    },
    {
      watch: "get csr -l theme=watching --watch-only --output-watch-events",
      lines: 4,
      while: ["create -f csr2.yaml", "label csr watching-two a=b", "delete csr watching-two"],
    },
    {
      watch:
        "get csr -l theme=watching --watch --output-watch-events -o 'jsonpath={.type} {.object.metadata.name} {.object.metadata.labels}{\"\\n\"}'",
      lines: 4,
      while: ["create -f csr2.yaml", "label csr watching-two theme=other --overwrite", "delete csr watching-two"],
    },
    {
      watch: "get csr --field-selector=metadata.name=watching-two --watch-only -o name",
      lines: 2,
      while: ["create -f csr2.yaml", "delete csr watching-two"],
    },
    {
      watch: "get cm -n default --field-selector=metadata.name=watched --watch -o wide --show-labels",
      lines: 4,
      while: ["create cm watched", "label cm watched a=b", "delete cm watched"],
    },
    {
      watch: "get cm -n default --field-selector=metadata.name=watched --watch-only -o yaml",
      lines: 20,
      while: ["create cm watched --from-literal=a=b", "delete cm watched"],
    },
    {
      watch: "get ns --watch-only --show-kind",
      lines: 3,
      while: ["create ns watched", "label ns watched a=b"],
    },
    "delete csr -l theme=watching",
  ],
};
