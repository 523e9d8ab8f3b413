/** The content of a server before the matrix is tested: rights, tokens, and an object of each resource. */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { eventually } from "../eventually.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { buildRequest } from "../csr_builder.ts";
import { buildStubRequest } from "../pod_request_builder.ts";
import type { Callers, JudgedServer, Reply } from "./callers.ts";
import { IDENTITIES, MASTERS, TOKEN_FILE_USER, TOKEN_GROUP, TOKENS } from "./identities.ts";
import { FRESH, HELD, type Place, type SampleParts } from "./samples.ts";
import { type Route, toCollectionRoute } from "./routes.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const API_GROUP = "rbac.authorization.k8s.io";
const CSRS = { apiGroups: ["certificates.k8s.io"], resources: ["certificatesigningrequests"] };
const READS = { ...CSRS, verbs: ["get", "list", "watch"] };
const USUAL_VERBS = ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"];

/** Builds the parts of the samples that depend on this server. */
export async function createParts(server: JudgedServer): Promise<SampleParts> {
  const requests = new Map<string, string>();
  for (const name of [HELD, FRESH]) {
    const subject = { commonName: `system:node:${name}`, organizations: ["system:nodes"] };
    requests.set(name, await buildRequest({ subject }));
  }
  return {
    request: (name) => requests.get(name) ?? "",
    stubRequest: await buildStubRequest(),
    certificate: Buffer.from(server.clientCaPem, "utf8").toString("base64"),
  };
}

/** The codes of reads once a server follows the last object of each kind that `createWorld` creates. */
const FOLLOWED: readonly (readonly [name: string, path: string, code: number])[] = [
  ["sa:sgn", "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=1", 200],
  ["sa:sgn", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/tlsboot-signer", 404],
  ["boot", "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=1", 200],
  ["bootgrp", "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=1", 403],
];

/** Creates namespaces, rights and tokens, and waits until the server follows them: a real one reads them by watches. */
export async function createWorld(callers: Callers): Promise<void> {
  const post = (path: string, body: object) => made(callers, path, body);
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
  // A user who may only update creates no object by it.
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

/** Applies the rights that our own documents grant, as an operator does. */
async function applyDocument(callers: Callers, path: string): Promise<void> {
  for (const document of parseAllDocuments(await readFile(path, "utf8"))) {
    const object = document.toJS() as KubeObject;
    const { namespace } = object.metadata;
    const root = object.kind === "ServiceAccount" ? "/api/v1" : RBAC;
    const plural = `${object.kind?.toLowerCase()}s`;
    await made(callers, `${root}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}`, object);
  }
}

/** Creates the existing object of a place, and returns the stored one. */
export async function createHeld(callers: Callers, route: Route, place: Place): Promise<KubeObject> {
  const collection = toCollectionRoute(route, place.namespace);
  const { text } = await made(callers, collection, place.object(HELD));
  let held = JSON.parse(text) as KubeObject;
  return await eventually(`${held.metadata.name} has settled`, async () => {
    if (place.isSettled?.(held) !== false) return held;
    const { text } = await callers.call(MASTERS, { method: "GET", path: `${collection}/${held.metadata.name}` });
    held = JSON.parse(text) as KubeObject;
    return undefined;
  });
}

async function clusterRole(callers: Callers, name: string, rules: readonly object[]): Promise<void> {
  await made(callers, `${RBAC}/clusterroles`, { metadata: { name: `matrix:${name}` }, rules });
  await made(
    callers,
    `${RBAC}/clusterrolebindings`,
    binding(`matrix:${name}`, "ClusterRole", `matrix:${name}`, user(name)),
  );
}

async function made(callers: Callers, path: string, body: object): Promise<Reply> {
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
