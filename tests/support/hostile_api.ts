/** Servers that answer every request with hostile text wherever text is possible, and their objects. */
import type { KubeObject } from "../../core/kube/meta.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { buildCsr, sharedKey } from "./csr_builder.ts";
import type { FakeAnswer, FakeRequest } from "./fake_api.ts";
import { FORGING, HOSTILE } from "./hostile_text.ts";
import type { IssuingCa } from "./issuing_ca.ts";

export interface HostileObjects {
  readonly certificate: string;
  /** An issued request for a signer that does not exist. */
  readonly csr: KubeObject;
  /** The requests on which a signer and an approver act. */
  readonly atWork: readonly KubeObject[];
  readonly token: KubeObject;
}

const TIME = "2026-01-01T00:00:00Z";
const NODE = `system:node:${FORGING}`;
const APPROVED = [{
  type: "Approved",
  status: "True",
  reason: FORGING,
  message: FORGING,
  lastUpdateTime: TIME,
  lastTransitionTime: TIME,
}];

export async function createHostileObjects(ca: IssuingCa): Promise<HostileObjects> {
  const certificate = await ca.issue({
    subject: { commonName: FORGING, organizations: [HOSTILE] },
    publicKeyDer: (await sharedKey()).publicKeyDer(),
  });
  const stored = async (options: Parameters<typeof buildCsr>[0], name: string): Promise<KubeObject> => {
    const labels = { labels: { [HOSTILE]: FORGING }, annotations: { [FORGING]: HOSTILE } };
    const csr = await buildCsr({
      username: FORGING,
      groups: [HOSTILE, FORGING],
      metadata: { name, uid: "u", ...labels },
      ...options,
    });
    return { ...csr, metadata: { ...csr.metadata, resourceVersion: "7", creationTimestamp: TIME } };
  };
  const serving = { signerName: "kubernetes.io/kubelet-serving", usages: ["digital signature", "server auth"] };
  const node = { username: NODE, groups: ["system:nodes"], commonName: NODE };
  const atWork = await Promise.all([
    stored({ ...serving, commonName: FORGING, conditions: APPROVED }, `signed ${FORGING}`),
    stored({ ...serving, request: encodeBase64(FORGING), conditions: APPROVED }, `broken ${FORGING}`),
    stored({ ...serving, ...node, dnsNames: ["a.example"], conditions: APPROVED }, `served ${FORGING}`),
    stored({ ...serving, ...node, dnsNames: ["a.example"] }, `serving ${FORGING}`),
    stored(node, `renewed ${FORGING}`),
    stored({ username: "system:bootstrap:abcdef", groups: ["system:bootstrappers"], commonName: NODE }, `n ${FORGING}`),
  ]);
  const csr = await stored({
    signerName: HOSTILE,
    usages: [FORGING],
    commonName: FORGING,
    organizations: [HOSTILE, FORGING],
    emailAddresses: ["a@b.example"],
    conditions: APPROVED,
    certificate: encodeBase64(certificate),
  }, FORGING);
  const token = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    data: {
      "token-id": encodeBase64("abcdef"),
      "token-secret": encodeBase64("0123456789abcdef"),
      description: encodeBase64(FORGING),
      expiration: encodeBase64(FORGING),
      [`usage-bootstrap-${HOSTILE}`]: encodeBase64("true"),
      "auth-extra-groups": encodeBase64(FORGING),
    },
  } as KubeObject;
  return { certificate, csr, atWork, token };
}

const EVENT = {
  metadata: { name: "e", namespace: "default" },
  involvedObject: { name: FORGING, kind: "CertificateSigningRequest" },
  type: FORGING,
  reason: FORGING,
  message: FORGING,
  source: { component: FORGING },
  lastTimestamp: TIME,
};
const REPORTING_NODE = {
  metadata: { name: FORGING, uid: "n", resourceVersion: "7" },
  status: { addresses: [{ type: HOSTILE, address: FORGING }] },
};
const LEASE = {
  kind: "Lease",
  apiVersion: "coordination.k8s.io/v1",
  metadata: { name: HOSTILE, namespace: FORGING, resourceVersion: "7" },
  spec: { holderIdentity: FORGING, leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.000000Z" },
};
/** Its server is a URL, so that clients do not ignore it. */
const HOSTILE_CLUSTER = { server: `https://a$(id)/\nforged: line ${FORGING}`, "certificate-authority-data": FORGING };
const CLUSTER_INFO = {
  kind: "ConfigMap",
  apiVersion: "v1",
  metadata: { name: "cluster-info", namespace: "kube-public" },
  data: {
    kubeconfig: `{"kind":"Config","clusters":[{"name":"","cluster":${JSON.stringify(HOSTILE_CLUSTER)}}]}`,
    "jws-kubeconfig-abcdef": HOSTILE,
    [HOSTILE]: FORGING,
  },
};
const REVIEWED = { allowed: false, denied: true, reason: FORGING, evaluationError: HOSTILE };

/** The path of the review in which controllers first check their own rights. */
export const OWN_RIGHTS = "/selfsubjectaccessreviews";

/** Headers cannot contain ASCII control characters, but they can contain U+009B, which is ESC [ in one character. */
const WARNING = '299 - "x\x9b31mevil\xad"';

function respond(body: unknown): FakeAnswer {
  return { status: 200, headers: { warning: WARNING }, body };
}

/** Answers with hostile text wherever text is possible. */
export function hostileAnswer(request: FakeRequest, objects: HostileObjects): FakeAnswer {
  const { method, path, query, headers } = request;
  const { csr, atWork, token } = objects;
  // Controllers without rights would end at once.
  if (path.endsWith(OWN_RIGHTS)) {
    return respond({ ...request.body as object, status: { ...REVIEWED, allowed: true, denied: false } });
  }
  if (path.endsWith("/selfsubjectreviews")) {
    return respond({ metadata: {}, status: { userInfo: { username: FORGING } } });
  }
  if (path.endsWith("reviews")) return respond({ ...request.body as object, status: REVIEWED });
  if (path.includes("/events")) return respond(createList("EventList", "v1", [EVENT]));
  if (path.includes("/secrets")) return respond(createList("SecretList", "v1", [token]));
  if (path.includes("/leases")) return respond(LEASE);
  if (path.endsWith("/cluster-info")) return respond(CLUSTER_INFO);
  if (path.endsWith("/version")) return respond({ gitVersion: HOSTILE, major: "1", minor: "37" });
  const isTable = method === "GET" && String(headers.accept).includes("as=Table");
  const isOfNodes = path.endsWith("/nodes");
  const all = isTable ? [createTable(csr)] : isOfNodes ? [REPORTING_NODE] : [csr, ...atWork];
  if (query.get("watch") === "true") return respond(createEvents(all));
  if (isTable) return respond(createTable(csr));
  if (isOfNodes) return respond(createList("NodeList", "v1", all));
  if (method === "GET" && path.endsWith("certificatesigningrequests")) {
    return respond(createList("CertificateSigningRequestList", "certificates.k8s.io/v1", all));
  }
  return respond(csr);
}

function createList(kind: string, apiVersion: string, items: readonly unknown[]): object {
  return { kind, apiVersion, metadata: { resourceVersion: "7" }, items };
}

function createTable({ metadata }: KubeObject): object {
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: "7" },
    columnDefinitions: [{ name: FORGING, type: "string" }, { name: HOSTILE, type: "string" }],
    rows: [
      { cells: [FORGING, HOSTILE], object: { metadata } },
      { cells: [{ [HOSTILE]: FORGING }, null], object: { metadata } },
    ],
  };
}

/** Creates the events of a watch: the list, changes, an event of an unknown type, and an error. */
function createEvents(objects: readonly unknown[]): string {
  const annotations = { "k8s.io/initial-events-end": "true" };
  const events = [
    ...objects.map((object) => ({ type: "ADDED", object })),
    { type: "BOOKMARK", object: { metadata: { resourceVersion: "7", annotations } } },
    ...objects.map((object) => ({ type: "MODIFIED", object })),
    { type: FORGING, object: objects[0] },
    { type: "ERROR", object: createStatus(500) },
  ];
  return events.map((event) => `${JSON.stringify(event)}\n`).join("");
}

function createStatus(code: number): object {
  const details = { name: HOSTILE, kind: FORGING, causes: [{ reason: HOSTILE, message: FORGING, field: HOSTILE }] };
  const reason = code === 401 ? "Unauthorized" : code === 403 ? "Forbidden" : HOSTILE;
  const head = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" };
  return { ...head, message: FORGING, reason, details, code };
}

/** Creates a server that refuses every request. */
export function refusal(code: number): () => FakeAnswer {
  return () => ({ status: code, headers: { warning: WARNING }, body: createStatus(code) });
}

/** Hostile servers by their behaviour. */
export const HOSTILE_SERVERS: Readonly<
  Record<string, (...args: Parameters<typeof hostileAnswer>) => FakeAnswer | "destroy">
> = {
  "answers with hostile objects": hostileAnswer,
  "refuses with 403": refusal(403),
  "refuses with 401": refusal(401),
  "fails with 500": refusal(500),
  "refuses with 422": refusal(422),
  "answers with an HTML page": () => ({ status: 500, headers: { "content-type": "text/html" }, body: FORGING }),
  "answers with text that is not JSON": () => ({ status: 200, body: FORGING }),
  "answers with another object": () => ({ status: 200, body: { kind: FORGING, apiVersion: HOSTILE } }),
  "is not available": () => ({ status: 503, body: HOSTILE }),
  "closes the connection": () => "destroy",
};
