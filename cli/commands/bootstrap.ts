/** `tlsboot bootstrap`. */
import { parsePublicKeyPin } from "../../core/pki/ca_bundle.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { defineCommand } from "../framework/command.ts";
import {
  directoryFlag,
  durationFlag,
  fileFlag,
  parsedFlag,
  parsedListFlag,
  secretFlag,
  switchFlag,
  textFlag,
} from "../framework/flags.ts";

/** Kubelet's flags, under kubelet's names. */
export const BOOTSTRAP_FLAGS = {
  bootstrapKubeconfig: fileFlag({
    summary: "Kubeconfig with the credentials for the first request, such as a bootstrap token. Used again when the " +
      "certificate has expired.",
  }),
  server: parsedFlag({
    placeholder: "URL",
    summary: "Instead of a bootstrap kubeconfig: address of an API server that publishes cluster-info, with --token " +
      "and --ca-cert-hash.",
    parse: parseServer,
  }),
  token: secretFlag({
    placeholder: "TOKEN",
    summary: "Bootstrap token, as tlsboot token create prints it; - reads it from stdin.",
  }),
  tokenFile: fileFlag({ summary: "File that holds the token." }),
  caCertHash: parsedListFlag({
    placeholder: "HASH",
    summary: "sha256:... of the CA's public key, as tlsboot ca show and kubeadm print it. Give one for each CA that " +
      "may vouch for the server.",
    parse: parsePublicKeyPin,
  }),
  kubeconfig: fileFlag({
    isRequired: true,
    // TLSBOOT_KUBECONFIG says whom people's commands speak for; it must not become the file that is written here.
    isCommandLineOnly: true,
    summary: "Kubeconfig to write. When it exists and its certificate is good, there is nothing to do.",
  }),
  certDir: directoryFlag({
    isRequired: true,
    summary: "Folder for the key and the certificate. Never a running kubelet's: its link would be moved.",
  }),
  hostnameOverride: textFlag({ placeholder: "NAME", summary: "Node name. Without it, this machine's name." }),
  rotateCertificates: switchFlag({ summary: "Keep running, and renew the certificate at 70 to 90 % of its life." }),
  wait: durationFlag({ default: "1h", summary: "How long to wait for approval and certificate." }),
} as const;

/** `https://host:port`, or kubeadm's `host:port`. */
function parseServer(text: string): Result<string, string> {
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  const isBare = url !== null && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  return isBare && url.protocol === "https:" ? ok(url.origin) : err("want https://host:port");
}

/** Type of BOOTSTRAP_FLAGS, for the action. */
export type BootstrapFlags = typeof BOOTSTRAP_FLAGS;

/** The kubelet's bootstrap client. */
export const bootstrap = defineCommand({
  path: ["bootstrap"],
  summary: "Get this machine its certificate, as a kubelet does",
  description: `Get this machine its client certificate, as a kubelet does.

 Makes a key, asks the API with the bootstrap credentials, waits until the request is approved and issued, checks what
 comes back, and writes key, certificate and kubeconfig. Run again after an interruption it takes up its own request.

 The bootstrap credentials are a kubeconfig, or an address, a token and the hash of the CA, as for kubeadm join: then
 cluster-info is read from the address, believed when the token has signed it and the CA has the hash, and read again
 from the server that this CA vouches for. The token is sent to no other.`,
  group: "Role Commands",
  args: [],
  flags: BOOTSTRAP_FLAGS,
  examples: [
    {
      comment: "Bootstrap the machine n1 once",
      command:
        "tlsboot bootstrap --bootstrap-kubeconfig bootstrap.kubeconfig --kubeconfig n1/kubeconfig --cert-dir n1/pki --hostname-override n1",
    },
    {
      comment: "Find the cluster by the hash of its CA, with the token on stdin",
      command:
        "tlsboot bootstrap --server https://10.0.0.1:6443 --token - --ca-cert-hash sha256:1234...cdef --kubeconfig n1/kubeconfig --cert-dir n1/pki",
    },
  ],
  exitCodes: { 3: "the request was denied, the signer refused, or nobody decided in time" },
  load: () => import("../actions/bootstrap.ts"),
});
