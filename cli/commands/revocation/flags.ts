/** The commands for revocations, `revoke`, `unrevoke` and `get revocations`: flags, help and examples. */
import { REVOCATION_REASONS } from "../../../core/kube/kinds/constants.ts";
import { API_FLAGS } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { choiceFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { LIST_FLAGS, LIST_RULES } from "../../flags/list.ts";

const YES_FLAG = switchFlag({
  summary: "Do not ask for confirmation, even for this command's own credential or an unknown one.",
});

export const revokeCommand = defineCommand({
  path: ["revoke"],
  summary: "Revoke certificates, nodes, users, groups or bootstrap tokens",
  description: `Revoke certificates, nodes, users, groups or bootstrap tokens.

 Within a second, every server of the installation answers 401 to a revoked credential, ends its open watches, and neither
 approves nor signs its requests. A serial number revokes one certificate. node/NAME revokes all certificates of the
 node so far; a replacement of the same name needs a new token (tlsboot token create --node NAME). user/NAME and
 group/NAME also refuse future certificates, until tlsboot unrevoke. token/ID deletes the bootstrap token, and lists the
 machines that used it. csr/NAME revokes the certificate of a request, or denies it while it is pending.

 On a terminal the command asks for confirmation.`,
  group: "Certificate Commands",
  args: [
    argument(
      "SERIAL|KIND/NAME...",
      "A serial number or its beginning, node/NAME, user/NAME, group/NAME, token/ID or csr/NAME",
      { kind: "objects", objects: "revocable" },
    ),
  ],
  flags: {
    ...API_FLAGS,
    reason: choiceFlag({
      placeholder: "REASON",
      choices: REVOCATION_REASONS,
      default: "unspecified",
      summary: "Reason, by its name in RFC 5280.",
    }),
    message: textFlag({ summary: "Explanation in a sentence, for people." }),
    certificates: switchFlag({
      summary: "With token/ID: also revoke every certificate that was requested with the token.",
    }),
    yes: YES_FLAG,
  },
  examples: {
    "A machine was stolen": "tlsboot revoke node/n1 --reason keyCompromise --message 'stolen'",
    "A laptop with a kubeconfig was stolen": "tlsboot revoke user/alice --reason keyCompromise",
    "A token leaked": "tlsboot revoke token/abcdef --certificates",
    "Revoke one certificate": "tlsboot revoke 3fa9c1d07b22",
    "Revoke everything that a signer issued today":
      "tlsboot get certs --signer example.com/vpn --since 24h -o name | xargs tlsboot revoke --yes",
  },
  exitCodes: {
    0: "everything is revoked",
    1: "failed for one or more arguments",
    3: "not confirmed; nothing is revoked",
  },
});

export const unrevokeCommand = defineCommand({
  path: ["unrevoke"],
  summary: "Take revocations back",
  description: `Take revocations back.

 The credentials of the node, user or group work again, unless they have expired. The revocation of a single certificate
 is final, except for the reason certificateHold, and a deleted bootstrap token does not come back.`,
  group: "Certificate Commands",
  args: [
    argument("SERIAL|KIND/NAME...", "What is revoked, as in tlsboot revoke, or the name of a revocation", {
      kind: "objects",
      objects: "revocations",
    }),
  ],
  flags: { ...API_FLAGS },
  examples: { "Let a user in again": "tlsboot unrevoke user/alice" },
  exitCodes: { 1: "failed for one or more arguments" },
});

export const getRevocationsCommand = defineCommand({
  path: ["get", "revocations"],
  aliases: ["revocation", "revocations.tlsboot"],
  summary: "Display what is revoked",
  description: `Display what is revoked.

 Prints the table that the server makes, the same as kubectl get revocations.`,
  group: "Certificate Commands",
  args: [argument("[NAME...]", "Revocations to show; all without a name", { kind: "objects", objects: "revocations" })],
  flags: { ...API_FLAGS, ...LIST_FLAGS },
  examples: {
    "List all revocations": "tlsboot get revocations",
    "Show one with its message": "tlsboot get revocations node:n1 -o yaml",
  },
  rules: LIST_RULES,
});
