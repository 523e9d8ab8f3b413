/** The command `tlsboot ca show`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";
import { DATA_DIR_FLAG, STRUCTURED_OUTPUT } from "../../flags/common.ts";

const flags = { dataDir: DATA_DIR_FLAG, output: STRUCTURED_OUTPUT } as const;

/** The flags of `ca show`, for the action. */
export type CaShowFlags = typeof flags;

/** The command that shows the CAs of a data directory. */
export const caShowCommand = defineCommand({
  path: ["ca", "show"],
  summary: "Show the certificate authority",
  description:
    `Show the certificate authority in --data-dir, or each one of a split set: its issuer, its validity, and the names that
 it may issue for.

 The last line is the value for kubeadm join --discovery-token-ca-cert-hash.`,
  group: "Key and File Commands",
  args: [],
  flags,
  examples: [
    { comment: "Show the CA", command: "tlsboot ca show" },
    { comment: "Get its pin only", command: "tlsboot ca show -o json | jq -r .publicKeyPin" },
  ],
  exitCodes: { 3: "a CA, or one above it, has expired, or others may read its key" },
  load: () => import("./show.ts"),
});
