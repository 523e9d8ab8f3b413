/**
 * The commands `tlsboot get trustbundles`, `trust fetch`, `show`, `install` and `uninstall`: flags, help and examples.
 */
import { KUBE_APISERVER_SERVING_SIGNER } from "../../../core/kube/kinds/constants.ts";
import { API_FLAGS, DATA_DIR_FLAG } from "../../flags/common.ts";
import { LIST_FLAGS, LIST_RULES } from "../../flags/list.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, listFlag, parsedFlag, parsedListFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { atMostOneOf, exactlyOneOf, excludes, needs, together } from "../../framework/rules.ts";
import { parsePublicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { parseServerUrl } from "../../flags/request.ts";
import { UsageError } from "../../exit_code.ts";

export const getTrustBundlesCommand = defineCommand({
  path: ["get", "trustbundles"],
  summary: "List trust bundles",
  description: `List trust bundles, the ClusterTrustBundles of a cluster.

 A trust bundle contains the CA certificates that verify what a signer issues. CERTIFICATES is their number, and EXPIRES
 is when the first of them expires.`,
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

 NAME selects one bundle, and --signer all bundles of a signer, as in the clusterTrustBundle source of a projected
 volume. The file has each certificate once, and always in the same order. It is replaced atomically. A file with other
 content, such as a key, is never replaced.

 If a bundle is missing or empty, or you may not read it, the file does not change. With --watch, the command reports
 that on stderr and continues. It exits at the start if you may not read bundles, or if the API does not serve them.

 --exec runs after the file is written. If it fails, the file stays, and without --watch the exit code is 1.

 If the bundle contains the CAs of the API server, and --exec has not failed, the command also reports these CAs to the
 cluster for the user of the kubeconfig, so that a CA rotation shows who is ready.`,
  group: "Trust Commands",
  args: [argument("[NAME]", "The bundle", { kind: "objects", objects: "trustBundles" })],
  flags: {
    ...API_FLAGS,
    signer: textFlag({
      placeholder: "NAME",
      completion: { kind: "suggestions", suggestions: [KUBE_APISERVER_SERVING_SIGNER] },
      summary: "Instead of the name of a bundle: fetch all bundles of this signer, into one file.",
    }),
    selector: LIST_FLAGS.selector,
    out: fileFlag({
      isRequired: true,
      summary:
        "File for the certificates, PEM, readable by everyone; - prints them. It is written only if they have changed.",
    }),
    watch: switchFlag({
      short: "w",
      summary: "Keep running, and write the file after each change. Retries while the API is unreachable.",
    }),
    exec: textFlag({
      placeholder: "COMMAND",
      summary: "Shell command to run after each change of the file, whose path is in TLSBOOT_TRUST_BUNDLE_FILE.",
    }),
  },
  examples: {
    "Fetch the CAs that verify the API server":
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

/** The names of the stores, in the order in which they are changed. */
export const TRUST_STORES = ["debian", "rhel", "firefox", "nss", "java"] as const;

export type TrustStoreName = (typeof TRUST_STORES)[number];

const CA_SOURCE_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  caCert: fileFlag({ summary: "File with the CA, PEM. Without it, the CA in --data-dir." }),
  server: parsedFlag({
    isCommandLineOnly: true,
    placeholder: "URL",
    summary: "Instead of a file: address of an API server that publishes its CA, with --ca-cert-hash.",
    parse: parseServerUrl,
  }),
  caCertHash: parsedListFlag({
    isCommandLineOnly: true,
    placeholder: "HASH",
    summary: "With --server: sha256:... of the CA's public key, as tlsboot up and tlsboot ca show print it.",
    parse: parsePublicKeyPin,
  }),
} as const;

const CA_SOURCE_RULES = [
  atMostOneOf("server", "caCert"),
  together("server", "caCertHash"),
] as const;

const STORE_FLAG = listFlag({
  placeholder: "STORE",
  completion: { kind: "choices", choices: TRUST_STORES },
  summary: "Stores to change: debian, rhel, firefox, nss, java. Without it, all that this machine has.",
});

export const trustShowCommand = defineCommand({
  path: ["trust", "show"],
  summary: "Show where this machine trusts the CA, or print the CA",
  description: `Show where this machine trusts the CA, or print the CA.

 Lists the stores of trusted CAs on this machine, and whether each has the CA. With --print, prints the CA as PEM, to be
 imported into another store, such as that of a phone.`,
  group: "Trust Commands",
  flags: {
    ...CA_SOURCE_FLAGS,
    print: switchFlag({ summary: "Print the CA as PEM, for any other store." }),
  },
  examples: {
    "Show the stores of this machine": "tlsboot trust show",
    "Write the CA into a file for a phone": "tlsboot trust show --print > home-ca.crt",
  },
  rules: CA_SOURCE_RULES,
});

export const trustInstallCommand = defineCommand({
  path: ["trust", "install"],
  summary: "Make the programs and browsers of this machine trust the CA",
  description: `Make the programs and browsers of this machine trust the CA.

 Adds the CA to the stores of trusted CAs: those of Debian and RHEL for the whole system (curl, wget, Python, Go), the
 policies of Firefox, the databases of Chromium and of Firefox profiles (nss), and Java's. System stores need root, and
 nss belongs to the user who runs the command. Anyone who has the CA's key can then impersonate every web site.`,
  group: "Trust Commands",
  flags: { ...CA_SOURCE_FLAGS, store: STORE_FLAG },
  examples: {
    "On the machine of the server": "sudo tlsboot trust install",
    "On another machine, with the line that tlsboot up prints":
      "sudo tlsboot trust install --server https://192.168.1.2:6443 --ca-cert-hash sha256:...",
    "For the browsers of this user alone": "tlsboot trust install --store nss",
  },
  rules: CA_SOURCE_RULES,
  exitCodes: { 1: "failed in one of the stores" },
});

export const trustUninstallCommand = defineCommand({
  path: ["trust", "uninstall"],
  summary: "Remove the CA from the stores of this machine",
  description: "Remove the CA that trust install added from the stores of this machine.",
  group: "Trust Commands",
  flags: {
    ...CA_SOURCE_FLAGS,
    store: STORE_FLAG,
    all: switchFlag({ summary: "Remove every CA that tlsboot has installed." }),
  },
  examples: {
    "Remove the CA in --data-dir": "sudo tlsboot trust uninstall",
    "Remove every CA that tlsboot has installed": "sudo tlsboot trust uninstall --all",
  },
  rules: [...CA_SOURCE_RULES, excludes("all", "caCert", "server")],
  exitCodes: { 1: "failed in one of the stores" },
});
