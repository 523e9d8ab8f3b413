/** The commands `tlsboot token create`, `token list` and `token delete`: flags, help and examples. */
import { API_FLAGS, STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { durationFlag, listFlag, switchFlag, textFlag } from "../../framework/flags.ts";

/** The group of the bootstrap tokens of `tlsboot up`, which may request node certificates. */
export const UP_TOKEN_GROUP = "system:bootstrappers:tlsboot";

const TOKEN_CREATE_FLAGS = {
  ...API_FLAGS,
  ttl: durationFlag({ default: "24h", summary: "Lifetime of the token; 0 makes one that never expires." }),
  description: textFlag({ summary: "Purpose of the token, for people." }),
  groups: listFlag({
    default: [UP_TOKEN_GROUP],
    summary: "Groups of the token's holder, beside system:bootstrappers. Each starts with system:bootstrappers:.",
  }),
  usages: listFlag({
    default: ["signing", "authentication"],
    summary: "Uses of the token: signing, authentication.",
  }),
  print: switchFlag({
    isCommandLineOnly: true,
    summary: "Print the Secret as YAML instead of creating it; needs no API server. The output contains the token.",
  }),
  printJoinCommand: switchFlag({
    isCommandLineOnly: true,
    summary: "Print the commands with which a machine joins: tlsboot's and kubeadm's. They contain the token.",
  }),
} as const;

/** The type of the flags of `token create`. */
export type TokenCreateFlags = typeof TOKEN_CREATE_FLAGS;

/** The command that creates a bootstrap token. */
export const tokenCreateCommand = defineCommand({
  path: ["token", "create"],
  summary: "Create a bootstrap token",
  description: `Create a bootstrap token and print it.

 A holder of the token can request the certificates that its groups may request. The token is stored as a Secret in kube-system, as kubeadm stores its own.`,
  group: "Key and File Commands",
  args: [argument("TOKEN", "The token, id and secret; a new one without it", { optional: true })],
  flags: TOKEN_CREATE_FLAGS,
  examples: [
    { comment: "Create a token that lasts a day", command: "tlsboot token create" },
    {
      comment: "Create one for an hour, with a description",
      command: "tlsboot token create --ttl 1h --description 'rack 4'",
    },
    { comment: "Create one and print what a new machine runs", command: "tlsboot token create --print-join-command" },
    { comment: "Make the Secret for another cluster", command: "tlsboot token create --print | kubectl apply -f -" },
  ],
  exitCodes: {},
});

const TOKEN_LIST_FLAGS = {
  ...API_FLAGS,
  output: STRUCTURED_OUTPUT,
  showSecrets: switchFlag({ isCommandLineOnly: true, summary: "Show whole tokens instead of their ids." }),
} as const;

/** The type of the flags of `token list`. */
export type TokenListFlags = typeof TOKEN_LIST_FLAGS;

/** The command that lists bootstrap tokens. */
export const tokenListCommand = defineCommand({
  path: ["token", "list"],
  summary: "List bootstrap tokens",
  description: "List bootstrap tokens by their ids.",
  group: "Key and File Commands",
  args: [],
  flags: TOKEN_LIST_FLAGS,
  examples: [{ comment: "List tokens", command: "tlsboot token list" }],
  exitCodes: {},
});

const TOKEN_DELETE_FLAGS = { ...API_FLAGS } as const;

/** The type of the flags of `token delete`. */
export type TokenDeleteFlags = typeof TOKEN_DELETE_FLAGS;

/** The command that deletes bootstrap tokens. */
export const tokenDeleteCommand = defineCommand({
  path: ["token", "delete"],
  summary: "Delete bootstrap tokens",
  description: `Delete bootstrap tokens.

 Certificates that were requested with them stay valid.`,
  group: "Key and File Commands",
  args: [argument("TOKEN", "Ids or whole tokens", { variadic: true })],
  flags: TOKEN_DELETE_FLAGS,
  examples: [{ comment: "Delete a token by its id", command: "tlsboot token delete abcdef" }],
  exitCodes: { 1: "failed for one or more tokens" },
});
