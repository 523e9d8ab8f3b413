/**
 * The status code of each identity for each way to write. Every request is a dry run. The server first gets rights, tokens
 * and an object of each resource.
 */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { KEY_SET_PATH, OPENID_CONFIGURATION_PATH } from "../../../core/service_accounts/issuer_documents.ts";
import { SNAPSHOT_PATH } from "../../../server/http/snapshot.ts";
import { buildRequest } from "../csr_builder.ts";
import { eventually } from "../eventually.ts";
import { buildStubRequest } from "../pod_request_builder.ts";
import type { Call, Callers, Reply, TestedServer } from "./callers.ts";
import { IDENTITIES, MASTERS, TOKEN_FILE_USER, TOKEN_GROUP, TOKENS } from "./identities.ts";
import { type Route, toCollectionRoute } from "./routes.ts";
import { ABSENT, createChanges, createSamples, EXISTING, type Sample, type SampleParts } from "./samples.ts";

/** One way to write, with the status codes in the order of the columns. */
interface Row {
  readonly route: string;
  /** The namespace or the signer; empty if the resource has only one sample. */
  readonly label: string;
  readonly verb: string;
  readonly codes: readonly number[];
}

interface Attempt {
  readonly verb: string;
  readonly call: Call;
}

/** Paths that are not resources. Most of them accept any method, and none of them changes anything. */
const PATHS: readonly string[] = [
  ...["/", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/metrics", "/version"],
  ...["/openapi/v2", "/openapi/v3", "/nowhere", SNAPSHOT_PATH, OPENID_CONFIGURATION_PATH, KEY_SET_PATH],
];

const DRY_RUN = "dryRun=All&fieldManager=matrix";

/** Prepares a server and sends it every request. Every route must have a sample. */
export async function buildMatrix(
  server: TestedServer,
  callers: Callers,
  routes: readonly Route[],
): Promise<readonly Row[]> {
  const parts = await createParts(server);
  const samples = createSamples(parts);
  const changes = createChanges(parts);
  await prepareServer(callers);
  const planned: { readonly route: Route; readonly label: string; readonly attempt: Attempt }[] = [];
  const existing = new Map<string, KubeObject>();
  for (const route of routes) {
    const resourceKey = route.key.split("/")[0]!;
    const ofResource = samples[resourceKey];
    if (ofResource === undefined) throw new Error(`no sample of ${resourceKey}: write one in samples.ts`);
    const change = route.subresource === "" ? undefined : changes[route.key];
    if (route.subresource !== "" && change === undefined) {
      throw new Error(`no change for ${route.key}: write one in samples.ts`);
    }
    for (const sample of ofResource) {
      const key = `${resourceKey} ${sample.label}`;
      if (
        !existing.has(key) &&
        (["update", "delete"].some((verb) => route.verbs.includes(verb)) || route.subresource !== "")
      ) {
        existing.set(key, await createExisting(callers, route, sample));
      }
      for (const attempt of createAttempts(route, sample, existing.get(key), change)) {
        planned.push({ route, label: sample.label, attempt });
      }
    }
  }
  const rows: Row[] = [];
  for (const { route, label, attempt: { verb, call } } of planned) {
    const replies = await Promise.all(IDENTITIES.map((identity) => callers.call(identity, call)));
    rows.push({ route: route.key, label, verb, codes: replies.map(({ code }) => code) });
  }
  for (const path of PATHS) {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const replies = await Promise.all(IDENTITIES.map((identity) => callers.call(identity, { method, path })));
      rows.push({ route: path, label: "", verb: method.toLowerCase(), codes: replies.map(({ code }) => code) });
    }
  }
  return rows;
}

function createAttempts(
  route: Route,
  sample: Sample,
  existing: KubeObject | undefined,
  change: object | undefined,
): readonly Attempt[] {
  const collection = toCollectionRoute(route, sample.namespace);
  const to = (name: string) =>
    `${collection}/${name}${route.subresource === "" ? "" : `/${route.subresource}`}?${DRY_RUN}`;
  const absent = sample.object(ABSENT);
  const named = (object: KubeObject) => to(object.metadata.name ?? "");
  const applied = { contentType: "application/apply-patch+yaml" };
  return route.verbs.flatMap((verb): readonly Attempt[] => {
    switch (verb) {
      case "create":
        return route.subresource === "" || existing === undefined
          ? [{ verb, call: { method: "POST", path: `${collection}?${DRY_RUN}`, body: absent } }]
          : [{ verb, call: { method: "POST", path: named(existing), body: change ?? {} } }];
      case "deletecollection":
        return [{ verb, call: { method: "DELETE", path: `${collection}?${DRY_RUN}` } }];
    }
    if (existing === undefined) throw new Error(`no object exists for ${route.key}`);
    const { managedFields: _, ...metadata } = existing.metadata;
    const stored: KubeObject = { ...existing, metadata };
    const merge = change ?? { metadata: { annotations: { matrix: "patched" } } };
    const own = { apiVersion: existing.apiVersion, kind: existing.kind, metadata: toIdentity(existing), ...change };
    const again = sample.object(withoutPrefix(sample, existing));
    switch (verb) {
      case "update":
        return [
          {
            verb,
            call: {
              method: "PUT",
              path: named(existing),
              body: { ...stored, ...(change ?? { metadata: { ...metadata, annotations: { matrix: "updated" } } }) },
            },
          },
          // Some kinds can be created by an update. The others answer 404 to users who may update.
          ...(change !== undefined
            ? []
            : [{ verb: "update new", call: { method: "PUT", path: named(absent), body: absent } }]),
        ];
      case "patch":
        return [
          {
            verb,
            call: {
              method: "PATCH",
              path: named(existing),
              contentType: "application/merge-patch+json",
              body: merge,
            },
          },
          {
            verb: "apply",
            call: {
              method: "PATCH",
              path: `${named(existing)}&force=true`,
              ...applied,
              body: change === undefined ? again : own,
            },
          },
          ...(change !== undefined ? [] : [{
            verb: "apply new",
            call: { method: "PATCH", path: `${named(absent)}&force=true`, ...applied, body: absent },
          }]),
        ];
      case "delete":
        return [{ verb, call: { method: "DELETE", path: named(existing) } }];
      default:
        throw new Error(`${route.key} has the verb ${verb}: add a request for it`);
    }
  });
}

function toIdentity({ metadata: { name, namespace } }: KubeObject): object {
  return { name, ...(namespace === undefined ? {} : { namespace }) };
}

/** Removes the prefix of a sample from the name of its object. */
function withoutPrefix(sample: Sample, existing: KubeObject): string {
  const prefix = (sample.object("").metadata.name ?? "").length;
  return (existing.metadata.name ?? "").slice(prefix);
}

/** Formats the matrix as a table, with a list of the identities above it. */
export function formatMatrix(rows: readonly Row[]): string {
  const width = Math.max(...IDENTITIES.map(({ name }) => name.length)) + 1;
  const first = 22;
  const heading = `${"".padEnd(first)}${IDENTITIES.map(({ name }) => name.padStart(width)).join("")}`;
  const lines: string[] = [];
  let before = "";
  for (const { route, label, verb, codes } of rows) {
    const group = label === "" ? route : `${route} (${label})`;
    if (group !== before) lines.push("", group);
    before = group;
    lines.push(`  ${verb.padEnd(first - 2)}${codes.map((code) => toMatrixCell(code).padStart(width)).join("")}`);
  }
  const who = IDENTITIES.map(({ name, is }) => `  ${name.padEnd(width)} ${is}`).join("\n");
  return `Who may write what: the code of a dry run of each request.

Objects that are there belong to the node n1 where they can belong to one, those that are made ("create", "apply new",
"update new") to n3. Paths at the end are no resources and get no body. Roles and bindings grant everything. No body is at fault.
- is 403, ? is 401.

${who}

${heading}${lines.map((line) => `${line}\n`).join("").replace(/^/, "\n")}`;
}

/** Formats a code so that permitted writes stand out. */
function toMatrixCell(code: number): string {
  return code === 403 ? "-" : code === 401 ? "?" : `${code}`;
}

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const API_GROUP = "rbac.authorization.k8s.io";
const CSRS = { apiGroups: ["certificates.k8s.io"], resources: ["certificatesigningrequests"] };
const READS = { ...CSRS, verbs: ["get", "list", "watch"] };
const USUAL_VERBS = ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"];

/** Builds the parts of the samples that are generated or depend on the server. */
async function createParts(server: TestedServer): Promise<SampleParts> {
  const requests = new Map<string, string>();
  for (const name of [EXISTING, ABSENT]) {
    const subject = { commonName: `system:node:${name}`, organizations: ["system:nodes"] };
    requests.set(name, await buildRequest({ subject }));
  }
  return {
    request: (name) => requests.get(name) ?? "",
    stubRequest: await buildStubRequest(),
    certificate: Buffer.from(server.clientCaPem, "utf8").toString("base64"),
  };
}

/** Reads, and their codes once the server has seen everything that `prepareServer` creates. */
const FOLLOWED: readonly (readonly [name: string, path: string, code: number])[] = [
  ["sa:sgn", "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=1", 200],
  ["sa:sgn", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/tlsboot-signer", 404],
  ["boot", "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=1", 200],
  ["bootgrp", "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=1", 403],
];

/** Creates namespaces, rights and tokens, and waits until the server, which may watch them, has seen them. */
async function prepareServer(callers: Callers): Promise<void> {
  const post = (path: string, body: object) => create(callers, path, body);
  for (const name of ["team", "other"]) await post("/api/v1/namespaces", { metadata: { name } });
  const usual = [{ apiGroups: ["*"], resources: ["*"], verbs: USUAL_VERBS }];
  await post(`${RBAC}/namespaces/team/roles`, { metadata: { name: "nsadm" }, rules: usual });
  await post(`${RBAC}/namespaces/team/rolebindings`, binding("nsadm", "Role", "nsadm", user("nsadm")));
  await clusterRole(callers, "appr", [READS, subresource("approval"), signer("approve")]);
  await clusterRole(callers, "appr2", [READS, subresource("approval")]);
  await clusterRole(callers, "sign", [READS, subresource("status"), signer("sign")]);
  await clusterRole(callers, "sign2", [READS, subresource("status")]);
  const impersonated = { apiGroups: [""], resources: ["users"], resourceNames: ["nsadm"], verbs: ["impersonate"] };
  await clusterRole(callers, "imp", [impersonated]);
  const configMaps = { apiGroups: [""], resources: ["configmaps"], verbs: ["create", "update"] };
  // This user may only update, so updates must not create an object.
  const leases = { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["update"] };
  await clusterRole(callers, TOKEN_FILE_USER.username, [configMaps, leases]);
  for (const name of ["approver", "signer"]) await applyDocument(callers, `docs/rbac/${name}.yaml`);
  const bootstrappers = { apiGroup: API_GROUP, kind: "Group", name: TOKEN_GROUP };
  await post(
    `${RBAC}/clusterrolebindings`,
    binding("matrix:bootstrap", "ClusterRole", "system:node-bootstrapper", bootstrappers),
  );
  for (const { id, secret, data } of Object.values(TOKENS)) {
    await post("/api/v1/namespaces/kube-system/secrets", {
      metadata: { name: `bootstrap-token-${id}` },
      type: "bootstrap.kubernetes.io/token",
      stringData: { "token-id": id, "token-secret": secret, ...data },
    });
  }
  for (const [name, path, want] of FOLLOWED) {
    const identity = IDENTITIES.find((one) => one.name === name)!;
    await eventually(`${name} gets ${want} from ${path}`, async () => {
      const { code } = await callers.call(identity, { method: "GET", path });
      return code === want || undefined;
    });
  }
}

/** Creates the objects of a document, as an operator does. */
async function applyDocument(callers: Callers, path: string): Promise<void> {
  for (const document of parseAllDocuments(await readFile(path, "utf8"))) {
    const object = document.toJS() as KubeObject;
    const { namespace } = object.metadata;
    const root = object.kind === "ServiceAccount" ? "/api/v1" : RBAC;
    const plural = `${object.kind?.toLowerCase()}s`;
    await create(callers, `${root}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}`, object);
  }
}

/** Creates the existing object of a sample, and returns it as stored. */
async function createExisting(callers: Callers, route: Route, sample: Sample): Promise<KubeObject> {
  const collection = toCollectionRoute(route, sample.namespace);
  const { text } = await create(callers, collection, sample.object(EXISTING));
  let existing = JSON.parse(text) as KubeObject;
  return await eventually(`${existing.metadata.name} has settled`, async () => {
    if (sample.isSettled?.(existing) !== false) return existing;
    const { text } = await callers.call(MASTERS, { method: "GET", path: `${collection}/${existing.metadata.name}` });
    existing = JSON.parse(text) as KubeObject;
    return undefined;
  });
}

async function clusterRole(callers: Callers, name: string, rules: readonly object[]): Promise<void> {
  await create(callers, `${RBAC}/clusterroles`, { metadata: { name: `matrix:${name}` }, rules });
  await create(
    callers,
    `${RBAC}/clusterrolebindings`,
    binding(`matrix:${name}`, "ClusterRole", `matrix:${name}`, user(name)),
  );
}

async function create(callers: Callers, path: string, body: object): Promise<Reply> {
  const reply = await callers.call(MASTERS, { method: "POST", path, body });
  if (reply.code !== 201) throw new Error(`POST ${path}: ${reply.code} ${reply.text}`);
  return reply;
}

function subresource(name: string): object {
  return { ...CSRS, resources: [`certificatesigningrequests/${name}`], verbs: ["update", "patch"] };
}

function signer(verb: string): object {
  return {
    apiGroups: ["certificates.k8s.io"],
    resources: ["signers"],
    resourceNames: ["example.com/a"],
    verbs: [verb],
  };
}

function user(name: string): object {
  return { apiGroup: API_GROUP, kind: "User", name };
}

function binding(name: string, kind: string, role: string, subject: object): object {
  return { metadata: { name }, roleRef: { apiGroup: API_GROUP, kind, name: role }, subjects: [subject] };
}
