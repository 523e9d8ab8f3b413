/** With the same policy and requests, the audit log equals kube-apiserver's except for ids and times. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { type ApiClient, createApiClient } from "../../support/interop/api_client.ts";
import { createBlanker } from "../comparison/blank.ts";
import { startControlPlane } from "../../support/interop/control_plane.ts";
import type { Kubectl } from "../../support/interop/kubectl.ts";
import { startInstance } from "../../support/interop/instance.ts";
import { createTempFolder } from "../../support/temp.ts";

const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [Panic]
rules:
- level: None
  nonResourceURLs: [/healthz*]
- level: Metadata
  resources: [{group: "", resources: [secrets]}, {group: authentication.k8s.io, resources: [tokenreviews]}]
  omitStages: [RequestReceived]
- level: Request
  verbs: [delete, deletecollection]
  userGroups: [tokengroup]
- level: RequestResponse
  resources: [{group: "", resources: ["configmaps"], resourceNames: []}]
  omitManagedFields: true
- level: RequestResponse
`;
const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const AGENT = "tlsboot-interop";

/** Sends a request for each form of audit event. */
async function sendRequests(send: ApiClient): Promise<void> {
  const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { x: "1" } };
  const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  z: '3'\n";
  await send("POST", CONFIG_MAPS, { body: config });
  await send("POST", CONFIG_MAPS, { body: config });
  const { text } = await send("GET", `${CONFIG_MAPS}/a`);
  await send("PUT", `${CONFIG_MAPS}/a`, { body: { ...JSON.parse(text), data: { x: "2" } } });
  await send("GET", `${CONFIG_MAPS}/missing`);
  const table = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
  await send("GET", `${CONFIG_MAPS}?labelSelector=no%3Dbody&limit=5`, { headers: table });
  const merge = { "content-type": "application/merge-patch+json" };
  await send("PATCH", `${CONFIG_MAPS}/a`, { headers: merge, body: { data: { y: "2" } } });
  const apply = { "content-type": "application/apply-patch+yaml" };
  await send("PATCH", `${CONFIG_MAPS}/a?fieldManager=me&force=true`, { headers: apply, body: yaml });
  await send("GET", `${CONFIG_MAPS}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dnobody`);
  await send("POST", CONFIG_MAPS, { body: "{bad" });
  const options = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Background" };
  await send("DELETE", `${CONFIG_MAPS}/a`, { body: options });
  await send("DELETE", `${CONFIG_MAPS}?labelSelector=no%3Dbody`);
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { password: "hidden-word" } };
  await send("POST", "/api/v1/namespaces/default/secrets", { body: secret });
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: "hidden-word" } };
  await send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { body: review });
  const question = { user: "jane", nonResourceAttributes: { path: "/healthz", verb: "get" } };
  const access = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec: question };
  await send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", { body: access });
  await send("GET", CSRS);
  await send("GET", "/healthz", { isAnonymous: true });
  await send("GET", "/version", { isAnonymous: true });
  await send("GET", CONFIG_MAPS, { isAnonymous: true });
  await send("GET", CONFIG_MAPS, { headers: { authorization: "Bearer wrong" } });
  const claimed = { "x-forwarded-for": "10.0.0.1, 10.0.0.2", "x-real-ip": "10.9.9.9" };
  await send("GET", CONFIG_MAPS, { headers: { "impersonate-user": "jane", "impersonate-group": "dev", ...claimed } });
  await send("GET", "/nothing", { headers: { "user-agent": `${AGENT} ${"x".repeat(2000)}` } });
  await send("GET", "/api/v1/nothing");
  // Once the log has the event of this last request, it has all earlier ones too.
  await send("GET", "/metrics?last");
}

interface AuditedServer {
  readonly server: string;
  readonly caPath: string;
  readonly kubectl: Kubectl;
  readonly log: string;
}

async function record({ server, caPath, kubectl, log }: AuditedServer, startedAt: Date): Promise<readonly unknown[]> {
  await kubectl.run("create", "clusterrolebinding", "audited", "--clusterrole=cluster-admin", "--group=tokengroup");
  const send = await createApiClient({ server, caPath }, "user-token");
  // The binding takes effect a moment later.
  await eventually("the permissions of the user", async () => {
    const { code } = await send("GET", CONFIG_MAPS, { headers: { "user-agent": "waiting" } });
    return code === 200 ? true : undefined;
  });
  await sendRequests(send);
  // The last line may be half written.
  const read = async () => (await readFile(log, "utf8")).split("\n").slice(0, -1).map((line) => JSON.parse(line));
  await eventually("the last event", async () => {
    const last = (await read()).findLast(({ requestURI }) => requestURI === "/metrics?last");
    return last?.stage === "ResponseComplete" ? true : undefined;
  });
  const port = Number(new URL(server).port);
  const blanker = createBlanker({ literal: POLICY, port, startedAt, now: () => new Date() });
  const events = (await read()).filter(({ userAgent }) => String(userAgent).startsWith(AGENT));
  return events.map((event) => blanker.blank(toComparable(event)));
}

/** An event of the audit log, with the fields that differ between any two servers. */
interface AuditEvent {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly objectRef?: { readonly resourceVersion?: string };
}

/**
 * Blanks resource versions, which differ between stores, and removes the latencies that kube-apiserver adds to slow
 * requests.
 */
function toComparable({ annotations = {}, objectRef, ...event }: AuditEvent): object {
  const kept = Object.entries(annotations).filter(([name]) => !name.startsWith("apiserver.latency.k8s.io/"));
  const isCounted = /^[1-9]\d*$/.test(objectRef?.resourceVersion ?? "");
  return {
    ...event,
    ...(kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) }),
    ...(objectRef === undefined
      ? {}
      : { objectRef: { ...objectRef, ...(isCounted ? { resourceVersion: "<rv>" } : {}) } }),
  };
}

function toOutline(event: unknown): string {
  const { stage, verb, requestURI, responseStatus } = event as Readonly<Record<string, { readonly code?: number }>>;
  return `${stage} ${verb} ${requestURI} ${responseStatus?.code ?? ""}`;
}

test("the audit log equals kube-apiserver's for the same policy and the same requests", async () => {
  await using folder = await createTempFolder();
  const policy = folder.join("policy.yaml");
  await writeFile(policy, POLICY);
  const flags = (name: string) => [`--audit-policy-file=${policy}`, `--audit-log-path=${folder.join(name)}`];
  const startedAt = new Date();

  const theirs = await (async () => {
    await using plane = await startControlPlane({
      controllers: false,
      apiserverFlags: () => Promise.resolve(flags("theirs.log")),
    });
    return await record({ ...plane, log: folder.join("theirs.log") }, startedAt);
  })();
  await using instance = await startInstance({
    args: flags("ours.log"),
    tokens: ['user-token,tokenuser,4,"tokengroup"'],
  });
  const ours = await record({ ...instance, log: folder.join("ours.log") }, startedAt);

  assert.ok(!JSON.stringify(ours).includes("hidden-word"));
  assert.deepEqual(ours.map(toOutline), theirs.map(toOutline));
  for (const [index, event] of theirs.entries()) assert.deepEqual(ours[index], event);
});
