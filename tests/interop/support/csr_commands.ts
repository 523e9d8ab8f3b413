/** kubectl's commands that touch CSRs, by theme, each with exact answers: those of a real kube-apiserver 1.37.2. */
import { csrManifest } from "./csr_manifest.ts";
import type { Step } from "./kubectl_steps.ts";

/** A table that leaves other themes' objects alone. */
export interface Theme {
  readonly name: string;
  steps(): Promise<readonly Step[]>;
}

const KIND = "certificatesigningrequest.certificates.k8s.io";
const RESOURCE = "certificatesigningrequests.certificates.k8s.io";
const CREATE = ["create", "-f", "-"];
const notFound = (name: string) => `Error from server (NotFound): ${RESOURCE} "${name}" not found\n`;

const creating: Theme = {
  name: "create",
  async steps() {
    const c1 = await csrManifest("c1");
    const unknown = (name: string) => csrManifest(name, { spec: { nope: 1 } });
    return [
      { args: CREATE, stdin: c1, stdout: `${KIND}/c1 created\n` },
      {
        args: CREATE,
        stdin: c1,
        code: 1,
        stderr: `Error from server (AlreadyExists): error when creating "STDIN": ${RESOURCE} "c1" already exists\n`,
      },
      { args: [...CREATE, "--dry-run=server"], stdin: await csrManifest("c2"), stdout: `${KIND}/c2 created (server dry run)\n` },
      { args: [...CREATE, "--dry-run=client"], stdin: await csrManifest("c2"), stdout: `${KIND}/c2 created (dry run)\n` },
      { args: ["get", "csr", "c2"], code: 1, stderr: notFound("c2") },
      {
        args: CREATE,
        stdin: await unknown("c3"),
        code: 1,
        stderr: /^Error from server \(BadRequest\): error when creating "STDIN": CertificateSigningRequest in version "v1" cannot be handled as a CertificateSigningRequest: strict decoding error: unknown field "spec\.nope"\n$/,
      },
      {
        args: [...CREATE, "--validate=warn"],
        stdin: await unknown("c3"),
        stdout: `${KIND}/c3 created\n`,
        stderr: 'Warning: unknown field "spec.nope"\n',
      },
      { args: [...CREATE, "--validate=false"], stdin: await unknown("c4"), stdout: `${KIND}/c4 created\n` },
      {
        args: CREATE,
        stdin: await csrManifest("c5", { spec: { usages: ["client auth", "frying"], expirationSeconds: 5 } }),
        code: 1,
        stderr:
          /^The CertificateSigningRequest "c5" is invalid: \n\* spec\.usages\[1\]: Unsupported value: "frying": supported values: "any", "cert sign", .*\n\* spec\.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds \(10 minutes\)\n$/,
      },
      {
        args: CREATE,
        stdin: await csrManifest("c6", { spec: { request: "bm90IGEgcmVxdWVzdA==" } }),
        code: 1,
        stderr: /^The CertificateSigningRequest "c6" is invalid: spec\.request: Invalid value: .*: PEM block type must be CERTIFICATE REQUEST\n$/,
      },
      {
        args: CREATE,
        stdin: await csrManifest("c7", { spec: { signerName: "unqualified" } }),
        code: 1,
        stderr: /^The CertificateSigningRequest "c7" is invalid: spec\.signerName: Invalid value: "unqualified": /,
      },
      {
        args: CREATE,
        stdin: await csrManifest("", { metadata: { name: undefined, generateName: "gen-" } }),
        stdout: /^certificatesigningrequest\.certificates\.k8s\.io\/gen-[a-z0-9]{5} created\n$/,
      },
    ];
  },
};

const reading: Theme = {
  name: "get and describe",
  async steps() {
    const labels = { theme: "reading" };
    const only = ["--selector=theme=reading"];
    return [
      { args: CREATE, stdin: await csrManifest("g1", { metadata: { labels }, spec: { expirationSeconds: 3600 } }) },
      { args: CREATE, stdin: await csrManifest("g2", { metadata: { labels }, spec: { signerName: "example.com/reading" } }) },
      {
        args: ["get", "csr", ...only],
        stdout:
          /^NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION\ng1 +\d+s +kubernetes\.io\/kube-apiserver-client +\S*admin +60m +Pending\ng2 +\d+s +example\.com\/reading +\S*admin +<none> +Pending\n$/,
      },
      { args: ["get", "csr", ...only, "--output=wide", "--no-headers"], stdout: /^g1 .*\ng2 .*\n$/ },
      { args: ["get", "csr", ...only, "--show-labels"], stdout: /LABELS\ng1 .*theme=reading\n/ },
      { args: ["get", "certificatesigningrequests", ...only, "--output=name"], stdout: `${KIND}/g1\n${KIND}/g2\n` },
      { args: ["get", "csr", ...only, "--output=name", "--chunk-size=1"], stdout: `${KIND}/g1\n${KIND}/g2\n` },
      { args: ["get", "csr.v1.certificates.k8s.io", "g1", "--output=name"], stdout: `${KIND}/g1\n` },
      { args: ["get", "csr", "g1", "--output=jsonpath={.spec.signerName} {.spec.expirationSeconds}"], stdout: "kubernetes.io/kube-apiserver-client 3600" },
      { args: ["get", "csr", "g1", "--output=yaml"], stdout: /^apiVersion: certificates\.k8s\.io\/v1\nkind: CertificateSigningRequest\nmetadata:\n[^]*\nstatus: \{\}\n$/ },
      { args: ["get", "csr", ...only, "--output=json"], stdout: /"kind": "List"/ },
      { args: ["get", "csr", ...only, "--output=custom-columns=N:.metadata.name,S:.spec.signerName"], stdout: /^N +S\ng1 +kubernetes\.io\/kube-apiserver-client\ng2 +example\.com\/reading\n$/ },
      { args: ["get", "csr", ...only, "--sort-by=.spec.signerName", "--no-headers"], stdout: /^g2 .*\ng1 / },
      { args: ["get", "csr", "--field-selector=spec.signerName=example.com/reading", "--output=name"], stdout: `${KIND}/g2\n` },
      { args: ["get", "csr", "g1", "--subresource=approval", "--no-headers"], stdout: /^g1 +\d+s\n$/ },
      {
        args: ["get", "csr", "--field-selector=spec.color=red"],
        code: 1,
        stderr: /^Error from server \(BadRequest\): Unable to find "certificates\.k8s\.io\/v1, Resource=certificatesigningrequests" that match label selector "", field selector "spec\.color=red": field label not supported: spec\.color\n$/,
      },
      { args: ["get", "csr", "nobody"], code: 1, stderr: notFound("nobody") },
      { args: ["get", "csr", "--selector=theme=none"], stderr: "No resources found\n" },
      {
        args: ["describe", "csr", "g1"],
        stdout:
          /^Name: +g1\nLabels: +theme=reading\nAnnotations: +<none>\nCreationTimestamp: +.*\nRequesting User: +\S*admin\nSigner: +kubernetes\.io\/kube-apiserver-client\nRequested Duration: +60m\nStatus: +Pending\nSubject:\n +Common Name: +g1\n[^]*Events: +<none>\n$/,
      },
      { args: ["describe", "csr", "nobody"], code: 1, stderr: notFound("nobody") },
      { args: ["events", "--for=csr/g1"], stderr: "No events found in default namespace.\n" },
    ];
  },
};

const deciding: Theme = {
  name: "certificate approve and deny",
  async steps() {
    const approve = (...args: string[]) => ["certificate", "approve", ...args];
    const deny = (...args: string[]) => ["certificate", "deny", ...args];
    const role = JSON.stringify({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "view-nothing" } });
    return [
      ...await Promise.all(["a1", "a2", "a3", "a4"].map(async (name) => ({ args: CREATE, stdin: await csrManifest(name) }))),
      { args: approve("a1"), stdout: `${KIND}/a1 approved\n` },
      { args: approve("a1"), stdout: `${KIND}/a1 approved\n` },
      { args: approve("a1", "--force"), stdout: `${KIND}/a1 approved\n` },
      { args: ["wait", "csr/a1", "--for=jsonpath={.status.certificate}", "--timeout=30s"], stdout: `${KIND}/a1 condition met\n` },
      { args: ["get", "csr", "a1", "--no-headers"], stdout: /^a1 .* Approved,Issued\n$/ },
      {
        args: ["get", "csr", "a1", "--output=jsonpath={.status.conditions[*]['type','status','reason','message']}"],
        stdout: "Approved True KubectlApprove This CSR was approved by kubectl certificate approve.",
      },
      { args: deny("a1"), code: 1, stderr: 'error: certificate signing request "a1" is already Approved\n' },
      { args: deny("a2"), stdout: `${KIND}/a2 denied\n` },
      { args: ["get", "csr", "a2", "--no-headers"], stdout: /^a2 .* Denied\n$/ },
      { args: approve("a2"), code: 1, stderr: 'error: certificate signing request "a2" is already Denied\n' },
      { args: approve("a2", "--force"), code: 1, stderr: 'error: certificate signing request "a2" is already Denied\n' },
      { args: approve(), code: 1, stderr: "error: one or more CSRs must be specified as <name> or -f <filename>\n" },
      { args: approve("nobody"), code: 1, stderr: notFound("nobody") },
      { args: approve("nobody", "a3"), code: 1, stdout: `${KIND}/a3 approved\n`, stderr: notFound("nobody") },
      { args: approve("-f", "-"), stdin: await csrManifest("a4"), stdout: `${KIND}/a4 approved\n` },
      { args: CREATE, stdin: role },
      {
        args: approve("-f", "-"),
        stdin: role,
        code: 1,
        stderr: "error: can only handle CertificateSigningRequest.certificates.k8s.io objects, got ClusterRole.rbac.authorization.k8s.io\n",
      },
    ];
  },
};

const changing: Theme = {
  name: "apply, diff, replace, label, annotate, patch, edit",
  async steps() {
    const apply = ["apply", "-f", "-"];
    const old = await csrManifest("m1");
    const changed = await csrManifest("m1", { metadata: { labels: { colour: "red" } }, spec: JSON.parse(old).spec });
    const colour = ["get", "csr", "m1", "--output=jsonpath={.metadata.labels.colour}"];
    return [
      { args: apply, stdin: old, stdout: `${KIND}/m1 created\n` },
      { args: apply, stdin: old, stdout: `${KIND}/m1 unchanged\n` },
      { args: ["diff", "-f", "-"], stdin: old, stdout: "" },
      { args: ["diff", "-f", "-"], stdin: changed, code: 1, stdout: /^\+ +colour: red$/m, stderr: /^(exit status 1\n)?$/ },
      { args: apply, stdin: changed, stdout: `${KIND}/m1 configured\n` },
      { args: colour, stdout: "red" },
      { args: ["label", "csr", "m1", "colour=blue"], code: 1, stderr: /'colour' already has a value \(red\), and --overwrite is false/ },
      { args: ["label", "csr", "m1", "colour=blue", "--overwrite"], stdout: `${KIND}/m1 labeled\n` },
      { args: colour, stdout: "blue" },
      { args: ["label", "csr", "m1", "colour-"], stdout: `${KIND}/m1 unlabeled\n` },
      { args: colour, stdout: "" },
      { args: ["annotate", "csr", "m1", "example.com/why=because"], stdout: `${KIND}/m1 annotated\n` },
      { args: ["patch", "csr", "m1", "--type=merge", '--patch={"metadata":{"labels":{"colour":"green"}}}'], stdout: `${KIND}/m1 patched\n` },
      { args: ["patch", "csr", "m1", "--type=merge", '--patch={"metadata":{"labels":{"colour":"green"}}}'], stdout: `${KIND}/m1 patched (no change)\n` },
      { args: ["patch", "csr", "m1", "--type=json", '--patch=[{"op":"replace","path":"/metadata/labels/colour","value":"grey"}]'], stdout: `${KIND}/m1 patched\n` },
      { args: ["patch", "csr", "m1", "--type=strategic", '--patch={"metadata":{"labels":{"shape":"round"}}}'], stdout: `${KIND}/m1 patched\n` },
      { args: ["get", "csr", "m1", "--output=jsonpath={.metadata.labels}"], stdout: '{"colour":"grey","shape":"round"}' },
      {
        args: ["patch", "csr", "m1", "--subresource=approval", "--type=strategic", '--patch={"status":{"conditions":[{"type":"Approved","status":"True","reason":"ByPatch"}]}}'],
        stdout: `${KIND}/m1 patched\n`,
      },
      { args: ["get", "csr", "m1", "--output=jsonpath={.status.conditions[*].reason}"], stdout: "ByPatch" },
      { args: ["edit", "csr", "m1"], env: { KUBE_EDITOR: "sed -i s/round/square/" }, stdout: `${KIND}/m1 edited\n` },
      { args: ["edit", "csr", "m1"], env: { KUBE_EDITOR: "true" }, stdout: "", stderr: "Edit cancelled, no changes made.\n" },
      { args: ["get", "csr", "m1", "--output=jsonpath={.metadata.labels.shape}"], stdout: "square" },
      { args: ["replace", "-f", "-"], stdin: changed, stdout: `${KIND}/m1 replaced\n` },
      { args: colour, stdout: "red" },
      {
        args: ["replace", "-f", "-"],
        stdin: await csrManifest("m2"),
        code: 1,
        stderr: `Error from server (NotFound): error when replacing "STDIN": ${RESOURCE} "m2" not found\n`,
      },
      {
        args: ["patch", "csr", "m1", "--type=merge", '--patch={"metadata":{"labels":{"colour":"not allowed"}}}'],
        code: 1,
        stderr: /^The CertificateSigningRequest "m1" is invalid: metadata\.labels: Invalid value: "not allowed": /,
      },
    ];
  },
};

const deleting: Theme = {
  name: "wait and delete",
  async steps() {
    const labels = { theme: "deleting" };
    const names = ["d1", "d2", "d3", "d4"];
    return [
      ...await Promise.all(names.map(async (name) => ({ args: CREATE, stdin: await csrManifest(name, { metadata: { labels } }) }))),
      {
        args: ["wait", "csr/d1", "--for=condition=Approved", "--timeout=200ms"],
        code: 1,
        stderr: "error: timed out waiting for the condition on certificatesigningrequests/d1\n",
      },
      { args: ["certificate", "approve", "d1"] },
      { args: ["wait", "csr/d1", "--for=condition=Approved", "--timeout=30s"], stdout: `${KIND}/d1 condition met\n` },
      { args: ["delete", "csr", "d1", "--dry-run=server"], stdout: `${KIND} "d1" deleted (server dry run)\n` },
      { args: ["delete", "csr", "d1"], stdout: `${KIND} "d1" deleted\n` },
      { args: ["delete", "csr", "d1"], code: 1, stderr: notFound("d1") },
      { args: ["delete", "csr", "d1", "--ignore-not-found"], stdout: "" },
      { args: ["wait", "csr/d1", "--for=delete", "--timeout=30s"], stdout: /^$|d1/, stderr: /^$|NotFound/ },
      {
        args: ["delete", "csr", "d2", "--force", "--grace-period=0"],
        stdout: `${KIND} "d2" force deleted\n`,
        stderr: /^Warning: Immediate deletion does not wait/,
      },
      { args: ["delete", "csr", "--selector=theme=deleting"], stdout: `${KIND} "d3" deleted\n${KIND} "d4" deleted\n` },
      { args: CREATE, stdin: await csrManifest("d5") },
      { args: ["delete", "csr", "--all"], stdout: /"d5" deleted\n/ },
      { args: ["get", "csr"], stderr: "No resources found\n" },
    ];
  },
};

const asking: Theme = {
  name: "auth",
  steps: () =>
    Promise.resolve([
      { args: ["auth", "whoami"], stdout: /^ATTRIBUTE +VALUE\nUsername +\S*admin\n[^]*Groups +\[.*system:authenticated.*\]\n/ },
      { args: ["auth", "can-i", "create", "csr"], stdout: "yes\n", stderr: /^Warning: resource 'certificatesigningrequests' is not namespace scoped in group 'certificates\.k8s\.io'\n\n$/ },
      { args: ["auth", "can-i", "update", "csr", "--subresource=approval"], stdout: "yes\n", stderr: /^Warning: / },
      { args: ["auth", "can-i", "get", "/healthz"], stdout: "yes\n" },
      { args: ["auth", "can-i", "--list"], stdout: /^\*\.\* +\[\] +\[\] +\[\*\]$/m },
      { args: ["auth", "can-i", "create", "csr", "--as=somebody"], code: 1, stdout: "no\n", stderr: /^Warning: / },
      {
        args: ["get", "csr", "--as=somebody"],
        code: 1,
        stderr: `Error from server (Forbidden): ${RESOURCE} is forbidden: User "somebody" cannot list resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope\n`,
      },
      { args: ["auth", "whoami", "--as=somebody", "--as-group=system:masters", "--output=jsonpath={.status.userInfo.groups}"], stdout: '["system:masters","system:authenticated"]' },
      { args: ["get", "csr", "--as=somebody", "--as-group=system:masters", "--output=name"] },
    ]),
};

const discovering: Theme = {
  name: "discovery, version, explain and the first look around",
  steps: () =>
    Promise.resolve([
      { args: ["version"], stdout: /^Client Version: v1\.37\.2\nKustomize Version: .*\nServer Version: v1\.37\.2(\+tlsboot\.\S+)?\n$/ },
      { args: ["api-resources", "--api-group=certificates.k8s.io", "--no-headers"], stdout: /^certificatesigningrequests +csr +certificates\.k8s\.io\/v1 +false +CertificateSigningRequest$/m },
      { args: ["api-versions"], stdout: /^certificates\.k8s\.io\/v1$/m },
      { args: ["explain", "csr.spec.signerName"], stdout: /^GROUP: +certificates\.k8s\.io\nKIND: +CertificateSigningRequest\nVERSION: +v1\n\nFIELD: signerName <string>/ },
      { args: ["explain", "csr.spec"], stdout: /^ {2}expirationSeconds\t<integer>$/m },
      { args: ["get", "--raw", "/readyz"], stdout: "ok" },
      { args: ["get", "--raw", "/livez"], stdout: "ok" },
      { args: ["get", "--raw", "/healthz"], stdout: "ok" },
      { args: ["get", "nodes"], stderr: "No resources found\n" },
      { args: ["get", "--raw", "/nowhere"], code: 1, stderr: "Error from server (NotFound): the server could not find the requested resource\n" },
    ]),
};

/** Every theme; the last of them empties the collection. */
export const THEMES: readonly Theme[] = [creating, reading, deciding, changing, asking, discovering, deleting];
