/** The commands `tlsboot ca rotate …`: flags, help and examples. */
import { KEY_ALGORITHMS, ML_DSA_KEY_ALGORITHMS } from "../../../core/pki/keys/key_names.ts";
import { ROTATABLE_CAS } from "../../../core/kube/kinds/constants.ts";
import { API_FLAGS, CA_KEY_FLAGS } from "../../flags/common.ts";
import { argument, defineCommand, formatCommand, formatCommandLine } from "../../framework/command.ts";
import type { RotationVerb } from "../../../core/ca_rotation/steps.ts";
import {
  choiceFlag,
  directoryFlag,
  durationFlag,
  fileFlag,
  type FlagSet,
  listFlag,
  switchFlag,
} from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs, together } from "../../framework/rules.ts";

const NAME_ARGUMENT = argument("[NAME]", "The CA, by the name of its file below pki/. Without it, ca", {
  kind: "suggestions",
  suggestions: ROTATABLE_CAS,
});

const TIMEOUT_FLAG = durationFlag({
  default: "5m",
  summary: "How long to wait for the servers; 0 waits forever. The rotation continues in any case.",
});

const OVER_FLAG = durationFlag({
  default: "1h",
  summary: "Time over which nodes renew their certificates, each at its own moment.",
});

/** The flags that name the CA, for every step. */
const CA_FLAGS = {
  ...API_FLAGS,
  caCert: fileFlag({
    group: "Cluster CA",
    summary: "Instead of the CA of a server: the certificate of a cluster's CA, such as /etc/kubernetes/pki/ca.crt. " +
      "Everything about its rotation is kept in its folder; see tlsboot guide new_ca.",
  }),
  caKey: fileFlag({
    group: "Cluster CA",
    summary: "Key of --ca-cert. Without it, the file of the same name that ends with .key.",
  }),
  issuedLog: fileFlag({
    group: "Cluster CA",
    summary:
      "With --ca-cert: the issued log of tlsboot signer, for certificates that are neither in files nor in the " +
      "cluster of --kubeconfig.",
  }),
} as const;

const CA_RULES = [excludes("caCert", "NAME"), needs(["caKey", "issuedLog"], "caCert")] as const;

/** A CA in files changes at once, and its nodes do not renew by themselves. */
const STEP_RULES = [...CA_RULES, excludes("caCert", "timeout")] as const;
const WINDOW_RULES = [...CA_RULES, excludes("caCert", "timeout", "over")] as const;

/** The flags of a step that changes the rotation. */
const STEP_FLAGS = { ...CA_FLAGS, ...CA_KEY_FLAGS, timeout: TIMEOUT_FLAG } as const;

/** The flags of a new CA. Without one of them, the new CA is like the old one. */
const NEW_CA_FLAGS = {
  newCaCert: fileFlag({
    summary:
      "Use this CA instead of making one: PEM, the CA first, then each issuer up to the root; with --new-ca-key, " +
      "or with --signing-key-command. tlsboot ca init makes one in a folder of its own.",
  }),
  newCaKey: fileFlag({ summary: "Key of --new-ca-cert, PEM, readable by its owner only." }),
  duration: durationFlag({
    min: "24h",
    summary: "Lifetime of the new CA. Without it, that of the old one.",
  }),
  keyAlgorithm: choiceFlag({
    choices: [...KEY_ALGORITHMS, ...ML_DSA_KEY_ALGORITHMS],
    placeholder: "ALGORITHM",
    summary: "Algorithm of the new key. Without it, that of the old one.",
  }),
  serviceAccountSigningKeyFile: fileFlag({
    summary:
      "The servers' --service-account-signing-key-file, which encrypts the new key on its way to them. Without it, " +
      "pki/sa.key in --data-dir.",
  }),
  ...CA_KEY_FLAGS,
} as const;

const NEW_CA_RULES = [
  needs("newCaCert", "newCaKey", "signingKeyCommand"),
  needs("newCaKey", "newCaCert"),
  atMostOneOf("newCaKey", "signingKeyCommand"),
  excludes("newCaCert", "duration", "keyAlgorithm"),
] as const;

export const caRotateNowCommand = defineCommand({
  path: ["ca", "rotate", "now"],
  environment: "strict",
  summary: "Replace a CA at once, because its key has leaked",
  description: `Replace a CA of a running installation at once, because its key has leaked.

 Every server refuses the certificates of the old CA at once, so all machines and
 people lose access and join again: machines by the join files that are written into --out for the machines of
 --inventory, people by a new kubeconfig. The command runs where the data directory of a server is, and does not need the
 old key. It asks for confirmation. Repeated within an hour it does not replace the CA again, but writes the join files
 that are missing.`,
  group: "CA Commands",
  args: [NAME_ARGUMENT],
  flags: {
    ...API_FLAGS,
    ...NEW_CA_FLAGS,
    inventory: fileFlag({
      summary: "Machines that get a new token for a day, a file of kind Inventory, as in tlsboot token create " +
        "--for-inventory.",
    }),
    out: directoryFlag({
      summary: "Folder for the join files of the machines in --inventory. Existing files are never replaced.",
    }),
    yes: switchFlag({ summary: "Do not ask for confirmation." }),
    timeout: TIMEOUT_FLAG,
  },
  examples: {
    "The key of the CA has leaked: replace it, with a join file for each machine":
      "tlsboot ca rotate now --inventory inventory.yaml --out joins",
  },
  rules: [...NEW_CA_RULES, together("inventory", "out")],
  exitCodes: {
    0: "the CA is replaced",
    3: "not confirmed, or a server that has to follow is down; run tlsboot ca rotate status",
  },
});

export const caRotateBeginCommand = defineCommand({
  path: ["ca", "rotate", "begin"],
  environment: "strict",
  summary: "Replace a CA: make a new one, and let everyone trust both",
  description: `Make a new CA, or use one of your own, and let everyone trust both. The old CA continues to sign.

 A CA is replaced in steps, without an interruption: begin makes the new CA and lets everyone trust both; status shows which
 machines do; switch lets the new CA sign and nodes renew; finish ends the trust in the old one; abort goes back. Every
 command can be repeated. status waits only with --wait; the others wait for all servers of the installation, for
 --timeout at most. When a key has leaked, tlsboot ca rotate now replaces its CA at once.

 The command runs where the data directory of a server is, because it needs the key of the old CA: the new CA is also
 signed by the old one, so that clients that trust only the old one still accept the server. All servers of the
 installation follow: cluster-info, kube-root-ca.crt, the trust bundle and kubeconfigs carry both CAs. Machines with
 tlsboot bootstrap --rotate-certificates fetch them by themselves, others with tlsboot trust fetch.

 The new CA must not end before the old one, nor exclude names of certificates that are in use. Its key travels to the
 other servers in a Secret, encrypted with the key of service account tokens, and with the passphrase of the old key if it
 has one.`,
  group: "CA Commands",
  args: [NAME_ARGUMENT],
  flags: { ...STEP_FLAGS, ...NEW_CA_FLAGS },
  examples: {
    "Make a CA like the present one": "tlsboot ca rotate begin",
    "Begin to replace the CA of a cluster of kubeadm, in its files":
      "tlsboot ca rotate begin --ca-cert /etc/kubernetes/pki/ca.crt --kubeconfig /etc/kubernetes/admin.conf",
    "Use a new intermediate CA of your organization":
      "tlsboot ca rotate begin --new-ca-cert chain.pem --new-ca-key intermediate.key",
    "Replace one CA of a split installation": "tlsboot ca rotate begin client-ca",
  },
  rules: [...CA_RULES, excludes("caCert", "timeout", "serviceAccountSigningKeyFile"), ...NEW_CA_RULES],
  exitCodes: { 0: "every server trusts both CAs", 1: "failed, or another rotation is in progress" },
});

export const caRotateStatusCommand = defineCommand({
  path: ["ca", "rotate", "status"],
  summary: "Show which machines are ready for the next step",
  description: `Show the progress of a rotation: its servers, and the machines and users by their state.

 The census is taken from the register of issued certificates, from what clients report about the CAs that they trust, and
 from the certificates with which the servers have seen them. For each machine and user that is not ready it shows the
 command that changes this. Run a command for a machine that trusts only the old CA on that machine.

 Without NAME it shows every rotation that is in progress.`,
  group: "CA Commands",
  args: [NAME_ARGUMENT],
  flags: {
    ...CA_FLAGS,
    output: choiceFlag({
      short: "o",
      choices: ["wide", "json", "yaml"],
      summary: "Output format. Without it, the machines and users that are not ready; wide shows all.",
    }),
    wait: durationFlag({
      summary: "How long to wait until everyone is ready for the next step; 0 waits forever. Without it, not at all.",
    }),
  },
  examples: {
    "Show what is not ready": "tlsboot ca rotate status",
    "Wait until every machine is ready": "tlsboot ca rotate status --wait 1h",
    "List the machines that are not":
      "tlsboot ca rotate status ca -o json | jq -r '.machines[] | select(.isReady | not) | .name'",
  },
  rules: CA_RULES,
  exitCodes: { 0: "everyone is ready, or no rotation is in progress", 3: "a machine, a user or a server is not ready" },
});

const SWITCH_FLAGS = { ...STEP_FLAGS, over: OVER_FLAG } as const;

export const caRotateSwitchCommand = defineCommand({
  path: ["ca", "rotate", "switch"],
  environment: "strict",
  summary: "Sign with the new CA",
  description: `Sign with the new CA, and let nodes renew their certificates. Both CAs stay trusted.

 Every server gets a certificate of the new CA, and sends it with the cross-signed CA, so that clients that trust only the
 old CA still accept it. Machines with tlsboot bootstrap --rotate-certificates renew by themselves, spread over
 --over.`,
  group: "CA Commands",
  args: [NAME_ARGUMENT],
  flags: SWITCH_FLAGS,
  examples: {
    "Sign with the new CA": "tlsboot ca rotate switch",
    "Let the nodes renew within ten minutes": "tlsboot ca rotate switch --over 10m",
  },
  rules: WINDOW_RULES,
  exitCodes: { 0: "every server signs with the new CA" },
});

const FINISH_FLAGS = {
  ...STEP_FLAGS,
  leaveBehind: listFlag({
    placeholder: "NAME",
    summary: "Machines, users and servers that may lose access: n7, node/n7, user/alice, or the name of a server.",
  }),
} as const;

export const caRotateFinishCommand = defineCommand({
  path: ["ca", "rotate", "finish"],
  environment: "strict",
  summary: "Stop trusting the old CA",
  description: `Stop trusting the old CA. Its certificates are refused from then on, and clients drop it.

 The command refuses while a machine or a user would lose access, and lists them with the command for each. --leave-behind
 names those that may, such as machines that are gone. You cannot go back after this step.`,
  group: "CA Commands",
  args: [NAME_ARGUMENT],
  flags: FINISH_FLAGS,
  examples: {
    "Finish": "tlsboot ca rotate finish",
    "Finish, though n7 and alice lose access": "tlsboot ca rotate finish --leave-behind n7,alice",
  },
  rules: STEP_RULES,
  exitCodes: { 0: "the old CA is trusted nowhere", 3: "someone would lose access; nothing is changed" },
});

export const caRotateAbortCommand = defineCommand({
  path: ["ca", "rotate", "abort"],
  environment: "strict",
  summary: "Go back to the old CA",
  description: `Go back to the old CA.

 Before switch, the rotation is deleted, and the new CA is trusted nowhere. After switch, the old CA signs again and nodes
 renew with it, spread over --over; once no certificate of the new CA is in use, run the command again to delete the
 rotation. While one is in use, another --over changes the time in which nodes renew. A rotation that is finished, or that
 was begun with tlsboot ca rotate now, cannot be taken back.`,
  group: "CA Commands",
  args: [NAME_ARGUMENT],
  flags: { ...SWITCH_FLAGS, leaveBehind: FINISH_FLAGS.leaveBehind },
  examples: { "Go back": "tlsboot ca rotate abort" },
  rules: WINDOW_RULES,
  exitCodes: {
    0: "the old CA signs, and the rotation is deleted if nothing depends on it",
    3: "certificates of the new CA are in use; nothing is changed",
  },
});

/** Formats the command of a step for the same CA. A setting that the command does not have is left out. */
export function formatRotate(
  verb: RotationVerb,
  args: readonly string[],
  settings: Readonly<Record<string, unknown>>,
): string {
  const flags: FlagSet = verb === "status" ? CA_FLAGS : { ...CA_FLAGS, ...CA_KEY_FLAGS };
  return formatCommandLine(formatCommand({ path: ["ca", "rotate", verb], flags }, { args, settings }, String));
}
