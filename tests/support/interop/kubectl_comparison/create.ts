/** kubectl create: generators, dry runs and the server's error messages. */
import type { Script } from "./comparison.ts";

const review = (kind: string, version: string, spec: string) =>
  `{apiVersion: ${version}, kind: ${kind}, metadata: {}, spec: {${spec}}}`;
const access = (kind: string, spec: string) => review(kind, "authorization.k8s.io/v1", spec);
const attributes = "resourceAttributes: {verb: get, resource: secrets, namespace: default}";

/** Reviews, which are not stored. Since 1.27 kubectl lists custom resource definitions before it creates one. */
export const reviewing: Script = {
  title: "create: reviews",
  files: {
    "self-access.yaml": access("SelfSubjectAccessReview", attributes),
    "access.yaml": access("SubjectAccessReview", `user: alice, ${attributes}`),
    "local-access.yaml":
      `{apiVersion: authorization.k8s.io/v1, kind: LocalSubjectAccessReview, metadata: {namespace: default}, spec: {user: alice, ${attributes}}}`,
    "self-rules.yaml": access("SelfSubjectRulesReview", "namespace: default"),
    "self.yaml": "{apiVersion: authentication.k8s.io/v1, kind: SelfSubjectReview}",
    "token.yaml": review("TokenReview", "authentication.k8s.io/v1", "token: nobody-has-it"),
    "misspelt.yaml": access("SelfSubjectAccessReview", `nonsense: true, ${attributes}`),
  },
  steps: [
    ...["self-access", "access", "local-access", "self", "token"].map((name) => ({
      run: `create -f ${name}.yaml -o yaml`,
      code: 0,
    })),
    { run: "create -f self-rules.yaml -o name", code: 0 },
    "create -f misspelt.yaml",
    "create -f access.yaml --validate=false",
    { run: "create -f self-access.yaml -o yaml", as: "alice" },
    "apply -f access.yaml",
  ],
};

/** Generators make the object on the client; the server defaults and stores it. */
export const generators: Script = {
  title: "create: generators",
  files: { "settings.env": "A=1\nB=2\n", "note.txt": "a note\n" },
  steps: [
    "create namespace made",
    "create namespace made",
    "create namespace Made",
    "create ns made2 --dry-run=client -o yaml",
    "create ns made2 --dry-run=server -o yaml",
    "create ns made3 -o yaml --save-config --show-managed-fields",
    "create configmap c1 -n made --from-literal=a=1 --from-literal=b=2",
    "create configmap c2 -n made --from-env-file=settings.env",
    "create configmap c3 -n made --from-file=note.txt --from-file=other=note.txt -o yaml",
    "create configmap c4 -n made --from-literal=a=1 --append-hash",
    "create configmap c1 -n made",
    "create configmap c5 -n nowhere --from-literal=a=1",
    "create configmap c6 -n made --from-literal='not a key=1'",
    "create secret generic s1 -n made --from-literal=password=hunter2",
    "create secret generic s2 -n made --from-literal=x=1 --type=example.com/odd -o yaml",
    "create secret docker-registry s3 -n made --docker-username=u --docker-password=p --docker-email=e",
    "create secret tls s4 -n made --cert=note.txt --key=note.txt",
    "create secret generic s5 -n made --type=kubernetes.io/tls",
    "create serviceaccount robot -n made",
    "create serviceaccount robot -n made",
    "create sa robot2 -n made --dry-run=server -o name",
    "create role reader -n made --verb=get,list --resource=configmaps,secrets",
    "create role named -n made --verb=get --resource=configmaps --resource-name=c1 -o yaml",
    "create role csrs -n made --verb=approve --resource=signers.certificates.k8s.io",
    "create role odd -n made --verb=fly --resource=configmaps",
    "create role none -n made --verb=get --resource=bananas",
    "create rolebinding readers -n made --role=reader --serviceaccount=made:robot --user=mallory",
    "create rolebinding viewers -n made --clusterrole=view --group=staff -o yaml",
    "create rolebinding broken -n made --role=reader --serviceaccount=robot",
    "create clusterrole made-reader --verb=get,list,watch --resource=nodes,csr",
    "create clusterrole made-health --verb=get --non-resource-url=/healthz",
    "create clusterrole made-sum --aggregation-rule=a=b -o yaml",
    "create clusterrole made-sub --verb=update --resource=csr/approval,csr/status",
    "create clusterrolebinding made-readers --clusterrole=made-reader --user=mallory --group=staff",
    "create clusterrolebinding made-readers --clusterrole=made-reader --user=mallory",
    "create clusterrolebinding made-nobody --clusterrole=made-reader",
    "create clusterrolebinding made-nobody --user=x",
    "create token robot -n made",
    "create token robot -n made --audience=a --audience=b --duration=20m -o yaml",
    "create token robot -n made --bound-object-kind=Secret --bound-object-name=s1",
    "create token robot -n made --bound-object-kind=Secret --bound-object-name=none",
    "create token robot -n made --bound-object-kind=Secret --bound-object-name=s1 --bound-object-uid=other",
    "create token robot -n made --bound-object-kind=Pod --bound-object-name=none",
    "create token robot -n made --bound-object-kind=Deployment --bound-object-name=none",
    "create token robot -n made --duration=1m",
    "create token nobody -n made",
    { run: "create token robot -n made", as: "alice" },
    "get cm,secret,sa,role,rolebinding -n made",
    "get secret s3 -n made -o 'jsonpath={.type} {.data}'",
    "get clusterroles,clusterrolebindings -o name --field-selector=metadata.name=made-readers",
  ],
};

/** Creates objects from files, with and without validation. */
export const creating: Script = {
  title: "create: files, dry runs, validation",
  generated: ["creating-csr-"],
  files: {
    "good.yaml": csr("creating-good", "signerName: example.com/c, usages: [client auth]"),
    "two.yaml": `${csr("creating-two", "signerName: example.com/c, usages: [client auth]")}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: creating-two, namespace: default}
`,
    "unknown.yaml": csr("creating-unknown", "signerName: example.com/c, usages: [client auth], colour: red, size: 1"),
    "generate.yaml": `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {generateName: creating-csr-}
spec: {request: "\${csr:creating}", signerName: example.com/c, usages: [client auth]}
`,
    "bad.yaml": csr("creating-bad", "signerName: unqualified, usages: [client auth, frying], expirationSeconds: 5"),
    "usages.yaml": csr("creating-usages", "signerName: example.com/c"),
    "request.yaml": `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: creating-request}
spec: {request: bm90IGEgcmVxdWVzdA==, signerName: example.com/c, usages: [client auth]}
`,
    "type.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: creating-type, namespace: default}
data: {a: 1}
`,
    "name.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: Not_Good, namespace: default, labels: {a: "not good"}, annotations: {"not good": a}}
`,
    "nameless.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: default}}",
    "kind.yaml": "{apiVersion: example.com/v1, kind: Banana, metadata: {name: b}}",
    "kindless.yaml": "{apiVersion: v1, metadata: {name: b}}",
    "cut.yaml": "{apiVersion: v1, kind: ConfigMap",
    "list.yaml": `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: creating-l1, namespace: default}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: creating-l2, namespace: default}}
`,
    "immutable.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: creating-immutable, namespace: default}
immutable: true
data: {a: "1"}
`,
  },
  steps: [
    "create -f good.yaml --dry-run=client",
    "create -f good.yaml --dry-run=server",
    "create -f good.yaml --dry-run=server -o yaml",
    "get csr creating-good",
    "create -f good.yaml",
    "create -f good.yaml",
    "create -f two.yaml -o name",
    "create -f unknown.yaml",
    "create -f unknown.yaml --validate=warn",
    "create -f unknown.yaml --validate=ignore",
    "create -f generate.yaml",
    "create -f generate.yaml -o yaml",
    "create -f bad.yaml",
    "create -f usages.yaml",
    "create -f request.yaml",
    "create -f type.yaml",
    "create -f type.yaml --validate=false",
    "create -f name.yaml",
    "create -f nameless.yaml",
    "create -f kind.yaml",
    "create -f kindless.yaml",
    "create -f cut.yaml",
    "create -f list.yaml",
    "create -f immutable.yaml",
    "create -f nowhere.yaml",
    "create -f good.yaml -n elsewhere",
    "create -f immutable.yaml -n elsewhere",
    'patch cm creating-immutable --type=merge -p \'{"data":{"a":"2"}}\'',
    { run: "create -f -", stdin: "{apiVersion: v1, kind: ConfigMap, metadata: {name: creating-stdin}}" },
    { run: "create -f -", stdin: "" },
    { run: "create --raw /api/v1/namespaces/default/configmaps -f list.yaml" },
    {
      run: "create --raw /api/v1/namespaces/default/configmaps -f -",
      stdin: '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"creating-raw"}}',
    },
    "delete cm -n default -l nothing=here",
    "delete -f list.yaml -f two.yaml",
  ],
};

function csr(name: string, spec: string): string {
  return `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: ${name}}
spec: {request: "\${csr:${name}}", ${spec}}
`;
}
