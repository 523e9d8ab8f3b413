/** The command `tlsboot bootstrap`: its flags, help and examples. */
import { PROOF_KINDS } from "../../../core/attestation/proof.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { canonicalIp } from "../../../core/lib/ip_address.ts";
import { KEY_ALGORITHMS, ML_DSA_KEY_ALGORITHMS } from "../../../core/pki/keys/key_names.ts";
import { OFFLINE_FLAG, SERVICE_FLAGS, SERVICE_RULES } from "../../flags/common.ts";
import { CA_CERT_HASH, lifetimeFlag, parseServerUrl, PROOF_FROM_FLAG } from "../../flags/request.ts";
import type { SignalHook } from "../../hooks.ts";
import { defineCommand } from "../../framework/command.ts";
import {
  choiceFlag,
  directoryFlag,
  durationFlag,
  fileFlag,
  hostListFlag,
  parsedFlag,
  parsedListFlag,
  secretFlag,
  switchFlag,
  textFlag,
} from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs, whenTyped } from "../../framework/rules.ts";

/** The flags of `bootstrap`. Those that kubelet has too have kubelet's names. */
export const BOOTSTRAP_FLAGS = {
  join: fileFlag({
    isCommandLineOnly: true,
    summary:
      "Join file or pack of this machine, of tlsboot token create -o kubeconfig or -o pack with --node. It names " +
      "the server, the node and, unless flags do, kubelet's files for --kubeconfig and --cert-dir.",
  }),
  bootstrapKubeconfig: fileFlag({
    summary: "Kubeconfig with the credentials for the first request, such as a bootstrap token. Used again when the " +
      "certificate has expired.",
  }),
  server: parsedFlag({
    placeholder: "URL",
    summary: "Instead of a bootstrap kubeconfig: address of an API server that publishes cluster-info, with " +
      "--ca-cert-hash, and with --token or --attest.",
    parse: parseServerUrl,
  }),
  token: secretFlag({
    placeholder: "TOKEN",
    summary: "Bootstrap token, as tlsboot token create prints it; - reads it from stdin.",
  }),
  tokenFile: fileFlag({ summary: "File that holds the token." }),
  caCertHash: CA_CERT_HASH,
  attest: choiceFlag({
    isCommandLineOnly: true,
    choices: PROOF_KINDS,
    placeholder: "KIND",
    summary:
      "Instead of a token: prove to --server which machine this is, by its TPM (tpm) or its SSH host key (ssh), at the " +
      "start and at each renewal. An existing certificate does not replace a proof.",
  }),
  proofFrom: PROOF_FROM_FLAG,
  offline: OFFLINE_FLAG,
  kubeconfig: fileFlag({
    // TLSBOOT_KUBECONFIG names the kubeconfig of user commands, which must not be overwritten here.
    isCommandLineOnly: true,
    summary:
      "Kubeconfig to write. When it exists and its certificate is valid, there is nothing to do. Required without " +
      "--join; with --attest, kubelet's is the default.",
  }),
  certDir: directoryFlag({
    summary: "Folder for the key and the certificate; not that of a running kubelet, whose link would move. Required " +
      "without --join; with --attest, kubelet's is the default.",
  }),
  hostnameOverride: textFlag({ placeholder: "NAME", summary: "Node name. Without it, this machine's name." }),
  serving: switchFlag({
    summary: "Also get the serving certificate, as a kubelet with serverTLSBootstrap. A user or a policy approves it.",
  }),
  servingDns: hostListFlag({
    placeholder: "LIST",
    summary: "Names in the serving certificate. Without it, the node's name.",
  }),
  servingIp: parsedListFlag({
    placeholder: "LIST",
    summary:
      "IP addresses in the serving certificate. Without it, the one that a kubelet would choose: what the node's " +
      "name resolves to, else that of the interface with the default route.",
    parse: parseIp,
  }),
  duration: lifetimeFlag({
    summary:
      "How long the certificates should live, 10m or more. The signer may grant less; without the flag, the signer decides.",
  }),
  keyAlgorithm: choiceFlag({
    choices: [...KEY_ALGORITHMS, ...ML_DSA_KEY_ALGORITHMS],
    placeholder: "ALGORITHM",
    summary:
      "Algorithm of new keys. Without it, ecdsa-p256, as in kubelet. A valid certificate keeps its key until it is renewed. " +
      "Few programs know ml-dsa-* yet: see docs/guides/post_quantum.md.",
  }),
  rotateCertificates: switchFlag({
    summary:
      "Keep running, and renew each certificate at 70 to 90 % of its lifetime, the serving certificate also when " +
      "this machine's addresses change, and both early when their CA is being replaced. The CAs in the kubeconfig follow " +
      "those that the cluster publishes.",
  }),
  renewBefore: durationFlag({
    isCommandLineOnly: true,
    summary:
      "With --offline: renew a certificate that lives for less than this. Without it, when 70 % of its lifetime " +
      "has passed.",
  }),
  timeout: durationFlag({ default: "1h", summary: "How long to wait for approval and certificate." }),
  exec: textFlag({
    placeholder: "COMMAND",
    isCommandLineOnly: true,
    summary:
      "Shell command to run after each change of a certificate. Its environment has TLSBOOT_CHANGED (client or " +
      "serving), TLSBOOT_CERTIFICATE_FILE, TLSBOOT_NOT_AFTER and TLSBOOT_NODE_NAME.",
  }),
  signal: parsedListFlag({
    placeholder: "NAME:PIDFILE",
    isCommandLineOnly: true,
    summary: "Signal to send after each change, and the file with the ID of the process that gets it, as in " +
      "HUP:/run/nginx.pid.",
    parse: parseSignalHook,
    format: ({ signal, pidFile }, showPath) => `${signal}:${showPath(pidFile)}`,
  }),
  printPublicKey: switchFlag({
    isCommandLineOnly: true,
    summary: "Only print the public key of the next request, for tlsboot token create --public-key. Makes the key in " +
      "--cert-dir and keeps it there.",
  }),
  printSystemdUnit: switchFlag({
    isCommandLineOnly: true,
    summary: "Only print a systemd unit that runs this with --rotate-certificates.",
  }),
  ...SERVICE_FLAGS,
} as const;

function parseIp(text: string): Result<string, string> {
  const address = canonicalIp(text);
  return address === undefined ? err("want an IP address, such as 10.0.0.1 or 2001:db8::1") : ok(address);
}

/** The signals that programs use to reload their files or to end. */
const SIGNALS: readonly NodeJS.Signals[] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH"];

/** Parses a value such as `HUP:/run/nginx.pid`. */
export function parseSignalHook(text: string): Result<SignalHook, string> {
  const [, name = "", pidFile = ""] = /^([A-Za-z0-9]+):(.+)$/.exec(text) ?? [];
  const signal = SIGNALS.find((item) => item === name.toUpperCase() || item === `SIG${name.toUpperCase()}`);
  if (signal !== undefined && pidFile !== "") return ok({ signal, pidFile });
  return err(`want NAME:PIDFILE, such as HUP:/run/nginx.pid, with one of ${SIGNALS.join(", ")}`);
}

export const bootstrapCommand = defineCommand({
  path: ["bootstrap"],
  environment: "daemon",
  summary: "Get this machine its certificate, as a kubelet does",
  description: `Get this machine its client certificate, as a kubelet does.

 Makes a key, sends a request to the API with the bootstrap credentials, waits until it is approved and issued, checks
 the certificate, and writes key, certificate and kubeconfig. Run again after an interruption, it continues with its own
 request. While the certificate is valid, a run takes over the CAs that the cluster publishes for its API server, and
 renews the certificate at once if its CA is being replaced. When it has expired, the credentials are used again.

 The bootstrap credentials are a join file or a pack, which name the node and the CA too; a kubeconfig; or an address, a
 token and the hash of the CA, as for kubeadm join. For the last, cluster-info is read from the address, accepted when
 the token has signed it and the CA has the hash, and read again from the server whose certificate this CA has signed.
 The token is sent to no other server. The join file of a pack is installed next to the kubeconfig first.

 With --attest there is no token to carry: the machine proves its identity by its TPM or its SSH host key, for the key of
 this request alone, and the server gives it a token that is valid for ten minutes. The inventory of the server must list
 the key: tlsboot attest --show prints the line. Each run and each renewal proves again; when a proof is refused, there is
 no new certificate.

 With --offline there is no API. The first run makes the key, which stays here, and writes the request into the folder;
 at the CA, tlsboot sign answers it; another run checks the answer and writes the files. Renew the same way. Without
 --ca-cert-hash the first answer is trusted, and later ones must come from the same CA.

 A clock that shows a time before this program was built has not been set since the machine started. The command waits
 until it is set, for --timeout at most. TLSBOOT_EARLIEST_TIME=2027-01-31T12:00:00Z replaces the time of the build.

 --exec and --signal run after the files are written. When they fail, the certificates stay as they are and the failure
 is reported; a run without --rotate-certificates ends with 1.`,
  group: "Machine Commands",
  flags: BOOTSTRAP_FLAGS,
  examples: {
    "Join with the file that was made for this machine": "tlsboot bootstrap --join n1.kubeconfig",
    "Bootstrap the machine n1 once":
      "tlsboot bootstrap --bootstrap-kubeconfig bootstrap.kubeconfig --kubeconfig n1/kubeconfig --cert-dir n1/pki --hostname-override n1",
    "Find the cluster by the hash of its CA, with the token on stdin":
      "tlsboot bootstrap --server https://10.0.0.1:6443 --token - --ca-cert-hash sha256:1234...cdef --kubeconfig n1/kubeconfig --cert-dir n1/pki",
    "Prove by the TPM which machine this is, now and at each renewal":
      "sudo tlsboot bootstrap --attest tpm --server https://10.0.0.1:6443 --ca-cert-hash sha256:1234...cdef --rotate-certificates",
    "Get the certificate without a network: run this, sign the stick at the CA, and run this again":
      "tlsboot bootstrap --offline /media/stick --kubeconfig n1/kubeconfig --cert-dir n1/pki --hostname-override n1",
    "Join, and install a service that keeps the certificate fresh":
      "sudo tlsboot bootstrap --join n1.kubeconfig --install-service",
    "Keep both certificates of a server fresh":
      "tlsboot bootstrap --bootstrap-kubeconfig bootstrap.kubeconfig --kubeconfig n1/kubeconfig --cert-dir n1/pki --serving --rotate-certificates",
    "Write a unit that does so and signals a server after each new certificate":
      "tlsboot bootstrap --bootstrap-kubeconfig /etc/kubernetes/bootstrap.kubeconfig --kubeconfig /etc/kubernetes/n1.conf --cert-dir /var/lib/n1/pki --serving --signal HUP:/run/nginx.pid --print-systemd-unit",
  },
  rules: [
    atMostOneOf("printSystemdUnit", "printPublicKey", "installService"),
    ...SERVICE_RULES,
    needs(["servingDns", "servingIp"], "serving"),
    needs("renewBefore", "offline"),
    atMostOneOf("token", "tokenFile"),
    needs("proofFrom", "attest"),
    whenTyped(excludes("attest", "join", "bootstrapKubeconfig", "token", "tokenFile", "offline")),
    whenTyped(excludes("join", "bootstrapKubeconfig", "server", "token", "tokenFile", "caCertHash")),
    whenTyped(
      excludes(
        "offline",
        "join",
        "bootstrapKubeconfig",
        "token",
        "tokenFile",
        "rotateCertificates",
        "printSystemdUnit",
        "installService",
      ),
      "run the same command again for each step, also to renew",
    ),
  ],
  exitCodes: {
    3: "the request was denied, refused by the signer, not decided in time or, with --offline, not answered yet; or the existing certificate cannot be used",
  },
});
