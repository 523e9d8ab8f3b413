/** The command `tlsboot join pack`: its flags, help and examples. */
import { API_FLAGS } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag } from "../../framework/flags.ts";
import { JOIN_SERVER_FLAG, NEW_TOKEN_FLAGS } from "../token/flags.ts";

const JOIN_PACK_FLAGS = {
  ...API_FLAGS,
  ...NEW_TOKEN_FLAGS,
  server: JOIN_SERVER_FLAG,
  out: fileFlag({
    isRequired: true,
    isCommandLineOnly: true,
    summary: "File to write, a tar archive; with a / at its end, a folder. An existing one is never replaced.",
  }),
} as const;

/** The type of the flags of `join pack`. */
export type JoinPackFlags = typeof JOIN_PACK_FLAGS;

/** The command that packs all that a machine needs to join. */
export const joinPackCommand = defineCommand({
  path: ["join", "pack"],
  environment: "strict",
  summary: "Pack all that one machine needs to join",
  description: `Pack all that one machine needs to join.

 Creates a bootstrap token for the node alone and writes a pack: the join file, which is a bootstrap kubeconfig for a stock
 kubelet too, the CA, a systemd unit that keeps the certificate fresh, and snippets for cloud-init and Ignition.`,
  group: "Machine Commands",
  args: [argument("NODE", "The name of the machine's node")],
  flags: JOIN_PACK_FLAGS,
  examples: [
    {
      comment: "Pack for n1, whose request needs no other approval",
      command: "tlsboot join pack n1 --approve --out n1.pack",
    },
    { comment: "Join with it, on the machine", command: "tlsboot bootstrap --join n1.pack" },
  ],
  exitCodes: {},
});
