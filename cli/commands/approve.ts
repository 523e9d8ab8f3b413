/** `tlsboot approve`. */
import { argument, defineCommand } from "../framework/command.ts";
import { DECIDE_FLAGS } from "./decide_flags.ts";

/** Approves requests, as `kubectl certificate approve` does. */
export const approveCommand = defineCommand({
  path: ["approve"],
  summary: "Approve certificate signing requests",
  description: `Approve certificate signing requests.

 The signer then issues what was asked for. A certificate may let its holder act as another identity: look at the request with tlsboot describe csr first. An approval cannot be taken back.

 The condition names who decided, and with what. When no signer has issued a certificate a second later, it says so on
 stderr.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to approve", { variadic: true })],
  flags: DECIDE_FLAGS,
  examples: [
    { comment: "Approve a request", command: "tlsboot approve csr-sqgzp" },
    {
      comment: "Say why",
      command: "tlsboot approve csr-sqgzp --reason Inventory --message 'Rack 4, checked by hand.'",
    },
  ],
  exitCodes: { 0: "every request is approved", 1: "failed for one or more requests" },
  load: async () => (await import("../actions/decide.ts")).approveAction,
});
