/** The commands `tlsboot token create`, `token list` and `token delete`: flags, help and examples. */
import {
  BOOTSTRAP_TOKEN_USAGES,
  isBootstrapGroup,
  parseTokenNetwork,
  parseTokenUses,
  UP_TOKEN_GROUP,
} from "../../../core/token/token_secret.ts";
import { parseNodeName } from "../../../core/machine/node_name.ts";
import { err, ok } from "../../../core/lib/result.ts";
import { API_FLAGS } from "../../flags/common.ts";
import { parseClusterUrl } from "../../flags/request.ts";
import { LIST_FLAGS } from "../../flags/list.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import {
  choiceFlag,
  durationFlag,
  fileFlag,
  parsedFlag,
  parsedListFlag,
  switchFlag,
  textFlag,
} from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs } from "../../framework/rules.ts";

export const tokenCreateCommand = defineCommand({
  path: ["token", "create"],
  environment: "strict",
  summary: "Create a bootstrap token",
  description: `Create a bootstrap token and print it, or all that a machine needs to join with it.

 The holder of the token can request the certificates that its groups may request. The token is stored as a Secret in
 kube-system, in the same way as kubeadm's tokens.

 -o command prints the commands that make a machine join, for tlsboot and for kubeadm. -o kubeconfig makes a bootstrap
 kubeconfig, also for a stock kubelet; with --node it is a join file, which also has the name of the node. -o pack
 makes a tar archive with the join file, the CA, a systemd unit that renews the certificate, and snippets for
 cloud-init and Ignition; tar xf unpacks it. If the cluster publishes no cluster-info, kubeconfig and pack get the
 server and the CA of your own kubeconfig. -o yaml prints the Secret instead of creating it, and needs no API server.

 --node, --uses, --cidr and --public-key limit a token. The first request binds the token to its key: the same key may
 try again, and any other key is refused and reported. The token is used up when the certificate is used for the first
 time. A server of tlsboot enforces this. For a kube-apiserver, tlsboot approver --token-limits enforces what it can,
 and this command says what is not enforced.`,
  group: "Machine Commands",
  args: [argument("[TOKEN]", "The token, as id.secret. Without it, a new one")],
  flags: {
    ...API_FLAGS,
    output: choiceFlag({
      short: "o",
      choices: ["command", "kubeconfig", "pack", "yaml"],
      summary: "What to print, or write to --out, instead of the token alone. Each contains the token.",
    }),
    out: textFlag({
      placeholder: "PATH",
      completion: { kind: "file" },
      summary: "File to write, or - for stdout; with --for-inventory, a folder. Existing files are never replaced.",
    }),
    printJoinCommand: switchFlag({ summary: "The same as -o command, as in kubeadm." }),
    node: parsedFlag({
      placeholder: "NAME",
      summary: "The only node whose client certificate the token may request.",
      parse: parseNodeName,
    }),
    forInventory: fileFlag({
      summary:
        "Create a token for each machine of this inventory, and write a kubeconfig or a pack for each into --out. " +
        "With --node, for that machine only.",
    }),
    server: parsedFlag({
      isCommandLineOnly: true,
      placeholder: "URL",
      parse: parseClusterUrl,
      summary: "Address of the API server for the machine. Without it, the one in cluster-info, which must not be a " +
        "loopback address.",
    }),
    ttl: durationFlag({ default: "24h", summary: "Lifetime of the token. With 0 it never expires." }),
    description: textFlag({ summary: "Purpose of the token, for people." }),
    groups: parsedListFlag({
      default: [UP_TOKEN_GROUP],
      parse: (text) =>
        isBootstrapGroup(text) ? ok(text) : err("want system:bootstrappers:<name>, of a-z, 0-9, : and -"),
      summary:
        "Groups of the token's holder in addition to system:bootstrappers. Each starts with system:bootstrappers:.",
    }),
    uses: parsedFlag({
      placeholder: "N",
      summary:
        "Number of keys for which the token may request certificates. The first requests bind it to their keys, and " +
        "it is used up when their certificates have been used. Without it, 1 for a token with a node or a key, and " +
        "no limit for others.",
      parse: parseTokenUses,
    }),
    cidr: parsedListFlag({
      summary:
        "Networks from which the token is accepted, such as 10.0.0.0/24. The address is the one that the server sees.",
      parse: parseTokenNetwork,
    }),
    publicKey: fileFlag({
      summary: "File with the only public key for which the token may request a certificate, as PEM of the key, of a " +
        "request or of a certificate. Such a token need not be secret. tlsboot bootstrap --print-public-key prints " +
        "the key.",
    }),
    approve: switchFlag({
      summary: "Approve the request of the token's node in advance. You need the right to approve it.",
    }),
    usages: parsedListFlag({
      default: BOOTSTRAP_TOKEN_USAGES,
      parse: (text) =>
        BOOTSTRAP_TOKEN_USAGES.includes(text) ? ok(text) : err(`want ${BOOTSTRAP_TOKEN_USAGES.join(" or ")}`),
      summary: "Uses of the token: signing, authentication.",
    }),
  },
  examples: {
    "Create a token that lasts a day": "tlsboot token create",
    "Create one for an hour, with a description": "tlsboot token create --ttl 1h --description 'rack 4'",
    "Create one and print the commands for a new machine": "tlsboot token create -o command",
    "Create a join file for a machine whose request needs no other approval":
      "tlsboot token create --node n1 --approve --ttl 30m -o kubeconfig --out n1.kubeconfig",
    "Create a file for each machine of an inventory":
      "tlsboot token create --for-inventory machines.yaml --out join/ --approve --ttl 2h",
    "Pack everything that one machine needs": "tlsboot token create --node n1 -o pack --out n1.pack",
    "Make the Secret for another cluster": "tlsboot token create -o yaml | kubectl apply -f -",
  },
  rules: [
    atMostOneOf("output", "printJoinCommand"),
    atMostOneOf("publicKey", "uses"),
    excludes("forInventory", "TOKEN", "printJoinCommand", "publicKey", "output=command", "output=yaml", "out=-"),
    needs("forInventory", "out"),
    needs("approve", "node", "forInventory"),
    needs("output=pack", "node", "forInventory"),
    needs("output=pack", "out"),
    excludes("output=pack", "out=-"),
  ],
});

export const tokenListCommand = defineCommand({
  path: ["token", "list"],
  summary: "List bootstrap tokens",
  description: `List bootstrap tokens by their ids.

 KIND is shared for a token without a limit, keys for a number of keys, node for one node, and key for a known key. USES
 counts the keys whose certificates have been used, the keys to which the token is bound, and the keys that it allows.
 LAST USE is accurate to a minute.`,
  group: "Machine Commands",
  flags: {
    ...API_FLAGS,
    output: choiceFlag({
      short: "o",
      choices: ["wide", "json", "yaml"],
      summary: "Output format. Without it, a table; wide adds columns.",
    }),
    sortBy: LIST_FLAGS.sortBy,
    noHeaders: LIST_FLAGS.noHeaders,
    showSecrets: switchFlag({ summary: "Show whole tokens instead of their ids." }),
  },
  examples: {
    "List tokens": "tlsboot token list",
    "See who created them, for which keys, and what was refused": "tlsboot token list -o wide",
  },
});

export const tokenDeleteCommand = defineCommand({
  path: ["token", "delete"],
  summary: "Delete bootstrap tokens",
  description: `Delete bootstrap tokens.

 Certificates that were requested with them stay valid; tlsboot revoke token/ID revokes them too.`,
  group: "Machine Commands",
  args: [argument("TOKEN...", "Ids or whole tokens", { kind: "objects", objects: "tokens" })],
  flags: { ...API_FLAGS },
  examples: { "Delete a token by its id": "tlsboot token delete abcdef" },
  exitCodes: { 1: "failed for one or more tokens" },
});
