/** The command `tlsboot serve`: its flags, help and examples. */
import { SERVER_FLAGS, SERVER_RULES } from "../../flags/server.ts";
import { defineCommand } from "../../framework/command.ts";

export const serveCommand = defineCommand({
  path: ["serve"],
  environment: "daemon",
  summary: "Run the API server alone",
  description:
    `Run the API server alone: certificates.k8s.io and the resources that its clients need, without signer and approver.

 Keeps its data in --data-dir and makes a CA and a serving certificate there when there are none. Run tlsboot signer
 and tlsboot approver, or your own controllers, next to it.`,
  group: "Running Commands",
  flags: SERVER_FLAGS,
  examples: {
    "Serve on loopback": "tlsboot serve",
    "Serve to the network with static tokens":
      "tlsboot serve --bind-address 0.0.0.0 --advertise-address boot.example.com --token-auth-file tokens.csv",
  },
  rules: SERVER_RULES,
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
});
