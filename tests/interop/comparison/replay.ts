/** Replays the corpus against both servers and reports where their answers differ. */
import { Buffer } from "node:buffer";
import { setTimeout as delay } from "node:timers/promises";
import { parse } from "yaml";
import { formatTime } from "../../../core/kube/meta.ts";
import { issueCertificate } from "../../../core/pki/authority/issue.ts";
import { encodePem, findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { buildRequest, sharedKey } from "../../support/csr_builder.ts";
import { createSigningCa } from "../../support/signing_ca.ts";
import { type RawAnswer, type ReadBody, readBody } from "./answer.ts";
import { type Blanker, createBlanker } from "./blank.ts";
import { type Difference, findDifferences } from "./compare.ts";
import type { CorpusFile, Exchange } from "./corpus.ts";
import { type IntendedDifference, isIntended } from "./intended.ts";
import { project } from "./project.ts";
import { administer, send, type Sent } from "./send.ts";
import { BOOTSTRAP_TOKEN, type Pair, type Side } from "./sides.ts";
import { fillText, fillValue, type Variables } from "./variables.ts";

/** The result of one exchange. */
export interface Verdict {
  readonly exchange: Exchange;
  readonly file: string;
  /** The status code of the real server's answer. */
  readonly status: number;
  readonly ourStatus: number;
  readonly sent: Sent;
  /** Content type of the real server's answer, without parameters. */
  readonly contentType: string;
  /** The body of the real server's answer. */
  readonly value: unknown;
  readonly differences: readonly Difference[];
  /** The differences that are not listed as intended. */
  readonly unintended: readonly Difference[];
}

/** The results of a whole corpus. */
export interface Replayed {
  readonly verdicts: readonly Verdict[];
  /** Entries that no exchange needed. */
  readonly unused: readonly IntendedDifference[];
}

/** The interval and the number of retries for an exchange that waits for a status. */
const UNTIL_EVERY_MS = 50;
const UNTIL_TRIES = 600;
/** The largest number of reviews to send until an authorizer knows new grants; a few are enough. */
const GRANT_TRIES = 1_000;

const COMPARED_HEADERS: readonly string[] = [
  "content-type",
  "cache-control",
  "warning",
  "www-authenticate",
  "retry-after",
  "allow",
  "location",
  "etag",
  "vary",
  "content-encoding",
  "x-content-type-options",
];

export async function replayCorpus(
  pair: Pair,
  files: readonly CorpusFile[],
  intended: readonly IntendedDifference[],
): Promise<Replayed> {
  await preparePair(pair);
  const verdicts: Verdict[] = [];
  for (const file of files) verdicts.push(...await replayFile(pair, file, intended));
  const used = new Set(
    verdicts.flatMap(({ exchange, differences }) =>
      differences.flatMap((difference) => intended.filter((entry) => isIntended(entry, exchange.id, difference)))
    ),
  );
  const names = files.map(({ name }) => name);
  const applicable = intended.filter(({ exchange }) => names.includes(exchange.split(/[/:]/)[0]!));
  return { verdicts, unused: applicable.filter((entry) => !used.has(entry)) };
}

/** One answer of one server, decoded and blanked. */
interface Seen {
  readonly exchange: Exchange;
  readonly sent: Sent;
  readonly raw: RawAnswer;
  readonly read: ReadBody;
  readonly blanked: unknown;
}

/** The state of one server while a file is replayed. */
export interface Session {
  readonly side: Side;
  readonly blanker: Blanker;
  readonly variables: Record<string, unknown>;
  lastWritten: bigint;
}

async function replayFile(
  pair: Pair,
  file: CorpusFile,
  intended: readonly IntendedDifference[],
): Promise<readonly Verdict[]> {
  const sessions = await openSessions(pair, file);
  const verdicts: Verdict[] = [];
  let hasGranted = false;
  for (const exchange of file.exchanges) {
    if (hasGranted && exchange.as !== "admin") await Promise.all(pair.sides.map(waitForGrants));
    hasGranted = isGrant(exchange) || (hasGranted && exchange.as === "admin");
    verdicts.push(...await replayExchange(sessions, file, exchange, intended));
  }
  return verdicts;
}

/** Opens a session with each server of a pair; `variables` are the first to be known. */
export async function openSessions(
  pair: Pair,
  file: CorpusFile,
  variables: Variables = {},
): Promise<readonly [Session, Session]> {
  const fixtures = { ...await buildFixtures(file.requests), ...await buildCertificates(file) };
  return pair.sides.map((side): Session => ({
    side,
    blanker: createBlanker({ literal: file.text, port: side.port, startedAt: pair.startedAt, now: () => new Date() }),
    variables: { ...variables, ...fixtures },
    lastWritten: 0n,
  })) as [Session, Session];
}

/** Sends one exchange, and those within its stream, to both servers, and compares the answers. */
export async function replayExchange(
  [real, ours]: readonly [Session, Session],
  file: CorpusFile,
  exchange: Exchange,
  intended: readonly IntendedDifference[],
): Promise<readonly Verdict[]> {
  const [a, b] = await Promise.all([replay(real, exchange), replay(ours, exchange)]);
  return [...a].map(([id, seen]) => {
    const other = b.get(id);
    if (other === undefined) throw new Error(`${id}: tlsboot got no such request`);
    return compareAnswers(file, seen, other, intended);
  });
}

/** Reports whether an exchange changes permissions. */
function isGrant({ send }: Exchange): boolean {
  return /^(?!GET )\S+ \/apis\/rbac\.authorization\.k8s\.io\//.test(send);
}

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const IN_DEFAULT = `${RBAC}/namespaces/default`;
const REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/**
 * Waits until the authorizer of a server knows the roles and bindings that were written. It sees the objects
 * of a kind in the order of their creation, so once it knows a new one of each kind, it knows all earlier ones.
 */
async function waitForGrants(side: Side): Promise<void> {
  const name = "comparison:known";
  const metadata = { name };
  const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }];
  const roleRef = (kind: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name });
  const everywhere = { path: "/known", verb: "get" };
  const inDefault = { namespace: "default", resource: "known", verb: "get" };
  const grants = [
    [`${RBAC}/clusterroles`, { rules: [{ nonResourceURLs: [everywhere.path], verbs: ["get"] }] }],
    [`${RBAC}/clusterrolebindings`, { roleRef: roleRef("ClusterRole"), subjects }],
    [`${IN_DEFAULT}/roles`, { rules: [{ apiGroups: [""], resources: [inDefault.resource], verbs: ["get"] }] }],
    [`${IN_DEFAULT}/rolebindings`, { roleRef: roleRef("Role"), subjects }],
  ] as const;
  for (const [path, grant] of grants) await administer(side, `POST ${path}`, { metadata, ...grant });
  for (const attributes of [{ nonResourceAttributes: everywhere }, { resourceAttributes: inDefault }]) {
    const review = { spec: { user: name, ...attributes } };
    const isKnown = async () => {
      const answer = await administer(side, `POST ${REVIEWS}`, review) as {
        readonly status: { readonly allowed: boolean };
      };
      return answer.status.allowed;
    };
    for (let triesLeft = GRANT_TRIES; !await isKnown(); triesLeft--) {
      if (triesLeft === 0) throw new Error(`${side.name} does not learn of new roles`);
    }
  }
  for (const [path] of grants) await administer(side, `DELETE ${path}/${name}`);
}

type SeenById = Map<string, Seen>;

/** Sends an exchange, and those within its stream, to one server. */
async function replay(session: Session, exchange: Exchange): Promise<SeenById> {
  const all: SeenById = new Map();
  const variables: Variables = { ...session.variables, ...exchange.variables };
  const inner: SeenById = new Map();
  const { sent, answer: raw } = await sendUntil(session.side, exchange, variables, async () => {
    for (const one of exchange.stream?.while ?? []) {
      for (const [id, seen] of await replay(session, one)) inner.set(id, seen);
    }
  });
  const read = readBody(raw, exchange.stream !== undefined);
  keep(session, exchange, read.value);
  const base = findGenerateName(exchange, variables);
  if (base !== undefined) session.blanker.expectGenerated(base);
  const written = checkWritten(session, exchange, raw, read.value);
  const projected = exchange.project === undefined ? read.value : project(exchange.project, read.value);
  const blanked = session.blanker.blank({
    status: raw.status,
    headers: Object.fromEntries(
      COMPARED_HEADERS.filter((name) => name in raw.headers).map((name) => [name, raw.headers[name]]),
    ),
    auditId: findAuditId(raw, exchange),
    form: read.form,
    ...(raw.end === undefined ? {} : { end: raw.end }),
    ...written,
    body: projected,
  });
  all.set(exchange.id, { exchange, sent, raw, read, blanked });
  for (const [id, seen] of inner) all.set(id, seen);
  return all;
}

/** Sends an exchange, repeatedly if it waits for a status, and returns the last answer. */
async function sendUntil(...[side, exchange, variables, whileOpen]: Parameters<typeof send>): ReturnType<typeof send> {
  for (let triesLeft = UNTIL_TRIES;; triesLeft--) {
    const seen = await send(side, exchange, variables, whileOpen);
    if (exchange.until === undefined || seen.answer.status === exchange.until || triesLeft === 0) return seen;
    await delay(UNTIL_EVERY_MS);
  }
}

function keep(session: Session, exchange: Exchange, body: unknown): void {
  for (const [name, path] of Object.entries(exchange.keep)) {
    const isOptional = path.endsWith("?");
    const keys = (isOptional ? path.slice(0, -1) : path).split(".");
    const value = keys.reduce<unknown>((at, key) => (at as Record<string, unknown> | null | undefined)?.[key], body);
    if (value === undefined && !isOptional) {
      throw new Error(`${exchange.id}: ${session.side.name} sent no ${path}: ${JSON.stringify(body).slice(0, 500)}`);
    }
    session.variables[name] = value ?? session.variables[name] ?? "";
  }
}

/** Checks that a written object gets a resourceVersion greater than all before it, or keeps the one that it had. */
function checkWritten(session: Session, exchange: Exchange, raw: RawAnswer, body: unknown): object {
  if (!/^(POST|PUT|PATCH) /.test(exchange.send) || raw.status > 201 || exchange.send.includes("dryRun")) return {};
  const version = (body as { readonly metadata?: { readonly resourceVersion?: string } } | null)?.metadata
    ?.resourceVersion;
  if (version === undefined || !/^\d+$/.test(version)) return {};
  const isNew = raw.status === 201;
  const grows = BigInt(version) > session.lastWritten;
  if (grows) session.lastWritten = BigInt(version);
  return isNew && !grows ? { written: `resourceVersion ${version} is not greater than those before` } : {};
}

/** Returns the `generateName` of the body, whatever its form. */
function findGenerateName({ body }: Exchange, variables: Variables): string | undefined {
  if (body === undefined || body.form === "base64") return undefined;
  const object = body.form === "yaml" || body.form === "text"
    ? parseText(fillText(body.value, variables))
    : fillValue(body.value, variables);
  const base = (object as { readonly metadata?: { readonly generateName?: unknown } | null } | null)?.metadata
    ?.generateName;
  return typeof base === "string" && base !== "" ? base : undefined;
}

/** Parses a text as YAML. The last value of a repeated key counts; invalid YAML is null. */
function parseText(text: string): unknown {
  try {
    return parse(text, { uniqueKeys: false, logLevel: "silent" });
  } catch {
    return null;
  }
}

/** Returns an audit id that the client sent. A generated id becomes `a UUID`. */
function findAuditId(raw: RawAnswer, { headers }: Exchange): string {
  const [id, ...more] = raw.headers["audit-id"] ?? [];
  if (id === undefined) return "none";
  if (more.length > 0) return [id, ...more].join(", ");
  if (Object.keys(headers).some((name) => name.toLowerCase() === "audit-id")) return id;
  return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id) ? "a UUID" : id;
}

function compareAnswers(
  file: CorpusFile,
  real: Seen,
  ours: Seen,
  intended: readonly IntendedDifference[],
): Verdict {
  const { exchange } = real;
  const differences = findDifferences(real.blanked, ours.blanked, "").map((one) => ({
    ...one,
    path: one.path.slice(1),
  }));
  return {
    exchange,
    file: file.name,
    status: real.raw.status,
    ourStatus: ours.raw.status,
    sent: real.sent,
    value: real.read.value,
    contentType: (real.raw.headers["content-type"]?.[0] ?? "").split(";")[0]!,
    differences,
    unintended: differences.filter((one) => !intended.some((entry) => isIntended(entry, exchange.id, one))),
  };
}

/** Builds the certificate requests that exchanges refer to as `csr:<name>`, or as `der:<name>` without PEM. */
export async function buildFixtures(requests: CorpusFile["requests"]): Promise<Variables> {
  const built: Record<string, unknown> = {};
  for (const [name, { commonName, organizations, key, ...names }] of Object.entries(requests)) {
    const request = await buildRequest({
      subject: { ...(commonName === undefined ? {} : { commonName }), organizations: organizations ?? [] },
      ...names,
    }, key);
    built[`csr:${name}`] = request;
    const pem = Buffer.from(request, "base64").toString("latin1");
    built[`der:${name}`] = Buffer.from(findPemBlock(pem)!.block.bytes).toString("base64");
  }
  return built;
}

/**
 * Issues the certificates that exchanges refer to as `chain:<name>`, with their times `from:<name>`, `middle:<name>`
 * and `to:<name>`.
 */
async function buildCertificates({ requests, certificates }: CorpusFile): Promise<Variables> {
  const built: Record<string, unknown> = {};
  if (Object.keys(certificates).length === 0) return built;
  const ca = await createSigningCa();
  for (
    const [name, { request, lifetime, age = 0, dnsNames = [], emailAddresses = [] }] of Object.entries(certificates)
  ) {
    const key = await sharedKey(requests[request]!.key);
    const notBefore = new Date(Math.floor(Date.now() / 1000 - age) * 1000);
    const at = (seconds: number) => new Date(notBefore.getTime() + seconds * 1000);
    const der = await issueCertificate(
      {
        subject: { commonName: name },
        publicKeyDer: key.publicKeyDer(),
        dnsNames,
        ipAddresses: [],
        emailAddresses,
        uris: [],
        notBefore,
        notAfter: at(lifetime),
        usages: ["digital signature", "client auth"],
        isCa: false,
      },
      ca,
      Uint8Array.of(7),
    );
    built[`chain:${name}`] = encodePem("CERTIFICATE", der);
    built[`from:${name}`] = formatTime(notBefore);
    built[`middle:${name}`] = formatTime(at(lifetime / 2));
    built[`to:${name}`] = formatTime(at(lifetime));
  }
  return built;
}

/**
 * Creates the objects that both servers have beyond their defaults: a bootstrap token, and a binding that lets its
 * bearer request certificates.
 */
export async function preparePair(pair: Pair): Promise<void> {
  for (const side of pair.sides) {
    await administer(side, "POST /api/v1/namespaces/kube-system/secrets", {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: `bootstrap-token-${BOOTSTRAP_TOKEN.id}` },
      type: "bootstrap.kubernetes.io/token",
      stringData: {
        "token-id": BOOTSTRAP_TOKEN.id,
        "token-secret": BOOTSTRAP_TOKEN.secret,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
      },
    });
    await administer(side, "POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "comparison:kubelet-bootstrap" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:node-bootstrapper" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:bootstrappers" }],
    });
  }
}
