/** Every kind of identity, from unauthenticated clients to the administrator. */

type Credential =
  | { readonly kind: "none" }
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "certificate"; readonly commonName: string; readonly organizations: readonly string[] };

/** An identity, whose name is the heading of a column in the matrix. */
export interface Identity {
  readonly name: string;
  /** A description in the list above the matrix. */
  readonly is: string;
  readonly credential: Credential;
  /** Additional headers of each request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A bootstrap token, whose Secret the matrix creates first. */
interface TokenCase {
  readonly id: string;
  readonly secret: string;
  readonly data: Readonly<Record<string, string>>;
}

/** The group of kubeadm's tokens, which may request certificates. */
export const TOKEN_GROUP = "system:bootstrappers:kubeadm:default-node-token";

/** The bootstrap tokens, by column. */
export const TOKENS = {
  boot: {
    id: "goodid",
    secret: "0123456789abcdef",
    data: { "usage-bootstrap-authentication": "true", "auth-extra-groups": TOKEN_GROUP },
  },
  bootold: {
    id: "oldold",
    secret: "0123456789abcdef",
    data: {
      "usage-bootstrap-authentication": "true",
      "auth-extra-groups": TOKEN_GROUP,
      expiration: "2020-01-01T00:00:00Z",
    },
  },
  bootgrp: {
    id: "other0",
    secret: "0123456789abcdef",
    data: { "usage-bootstrap-authentication": "true", "auth-extra-groups": "system:bootstrappers:others" },
  },
  bootsig: {
    id: "signer",
    secret: "0123456789abcdef",
    data: { "usage-bootstrap-signing": "true", "auth-extra-groups": TOKEN_GROUP },
  },
} as const satisfies Readonly<Record<string, TokenCase>>;

/** Controllers of kube-controller-manager that also run in tlsboot, by column. */
const CONTROLLERS = {
  "sa:cert": "certificate-controller",
  "sa:tok": "token-cleaner",
  "sa:boot": "bootstrap-signer",
  "sa:ns": "namespace-controller",
  "sa:aggr": "clusterrole-aggregation-controller",
  "sa:sa": "service-account-controller",
  "sa:root": "root-ca-cert-publisher",
  "sa:ctb": "kube-apiserver-serving-clustertrustbundle-publisher",
} as const;

/** A user in the token file, which kube-apiserver and tlsboot both read. */
export const TOKEN_FILE_USER = { token: "user-token", username: "tokenuser" } as const;

const SERVICE_ACCOUNTS = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];

/** The identity that may do everything. It creates the objects. */
export const MASTERS: Identity = certified("masters", "in group system:masters", "root", ["system:masters"]);

/** All identities, in the order of the columns. */
export const IDENTITIES: readonly Identity[] = [
  { name: "anon", is: "shows nothing", credential: { kind: "none" } },
  { name: "badtok", is: "an unknown bearer token", credential: { kind: "token", token: "nobody-knows-me" } },
  bearer("boot", "a bootstrap token whose group may ask for certificates"),
  bearer("bootold", "one that has expired"),
  bearer("bootgrp", "one whose group may do nothing"),
  bearer("bootsig", "one that is for signing cluster-info only"),
  certified("n1", "the node n1", "system:node:n1", ["system:nodes"]),
  certified("n2", "another node", "system:node:n2", ["system:nodes"]),
  certified("n3", "a node that is not registered yet", "system:node:n3", ["system:nodes"]),
  certified("nogrp", "n1's name without the group system:nodes", "system:node:n1", []),
  certified("noname", "the group system:nodes without a node's name", "someone", ["system:nodes"]),
  certified("user", "a user without rights", "alice", ["developers"]),
  certified("nsadm", "may do everything usual in the namespace team", "nsadm", []),
  certified("appr", "may update /approval, and approve for example.com/a", "appr", []),
  certified("appr2", "may update /approval, and approve for no signer", "appr2", []),
  certified("sign", "may update /status, and sign for example.com/a", "sign", []),
  certified("sign2", "may update /status, and sign for no signer", "sign2", []),
  ...Object.entries(CONTROLLERS).map(([name, controller]) => account(name, controller)),
  account("sa:appr", "tlsboot-approver", " with the rights of docs/rbac/approver.yaml"),
  account("sa:sgn", "tlsboot-signer", " with those of docs/rbac/signer.yaml"),
  {
    name: "tokfile",
    is: "a user of the token file, who may create and update ConfigMaps, and update Leases",
    credential: { kind: "token", token: TOKEN_FILE_USER.token },
  },
  impersonating("imp", "may impersonate nsadm, and does", { "impersonate-user": "nsadm" }),
  impersonating("impmas", "the same, who says that nsadm is in group system:masters", {
    "impersonate-user": "nsadm",
    "impersonate-group": "system:masters",
  }),
  impersonating("impnode", "the same, who says that it is the node n1", {
    "impersonate-user": "system:node:n1",
    "impersonate-group": "system:nodes",
  }),
  certified("kcm", "the user system:kube-controller-manager", "system:kube-controller-manager", []),
  MASTERS,
];

function bearer(name: keyof typeof TOKENS, is: string): Identity {
  const { id, secret } = TOKENS[name];
  return { name, is, credential: { kind: "token", token: `${id}.${secret}` } };
}

function account(name: string, account: string, rights = ""): Identity {
  const commonName = `system:serviceaccount:kube-system:${account}`;
  return certified(name, `the service account kube-system/${account}${rights}`, commonName, SERVICE_ACCOUNTS);
}

function impersonating(name: string, is: string, headers: Readonly<Record<string, string>>): Identity {
  return { ...certified(name, is, "imp", []), headers };
}

function certified(name: string, is: string, commonName: string, organizations: readonly string[]): Identity {
  return { name, is, credential: { kind: "certificate", commonName, organizations } };
}
