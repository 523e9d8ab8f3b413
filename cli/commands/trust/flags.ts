/** The commands `tlsboot get trustbundles` and `trust fetch`: flags, help and examples. */
import { KUBE_APISERVER_SERVING_SIGNER } from "../../../core/kube/kinds/certificates_v1.ts";
import { API_FLAGS } from "../../flags/common.ts";
import { LIST_FLAGS, LIST_RULES } from "../../flags/list.ts";
import { parseSignerName } from "../../flags/requested_names.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, parsedFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { exactlyOneOf, excludes, needs } from "../../framework/rules.ts";
import { UsageError } from "../../framework/usage_error.ts";

export const getTrustBundlesCommand = defineCommand({
  path: ["get", "trustbundles"],
  summary: "List trust bundles",
  description: `List trust bundles, the ClusterTrustBundles of a cluster.

 A trust bundle holds the certificates of the CAs that vouch for what a signer issues. CERTIFICATES is their number, and
 EXPIRES is when the first of them expires.`,
  group: "Trust Commands",
  args: [argument("[NAME...]", "Bundles to show; all without a name", { kind: "objects", objects: "trustBundles" })],
  flags: { ...API_FLAGS, ...LIST_FLAGS },
  examples: {
    "List all trust bundles": "tlsboot get trustbundles",
    "List those of a signer": "tlsboot get trustbundles --field-selector spec.signerName=example.com/pods",
  },
  rules: LIST_RULES,
});

export const trustFetchCommand = defineCommand({
  path: ["trust", "fetch"],
  summary: "Write a trust bundle into a file, and keep it fresh",
  description: `Write a trust bundle into a file, for programs that do not run in the cluster.

 NAME chooses one bundle, and --signer all bundles of a signer, as in the clusterTrustBundle source of a projected
 volume. The file has each certificate once, and the same certificates are always in the same order. It is replaced at
 once, never half written. A file with other content, such as a key, is never replaced.

 When a bundle is missing, is empty or may not be read, the file stays as it is. With --watch, the command reports that
 on stderr and continues. It exits at the start when the user may not read bundles, or the API does not serve them.

 --exec runs after the file is written. When it fails, the file stays; without --watch the command then ends with 1.

 When the bundle holds the CAs of the API server, the file is written and --exec has not failed, the user of the
 kubeconfig reports these CAs to the cluster, which shows who is ready when a CA is being replaced.`,
  group: "Trust Commands",
  args: [argument("[NAME]", "The bundle", { kind: "objects", objects: "trustBundles" })],
  flags: {
    ...API_FLAGS,
    signer: parsedFlag({
      placeholder: "NAME",
      completion: { kind: "suggestions", suggestions: [KUBE_APISERVER_SERVING_SIGNER] },
      summary: "Instead of the name of a bundle: the signer whose bundles are fetched, all in one file.",
      parse: parseSignerName,
    }),
    selector: LIST_FLAGS.selector,
    out: fileFlag({
      isRequired: true,
      summary:
        "File for the certificates, PEM, readable by everyone; - prints them. It is not touched when nothing has changed.",
    }),
    watch: switchFlag({
      short: "w",
      summary: "Keep running, and write the file after each change. While the API is unreachable, try again.",
    }),
    exec: textFlag({
      placeholder: "COMMAND",
      summary: "Shell command to run after each change of the file, whose path is in TLSBOOT_TRUST_BUNDLE_FILE.",
    }),
  },
  examples: {
    "Fetch the CAs that vouch for the API server":
      `tlsboot trust fetch --signer ${KUBE_APISERVER_SERVING_SIGNER} --out /etc/ssl/kubernetes.pem`,
    "Fetch one bundle by its name": "tlsboot trust fetch example.com:pods:v1 --out pods.pem",
    "Keep the CAs of a signer fresh for nginx":
      "tlsboot trust fetch --signer example.com/pods -l env=prod --out /etc/nginx/pods.pem --watch --exec 'nginx -s reload'",
  },
  rules: [exactlyOneOf("NAME", "signer"), needs("selector", "signer"), excludes("out=-", "watch", "exec")],
  exitCodes: { 0: "the file has the bundle" },
});

const PREFIX = /^clustertrustbundles?(\.certificates\.k8s\.io)?\//;

/** Parses the name of a bundle, with or without the prefix that `-o name` prints. Throws UsageError. */
export function parseTrustBundleName(text: string): string {
  const name = text.replace(PREFIX, "");
  if (/^[^/%,=\\]+$/.test(name) && name !== "." && name !== "..") return name;
  throw new UsageError(
    `cannot use "${text}" as the name of a ClusterTrustBundle`,
    "for all bundles of a signer, use --signer",
  );
}
