/** The commands `tlsboot kubeconfig admin` and `kubeconfig user`: flags, help and examples. */
import { API_FLAGS, CA_KEY_FLAGS, DATA_DIR_FLAG, ISSUED_LOG_FLAG } from "../../flags/common.ts";
import { KEY_ALGORITHM, lifetimeFlag, parseClusterUrl, parseSignerName, REQUEST_TIMEOUT } from "../../flags/request.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import {
  choiceFlag,
  fileFlag,
  listFlag,
  parsedFlag,
  parsedListFlag,
  switchFlag,
  textFlag,
} from "../../framework/flags.ts";
import { needs } from "../../framework/rules.ts";

/** The roles of people, each with the permissions of the one before it and more. */
export const PERSON_ROLES = ["viewer", "approver", "operator"] as const;

export type PersonRole = (typeof PERSON_ROLES)[number];

export const kubeconfigAdminCommand = defineCommand({
  path: ["kubeconfig", "admin"],
  environment: "strict",
  summary: "Write an administrator's kubeconfig",
  description: `Write an administrator's kubeconfig.

 Makes a key and signs a certificate for the group system:masters with the CA in --data-dir. A holder of the file may do everything, until the certificate expires or is revoked (tlsboot revoke).`,
  group: "File Commands",
  flags: {
    dataDir: DATA_DIR_FLAG,
    server: parsedFlag({
      isCommandLineOnly: true,
      placeholder: "URL",
      parse: parseClusterUrl,
      summary:
        "Address of the API server, as the user of the file reaches it. Without it, the one in admin.kubeconfig in " +
        "--data-dir, which tlsboot up writes.",
    }),
    caCert: fileFlag({
      summary: "CA bundle that signed the server's certificate. Without it, pki/ca.crt in --data-dir.",
    }),
    force: switchFlag({ summary: "Replace an existing file." }),
    ...CA_KEY_FLAGS,
    issuedLog: ISSUED_LOG_FLAG,
    out: fileFlag({ summary: "File to write; - is stdout. Without it, admin.kubeconfig in --data-dir." }),
    clusterName: textFlag({ default: "tlsboot", summary: "Name of the cluster and of the context in the file." }),
    user: textFlag({ default: "kubernetes-admin", summary: "Name of the administrator." }),
    duration: lifetimeFlag({ default: "1y", summary: "Lifetime of the certificate." }),
  },
  examples: {
    "Write admin.kubeconfig in ./tlsboot-data": "tlsboot kubeconfig admin",
    "Write one that lasts a day, for another address":
      "tlsboot kubeconfig admin --duration 24h --server https://10.0.0.1:6443 --out ./admin.kubeconfig",
  },
  exitCodes: { 1: "failed, or the file exists" },
});

export const kubeconfigUserCommand = defineCommand({
  path: ["kubeconfig", "user"],
  environment: "strict",
  summary: "Get a person a certificate and write their kubeconfig",
  description: `Get a person a certificate and write their kubeconfig.

 Makes a key, requests a certificate with the name and the groups from the signer kubernetes.io/kube-apiserver-client,
 approves the request if you may, waits for the signer, and writes a kubeconfig that contains everything. Then it shows
 what the person may do, or how to grant them permissions: a certificate is only an identity, and permissions come from
 role bindings.

 With --role it first shows what the role allows, and creates the ClusterRole tlsboot:ROLE when it is missing and its binding to the person. Kubernetes does not let you grant more than you may do yourself. To take the role away, delete the binding tlsboot:ROLE:NAME.

 openssl, kubectl certificate approve, and kubectl config set-cluster, set-credentials and set-context have the same result.`,
  group: "File Commands",
  args: [argument("NAME", "The person's user name")],
  flags: {
    ...API_FLAGS,
    group: listFlag({ placeholder: "NAME", summary: "Groups of the person; may be repeated." }),
    role: choiceFlag({
      choices: PERSON_ROLES,
      summary:
        "Role of the person: a viewer reads requests and certificates, an approver also decides about requests, an " +
        "operator also revokes credentials and makes tokens.",
    }),
    signer: parsedListFlag({
      placeholder: "NAME",
      summary:
        "Custom signers for which --role approver and operator approve, besides those that the approver has published.",
      parse: parseSignerName,
    }),
    duration: lifetimeFlag({ default: "8h", summary: "Lifetime of the certificate, at least 10m." }),
    noApprove: switchFlag({
      summary: "Send the request without approving it; the same command fetches the certificate after the approval.",
    }),
    out: fileFlag({ summary: "File to write. Without it, NAME.kubeconfig in the current folder." }),
    clusterName: textFlag({ default: "tlsboot", summary: "Name of the cluster and of the context in the file." }),
    server: parsedFlag({
      isCommandLineOnly: true,
      placeholder: "URL",
      parse: parseClusterUrl,
      summary: "Address of the API server for the person. Without it, the one in your own kubeconfig.",
    }),
    keyAlgorithm: KEY_ALGORITHM,
    timeout: REQUEST_TIMEOUT,
    force: switchFlag({ summary: "Replace an existing file." }),
  },
  examples: {
    "Let alice in for a working day": "tlsboot kubeconfig user alice --group dev",
    "Let bob approve requests": "tlsboot kubeconfig user bob --role approver",
    "For another machine, at another cluster":
      "tlsboot kubeconfig user alice --group dev --duration 1h --kubeconfig admin.conf --server https://10.0.0.1:6443",
    "Send the request, and let another user approve it":
      "tlsboot kubeconfig user bob --kubeconfig my.kubeconfig --no-approve",
  },
  rules: [needs("signer", "role=approver", "role=operator")],
  exitCodes: {
    0: "the file is written, or with --no-approve the request is sent",
    1: "failed, or the file exists",
    3: "the request was denied, refused by the signer, or not decided in time",
  },
});
