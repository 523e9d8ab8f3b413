/** The command `tlsboot deny`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { DECIDE_FLAGS } from "./decide_flags.ts";

/** The command that denies requests, as `kubectl certificate deny` does. */
export const denyCommand = defineCommand({
  path: ["deny"],
  summary: "Deny certificate signing requests",
  description: `Deny certificate signing requests.

 No certificate is issued for a denied request. A denial cannot be taken back: the client has to send a new request. The condition names the user and the tool that decided.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to deny", { variadic: true })],
  flags: DECIDE_FLAGS,
  examples: [{ comment: "Deny a request", command: "tlsboot deny csr-sqgzp --message 'Unknown machine.'" }],
  exitCodes: { 0: "every request is denied", 1: "failed for one or more requests" },
  load: async () => (await import("./decide.ts")).denyAction,
});
