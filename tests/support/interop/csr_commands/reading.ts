/** kubectl commands that read: CSRs, permissions, the API itself. */
import { csrManifest } from "../csr_manifest.ts";
import { CREATE, KIND, notFound, RESOURCE, type Theme } from "../theme.ts";

/** get and describe, every output and selector. */
export const reading: Theme = {
  name: "get and describe",
  async steps() {
    const labels = { theme: "reading" };
    const only = ["--selector=theme=reading"];
    return [
      { args: CREATE, stdin: await csrManifest("g1", { metadata: { labels }, spec: { expirationSeconds: 3600 } }) },
      {
        args: CREATE,
        stdin: await csrManifest("g2", { metadata: { labels }, spec: { signerName: "example.com/reading" } }),
        // Our server knows which signers run in it.
        stderr: /^$|^Warning: no signer for "example\.com\/reading" runs in this server: /,
      },
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
      {
        args: ["get", "csr", "g1", "--output=jsonpath={.spec.signerName} {.spec.expirationSeconds}"],
        stdout: "kubernetes.io/kube-apiserver-client 3600",
      },
      {
        args: ["get", "csr", "g1", "--output=yaml"],
        stdout:
          /^apiVersion: certificates\.k8s\.io\/v1\nkind: CertificateSigningRequest\nmetadata:\n[^]*\nstatus: \{\}\n$/,
      },
      { args: ["get", "csr", ...only, "--output=json"], stdout: /"kind": "List"/ },
      {
        args: ["get", "csr", ...only, "--output=custom-columns=N:.metadata.name,S:.spec.signerName"],
        stdout: /^N +S\ng1 +kubernetes\.io\/kube-apiserver-client\ng2 +example\.com\/reading\n$/,
      },
      { args: ["get", "csr", ...only, "--sort-by=.spec.signerName", "--no-headers"], stdout: /^g2 .*\ng1 / },
      {
        args: ["get", "csr", "--field-selector=spec.signerName=example.com/reading", "--output=name"],
        stdout: `${KIND}/g2\n`,
      },
      { args: ["get", "csr", "g1", "--subresource=approval", "--no-headers"], stdout: /^g1 +\d+s\n$/ },
      {
        args: ["get", "csr", "--field-selector=spec.color=red"],
        code: 1,
        stderr:
          /^Error from server \(BadRequest\): Unable to find "certificates\.k8s\.io\/v1, Resource=certificatesigningrequests" that match label selector "", field selector "spec\.color=red": field label not supported: spec\.color\n$/,
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

/** auth can-i, auth whoami, --as. */
export const asking: Theme = {
  name: "auth",
  steps: () =>
    Promise.resolve([
      {
        args: ["auth", "whoami"],
        stdout: /^ATTRIBUTE +VALUE\nUsername +\S*admin\n[^]*Groups +\[.*system:authenticated.*\]\n/,
      },
      {
        args: ["auth", "can-i", "create", "csr"],
        stdout: "yes\n",
        stderr:
          /^Warning: resource 'certificatesigningrequests' is not namespace scoped in group 'certificates\.k8s\.io'\n\n$/,
      },
      { args: ["auth", "can-i", "update", "csr", "--subresource=approval"], stdout: "yes\n", stderr: /^Warning: / },
      { args: ["auth", "can-i", "get", "/healthz"], stdout: "yes\n" },
      { args: ["auth", "can-i", "--list"], stdout: /^\*\.\* +\[\] +\[\] +\[\*\]$/m },
      { args: ["auth", "can-i", "create", "csr", "--as=somebody"], code: 1, stdout: "no\n", stderr: /^Warning: / },
      {
        args: ["get", "csr", "--as=somebody"],
        code: 1,
        stderr:
          `Error from server (Forbidden): ${RESOURCE} is forbidden: User "somebody" cannot list resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope\n`,
      },
      {
        args: [
          "auth",
          "whoami",
          "--as=somebody",
          "--as-group=system:masters",
          "--output=jsonpath={.status.userInfo.groups}",
        ],
        stdout: '["system:masters","system:authenticated"]',
      },
      { args: ["get", "csr", "--as=somebody", "--as-group=system:masters", "--output=name"] },
    ]),
};

/** The requests that a client sends before it knows the API. */
export const discovering: Theme = {
  name: "discovery, version, explain and the first look around",
  steps: () =>
    Promise.resolve([
      {
        args: ["version"],
        stdout: /^Client Version: v1\.37\.2\nKustomize Version: .*\nServer Version: v1\.37\.2(\+tlsboot\.\S+)?\n$/,
      },
      {
        args: ["api-resources", "--api-group=certificates.k8s.io", "--no-headers"],
        stdout: /^certificatesigningrequests +csr +certificates\.k8s\.io\/v1 +false +CertificateSigningRequest$/m,
      },
      { args: ["api-versions"], stdout: /^certificates\.k8s\.io\/v1$/m },
      {
        args: ["explain", "csr.spec.signerName"],
        stdout:
          /^GROUP: +certificates\.k8s\.io\nKIND: +CertificateSigningRequest\nVERSION: +v1\n\nFIELD: signerName <string>/,
      },
      { args: ["explain", "csr.spec"], stdout: /^ {2}expirationSeconds\t<integer>$/m },
      { args: ["get", "--raw", "/readyz"], stdout: "ok" },
      { args: ["get", "--raw", "/livez"], stdout: "ok" },
      { args: ["get", "--raw", "/healthz"], stdout: "ok" },
      { args: ["get", "nodes"], stderr: "No resources found\n" },
      {
        args: ["get", "--raw", "/nowhere"],
        code: 1,
        stderr: "Error from server (NotFound): the server could not find the requested resource\n",
      },
    ]),
};
