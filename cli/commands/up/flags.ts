/** The command `tlsboot up`: its flags, help and examples. */
import { DEFAULT_SETTINGS } from "../../../instance/settings.ts";
import {
  CLEANER_FLAGS,
  NOTIFY_FLAGS,
  NOTIFY_RULES,
  POLICY_FLAGS,
  PROFILE_FLAGS,
  SIGNING_FLAGS,
  WEB_FLAGS,
} from "../../flags/controller.ts";
import { SERVER_FLAGS, SERVER_RULES } from "../../flags/server.ts";
import { defineCommand } from "../../framework/command.ts";
import { inGroup, switchFlag } from "../../framework/flags.ts";
import { excludes, needs, whenTyped } from "../../framework/rules.ts";
import { SERVICE_FLAGS, SERVICE_RULES } from "../../flags/common.ts";

export const upCommand = defineCommand({
  path: ["up"],
  environment: "daemon",
  summary: "Run server, signer and approver together",
  description: `Run server, signer, approver and cleaner together, until stopped.

 Creates the files that are missing in --data-dir: a CA for ten years, a serving certificate, a key for service account
 tokens, a database, admin.kubeconfig, and, unless --shared-token=false is given, bootstrap.kubeconfig with a token for
 24 hours. A second run on the same folder keeps the CA, the data and every token that is still valid. The server
 renews its own certificates while it runs.

 Only renewals of nodes, and requests of administrators for nodes, are approved automatically. Approve other requests
 with tlsboot approve or kubectl certificate approve, or start the server with --auto-approve for kubelet client
 certificates, with --web-domain for web servers, and with --policy for others: tlsboot approver --help describes what
 each policy grants.`,
  group: "Running Commands",
  flags: {
    ...SERVER_FLAGS,
    autoApprove: switchFlag({
      summary: "Approve requests for kubelet client certificates by machines with a bootstrap token of this command. " +
        "With such a token, a machine then gets a certificate for any node name that no other machine holds; with " +
        "--inventory, only for the machines in that file.",
    }),
    sharedToken: switchFlag({
      default: DEFAULT_SETTINGS.sharedToken,
      summary:
        "Keep a token in bootstrap.kubeconfig with which any machine may request a certificate, for 24 hours. With " +
        "=false, an earlier token and the file are deleted, and each machine needs a token from tlsboot token " +
        "create. There is also no such token while the inventory lists keys with which machines prove their " +
        "identity; the next start without such keys creates one.",
    }),
    ui: switchFlag({
      summary: "Also serve the page for the browser, on a free port of 127.0.0.1, and print a link that opens it once.",
    }),
    ...POLICY_FLAGS,
    ...PROFILE_FLAGS,
    signer: {
      ...PROFILE_FLAGS.signer,
      summary: "Custom signers to run in addition to Kubernetes' own: domain/path, each with a --profile.",
    },
    ...WEB_FLAGS,
    ...SIGNING_FLAGS,
    ...NOTIFY_FLAGS,
    ...SERVICE_FLAGS,
    ...inGroup("Tuning", CLEANER_FLAGS),
  },
  examples: {
    "Run everything on loopback": "tlsboot up",
    "Run it as a service that starts with this machine": "sudo tlsboot up --install-service",
    "Open it to the network": "tlsboot up --bind-address 0.0.0.0 --advertise-address boot.example.com",
    "Require a separate token for each machine": "tlsboot up --shared-token=false",
    "With a page for the browser": "tlsboot up --ui",
    "Approve kubelets automatically": "tlsboot up --auto-approve",
    "Approve only the machines in a file": "tlsboot up --auto-approve --inventory inventory.yaml",
    "Approve their serving certificates too, for the names and addresses of each node in the inventory":
      "tlsboot up --auto-approve --policy kubelet-serving --inventory inventory.yaml",
    "Issue certificates to web servers in a network":
      "tlsboot up --web-domain home.lan --web-network 192.168.1.0/24 --bind-address 0.0.0.0 " +
      "--advertise-address 192.168.1.2",
    "Get a message on your phone when a request is pending": "tlsboot up --notify https://ntfy.example.com/machines",
    "Also run a custom signer": "tlsboot up --profile web.yaml",
  },
  rules: [
    needs("webNetwork", "webDomain"),
    ...NOTIFY_RULES,
    ...SERVER_RULES,
    ...SERVICE_RULES,
    whenTyped(
      excludes("installService", "dataDir", "ui"),
      "the service keeps its data in /var/lib/tlsboot, and tlsboot ui --data-dir /var/lib/tlsboot serves the page",
    ),
  ],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
});
