/** The commands `tlsboot offline export` and `offline import`: flags, help and examples. */
import { parsePublicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { API_FLAGS, QR_FLAG } from "../../flags/common.ts";
import { LIST_FLAGS } from "../../flags/list.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, listFlag, parsedListFlag, switchFlag } from "../../framework/flags.ts";
import { exactlyOneOf, needs } from "../../framework/rules.ts";

const BUNDLE_KEY_FLAG = fileFlag({
  summary: "Key that signs the exports of this installation, which the first export creates. " +
    "Without it, pki/bundle.key in --data-dir.",
});

export const exportCsrCommand = defineCommand({
  path: ["offline", "export"],
  environment: "strict",
  summary: "Export approved requests for a CA that has no network",
  description: `Export approved requests for a CA that has no network, as one text that can travel by email.

 Without a name, exports every request that is approved and has no certificate yet. Nothing changes on the server, so
 you can export the same requests again. tlsboot sign answers them on the CA's machine, and tlsboot offline import
 brings the certificates back.

 Each export is signed with a key of this installation. The CA signs only for keys that its operator trusts: the first
 export prints the flag that trusts this one.`,
  group: "Offline Commands",
  args: [
    argument("[NAME...]", "Requests to export; all approved ones without a name", {
      kind: "objects",
      objects: "requests",
    }),
  ],
  flags: {
    ...API_FLAGS,
    selector: LIST_FLAGS.selector,
    signer: listFlag({
      placeholder: "NAME",
      summary: "Only requests for these signers; may be repeated.",
    }),
    bundleKey: BUNDLE_KEY_FLAG,
    qr: QR_FLAG,
  },
  examples: {
    "Export all approved requests": "tlsboot offline export > requests.tlsb",
    "Export those of one signer, also as QR codes to print":
      "tlsboot offline export --signer kubernetes.io/kubelet-serving --qr pages > requests.tlsb",
  },
  exitCodes: { 3: "there is no approved request without a certificate" },
});

export const importCsrCommand = defineCommand({
  path: ["offline", "import"],
  summary: "Import the certificates of a CA that has no network",
  description: `Import the answers of a CA that has no network into the requests that were exported.

 Reads what tlsboot sign wrote, as a file, a saved email, or the lines that a scanner typed from QR codes. Each request
 gets its certificate, or the condition Failed with the CA's reason. The answers must be for an export of this
 installation and signed by a CA that it trusts; each certificate must be for the key and the names of its request.

 Each answer is imported once. To complete an interrupted import, run it again.`,
  group: "Offline Commands",
  args: [argument("[FILE]", "Answers of the CA; - is stdin", { kind: "file" })],
  flags: {
    ...API_FLAGS,
    bundleKey: BUNDLE_KEY_FLAG,
    trustSigner: parsedListFlag({
      placeholder: "PIN",
      summary:
        "Public key pin of a CA that may answer, as tlsboot ca show prints it; may be repeated. Without it, the CAs " +
        "that the API server trusts for clients, and the CA in the kubeconfig.",
      parse: parsePublicKeyPin,
    }),
    leaveRefused: switchFlag({
      summary: "Leave requests that the CA refused as approved, so that you can export them again. Without it, they " +
        "become Failed.",
    }),
    printRbac: switchFlag({
      summary: "Print the minimal permissions for export and import as a manifest for kubectl apply, and exit. " +
        "With --signer, for these signers.",
    }),
    signer: listFlag({
      placeholder: "NAME",
      summary: "Signers for --print-rbac; may be repeated. Without it, Kubernetes' own.",
    }),
  },
  examples: {
    "Import the answers": "tlsboot offline import signed.tlsb",
    "Import the answers of a CA that the API server does not trust":
      "tlsboot offline import signed.tlsb --trust-signer sha256:9f0c5d4a5c3f2b5f0e7a7dcd3c9a3c1e2f4b5a69788796a5b4c3d2e1f0a9b8c7",
    "Give a user the permissions for export and import, and no more":
      "tlsboot offline import --print-rbac | kubectl apply -f -",
  },
  rules: [exactlyOneOf("FILE", "printRbac"), needs("signer", "printRbac")],
  exitCodes: {
    0: "every answer is imported, or the manifest is printed",
    1: "failed for one or more answers",
    3: "nothing is imported: the answers were imported before, are for another installation, or are from an unknown CA",
  },
});
