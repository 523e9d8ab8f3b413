/** kubectl commands that write CSRs. */
import { csrManifest } from "../csr_manifest.ts";
import { CREATE, KIND, notFound, RESOURCE, type Theme } from "../theme.ts";

/** create: dry runs, strictness, validation. */
export const creating: Theme = {
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
      {
        args: [...CREATE, "--dry-run=server"],
        stdin: await csrManifest("c2"),
        stdout: `${KIND}/c2 created (server dry run)\n`,
      },
      {
        args: [...CREATE, "--dry-run=client"],
        stdin: await csrManifest("c2"),
        stdout: `${KIND}/c2 created (dry run)\n`,
      },
      { args: ["get", "csr", "c2"], code: 1, stderr: notFound("c2") },
      {
        args: CREATE,
        stdin: await unknown("c3"),
        code: 1,
        stderr:
          /^Error from server \(BadRequest\): error when creating "STDIN": CertificateSigningRequest in version "v1" cannot be handled as a CertificateSigningRequest: strict decoding error: unknown field "spec\.nope"\n$/,
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
        stderr:
          /^The CertificateSigningRequest "c6" is invalid: spec\.request: Invalid value: .*: PEM block type must be CERTIFICATE REQUEST\n$/,
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

/** apply, diff, replace, label, annotate, patch, edit. */
export const changing: Theme = {
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
      {
        args: ["diff", "-f", "-"],
        stdin: changed,
        code: 1,
        stdout: /^\+ +colour: red$/m,
        stderr: /^(exit status 1\n)?$/,
      },
      { args: apply, stdin: changed, stdout: `${KIND}/m1 configured\n` },
      { args: colour, stdout: "red" },
      {
        args: ["label", "csr", "m1", "colour=blue"],
        code: 1,
        stderr: /'colour' already has a value \(red\), and --overwrite is false/,
      },
      { args: ["label", "csr", "m1", "colour=blue", "--overwrite"], stdout: `${KIND}/m1 labeled\n` },
      { args: colour, stdout: "blue" },
      { args: ["label", "csr", "m1", "colour-"], stdout: `${KIND}/m1 unlabeled\n` },
      { args: colour, stdout: "" },
      { args: ["annotate", "csr", "m1", "example.com/why=because"], stdout: `${KIND}/m1 annotated\n` },
      {
        args: ["patch", "csr", "m1", "--type=merge", '--patch={"metadata":{"labels":{"colour":"green"}}}'],
        stdout: `${KIND}/m1 patched\n`,
      },
      {
        args: ["patch", "csr", "m1", "--type=merge", '--patch={"metadata":{"labels":{"colour":"green"}}}'],
        stdout: `${KIND}/m1 patched (no change)\n`,
      },
      {
        args: [
          "patch",
          "csr",
          "m1",
          "--type=json",
          '--patch=[{"op":"replace","path":"/metadata/labels/colour","value":"grey"}]',
        ],
        stdout: `${KIND}/m1 patched\n`,
      },
      {
        args: ["patch", "csr", "m1", "--type=strategic", '--patch={"metadata":{"labels":{"shape":"round"}}}'],
        stdout: `${KIND}/m1 patched\n`,
      },
      {
        args: ["get", "csr", "m1", "--output=jsonpath={.metadata.labels}"],
        stdout: '{"colour":"grey","shape":"round"}',
      },
      {
        args: [
          "patch",
          "csr",
          "m1",
          "--subresource=approval",
          "--type=strategic",
          '--patch={"status":{"conditions":[{"type":"Approved","status":"True","reason":"ByPatch"}]}}',
        ],
        stdout: `${KIND}/m1 patched\n`,
      },
      { args: ["get", "csr", "m1", "--output=jsonpath={.status.conditions[*].reason}"], stdout: "ByPatch" },
      { args: ["edit", "csr", "m1"], env: { KUBE_EDITOR: "sed -i s/round/square/" }, stdout: `${KIND}/m1 edited\n` },
      {
        args: ["edit", "csr", "m1"],
        env: { KUBE_EDITOR: "true" },
        stdout: "",
        stderr: "Edit cancelled, no changes made.\n",
      },
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
