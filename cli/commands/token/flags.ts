/** The command `tlsboot token create`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { durationFlag, listFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { API_FLAGS } from "../../flags/common.ts";

/** The group that may request node certificates from `tlsboot up`. */
const DEFAULT_TOKEN_GROUP = "system:bootstrappers:tlsboot";

const flags = {
  ...API_FLAGS,
  ttl: durationFlag({ default: "24h", summary: "Life of the token; 0 makes one that never expires." }),
  description: textFlag({ summary: "Purpose of the token, for people." }),
  groups: listFlag({
    default: [DEFAULT_TOKEN_GROUP],
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

/** The flags of `token create`, for the action. */
export type TokenCreateFlags = typeof flags;

/** The command that creates a bootstrap token. */
export const tokenCreateCommand = defineCommand({
  path: ["token", "create"],
  summary: "Create a bootstrap token",
  description: `Create a bootstrap token and print it.

 A holder of the token can request the certificates that its groups may request. The token is stored as a Secret in kube-system, as kubeadm stores its own.`,
  group: "Key and File Commands",
  args: [argument("TOKEN", "The token, id and secret; a new one without it", { optional: true })],
  flags,
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
  load: () => import("./create.ts"),
});
