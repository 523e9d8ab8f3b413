/** The command `tlsboot inspect`: its flags, help and examples. */
import { STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";

export const inspectCommand = defineCommand({
  path: ["inspect"],
  summary: "Show the contents of certificates, requests, bundles, keys and kubeconfigs",
  description: `Show the contents of certificates, requests, bundles, keys and kubeconfigs, and when they expire.

 No server is contacted and nothing is checked. To find out whether a machine or a server works, use tlsboot doctor.

 In a folder, every file of a known type is inspected. For each private key it shows the certificate in any of the files
 that the key belongs to. Private keys and tokens are recognized, but never shown.`,
  group: "File Commands",
  args: [argument("FILE...", "PEM or DER files, kubeconfigs, or folders of them; - is stdin", { kind: "file" })],
  flags: { output: STRUCTURED_OUTPUT },
  examples: {
    "Look at a kubelet's certificate": "tlsboot inspect /var/lib/kubelet/pki/kubelet-client-current.pem",
    "Look at what tlsboot request wrote": "tlsboot inspect web",
    "Compare a certificate with a key": "tlsboot inspect server.crt server.key",
    "Give the end of a certificate to a script": "tlsboot inspect server.crt -o json | jq -r '.[0].notAfter'",
  },
  exitCodes: { 0: "everything was read", 1: "a file could not be read" },
});
