/** The command `tlsboot ui`: its flags, help and examples. */
import { API_FLAGS } from "../../flags/common.ts";
import { defineCommand } from "../../framework/command.ts";
import { integerFlag, switchFlag } from "../../framework/flags.ts";

export const uiCommand = defineCommand({
  path: ["ui"],
  environment: "daemon",
  summary: "See requests, machines and certificates in a browser",
  description: `See requests, machines and certificates in a browser, and decide there.

 The page shows each request with its requester and the rights that an approval would give; each machine with its
 certificates and its last contact; all certificates, and a calendar of when they expire; revocations, bootstrap tokens, CAs and
 past events.
 Requests are approved and denied there, certificates revoked, revocations taken back, and tokens deleted.

 Serves a page on 127.0.0.1, until stopped, and prints a link that opens it once. The browser that opens the link stays
 signed in for twelve hours. Opening a link a second time ends the session that it started. On a
 terminal, Enter prints another link.

 The page talks to the API with the kubeconfig of this command: it shows what its user may see, and what is done on the
 page is recorded in the audit log as done by that user. No other machine can reach it. To use it from another machine,
 run ssh -L PORT:127.0.0.1:PORT with the same --port on both sides.`,
  group: "Running Commands",
  flags: {
    ...API_FLAGS,
    port: integerFlag({
      // Kubernetes sets TLSBOOT_PORT to a URL in every pod next to a Service that is named tlsboot.
      isCommandLineOnly: true,
      default: 0,
      max: 65_535,
      summary: "Port of the page on 127.0.0.1. 0 is a free port.",
    }),
    open: switchFlag({ isCommandLineOnly: true, summary: "Open the page in the browser of this machine." }),
  },
  examples: {
    "Open the page of the server in ./tlsboot-data": "tlsboot ui --open",
    "With another kubeconfig, at a fixed port": "tlsboot ui --kubeconfig ops.kubeconfig --port 8090",
  },
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
});
