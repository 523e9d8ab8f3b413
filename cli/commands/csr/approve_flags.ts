/** The command `tlsboot approve`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { DECIDE_FLAGS } from "./decide_flags.ts";

/** The command that approves requests, as `kubectl certificate approve` does. */
export const approveCommand = defineCommand({
  path: ["approve"],
  summary: "Approve certificate signing requests",
  description: `Approve certificate signing requests.

 The signer then issues the requested certificate. A certificate may let its holder act as another identity: check the request with tlsboot describe csr first. An approval cannot be taken back.

 The condition names the user and the tool that decided. When no signer has issued a certificate after a second, this is
 reported on stderr.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to approve", { variadic: true })],
  flags: DECIDE_FLAGS,
  examples: [
    { comment: "Approve a request", command: "tlsboot approve csr-sqgzp" },
    {
      comment: "Give a reason",
      command: "tlsboot approve csr-sqgzp --reason Inventory --message 'Rack 4, checked by hand.'",
    },
  ],
  exitCodes: { 0: "every request is approved", 1: "failed for one or more requests" },
  load: async () => (await import("./decide.ts")).approveAction,
});
