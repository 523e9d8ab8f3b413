/** `tlsboot ca show`. */
import { defineCommand } from "../../framework/command.ts";
import { DATA_DIR_FLAG, STRUCTURED_OUTPUT } from "../common_flags.ts";

const flags = { dataDir: DATA_DIR_FLAG, output: STRUCTURED_OUTPUT } as const;

/** Its flags, for the action. */
export type CaShowFlags = typeof flags;

/** Shows the CA on disk. */
export const caShowCommand = defineCommand({
  path: ["ca", "show"],
  summary: "Show the certificate authority",
  description:
    `Show the certificate authority in --data-dir, or each one of a split set: who issued it, how long it lasts, for
 which names it may issue.

 The last line is what kubeadm join --discovery-token-ca-cert-hash wants.`,
  group: "Key and File Commands",
  args: [],
  flags,
  examples: [
    { comment: "Show the CA", command: "tlsboot ca show" },
    { comment: "Get its pin only", command: "tlsboot ca show -o json | jq -r .publicKeyPin" },
  ],
  exitCodes: { 3: "a CA, or one above it, has expired, or others may read its key" },
  load: () => import("../../actions/ca_show.ts"),
});
