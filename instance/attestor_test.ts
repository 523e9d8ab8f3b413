import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { test } from "node:test";
import { attest, type Prover } from "../client/attestation/attest.ts";
import { createConnector } from "../client/transport/connect.ts";
import { parseInventory } from "../core/approval/evidence/inventory.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { SecretObject } from "../core/kube/kinds/core_v1.ts";
import type { NodeName } from "../core/machine/node_name.ts";
import { publicKeyPin } from "../core/pki/keys/key_names.ts";
import { readTokenLimits } from "../core/token/bound_token.ts";
import { encodeClusterInfo } from "../core/token/cluster_info.ts";
import { listTokenFacts } from "../core/token/token_secret.ts";
import type { Transport, TransportRequest } from "../core/ports.ts";
import { createMetricsRegistry } from "../server/mod.ts";
import { createSystemClock } from "../cli/system.ts";
import { eventually } from "../tests/support/eventually.ts";
import { sharedKey } from "../tests/support/csr_builder.ts";
import { createInstanceDeps } from "../tests/support/instance_deps.ts";
import { createIssuingCa } from "../tests/support/issuing_ca.ts";
import { ADMIN, createTestApp, type TestApp } from "../tests/support/test_app.ts";
import { createFakeClock, settle, until } from "../tests/support/fake_clock.ts";
import { createSshHost } from "../tests/support/ssh_host.ts";
import { startAttestor } from "./attestor.ts";

const CLUSTER = "https://cluster.example:6443";
const SECRET = "/api/v1/namespaces/kube-system/secrets/tlsboot-attestor";
const CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps";
const BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const NODE_CLIENT = "system:certificates.k8s.io:certificatesigningrequests:nodeclient";
const signal = new AbortController().signal;

const host = await createSshHost();
const parsed = parseInventory(
  `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [{ name: n1, ssh: "${host.fingerprint}" }]\n`,
);
assert.ok(parsed.ok);
const inventory = { current: () => parsed.value, refresh: () => Promise.resolve() };
const prover: Prover = {
  kind: "ssh",
  evidence: () => Promise.resolve(host.evidence),
  prove: (_challenge, message) => Promise.resolve(host.sign(message)),
};

/** A cluster in memory. Its clock is close to real time, which TLS uses to check certificates. */
function createCluster(): Promise<TestApp> {
  return createTestApp({ clock: createFakeClock(new Date()) });
}

/** Starts an attestor for a cluster; the test can intercept its requests with `send`. */
async function start(app: TestApp, edit: (request: TransportRequest) => Promise<void> | void = () => {}) {
  const transport = app.api.transportFor(ADMIN, "test");
  const send: Transport["send"] = async (request, signal) => {
    await edit(request);
    return await transport.send(request, signal);
  };
  const { caPem } = await createIssuingCa(new Date());
  return await startAttestor(
    { bindAddress: "127.0.0.1", securePort: 0, tlsSan: [] },
    {
      transport: { send },
      readKubeconfig: () =>
        Promise.resolve({ server: CLUSTER, insecureSkipTlsVerify: false, ca: { kind: "pem", pem: caPem } }),
      inventory,
      registry: createMetricsRegistry(),
    },
    createInstanceDeps("/", { clock: app.clock, logger: app.logger }),
    signal,
  );
}

type Started = Awaited<ReturnType<typeof start>>;

/** Proves the identity of a node; a second attestor, if given, gets the second call. */
async function prove(attestor: Started, { node = "n1", second = attestor }: { node?: string; second?: Started } = {}) {
  const { files } = createInstanceDeps("/");
  const clock = createSystemClock();
  const connect = createConnector({ files, clock, userAgent: "test" });
  let posts = 0;
  return await attest({
    server: attestor.url,
    pins: [attestor.caHash],
    nodeName: node as NodeName,
    key: await sharedKey(),
    prover,
    clock,
    async connect(cluster) {
      const first = await connect(cluster);
      const other = await connect({ ...cluster, server: second.url });
      return {
        ...first,
        send: (request, signal) => (request.method === "POST" && posts++ > 0 ? other : first).send(request, signal),
        async [Symbol.asyncDispose]() {
          await first[Symbol.asyncDispose]();
          await other[Symbol.asyncDispose]();
        },
      };
    },
  }, signal);
}

/** Lets a group obtain the client certificate of any node. */
async function bind(app: TestApp, group: string): Promise<void> {
  const body = {
    metadata: { name: "auto-approve" },
    subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: group }],
    roleRef: { kind: "ClusterRole", apiGroup: "rbac.authorization.k8s.io", name: NODE_CLIENT },
  };
  assert.equal((await app.send("POST", BINDINGS, { body })).code, 201);
}

async function publish(app: TestApp, caPem: string, method: "POST" | "PUT"): Promise<void> {
  const path = method === "POST" ? CLUSTER_INFO : `${CLUSTER_INFO}/cluster-info`;
  const data = { kubeconfig: encodeClusterInfo({ server: "https://published.example:6443", caPem }) };
  const { code, text } = await app.send(method, path, { body: { metadata: { name: "cluster-info" }, data } });
  assert.ok(code < 300, text);
}

async function listTokens(app: TestApp): Promise<readonly SecretObject[]> {
  const { items } = await app.storage.list("/registry/secrets/kube-system/bootstrap-token-");
  return items.map(({ object }) => object as SecretObject);
}

test("startAttestor() gives a proven machine a cluster token for its node and key, in a separate group", async () => {
  await using app = await createCluster();
  const sent: string[] = [];
  await using attestor = await start(app, ({ body }) => void sent.push(JSON.stringify(body ?? null)));
  const join = await prove(attestor);
  assert.equal(join.server, CLUSTER);
  const [secret, ...more] = await listTokens(app);
  assert.ok(secret);
  assert.deepEqual(more, []);
  const facts = listTokenFacts(secret);
  assert.equal(facts?.id, join.token.id);
  assert.equal(facts?.token?.secret.reveal(), join.token.secret.reveal());
  assert.deepEqual(facts?.groups, ["system:bootstrappers:attested"]);
  assert.deepEqual(facts?.usages, ["authentication"]);
  const limits = readTokenLimits(secret);
  assert.deepEqual(limits.ok && limits.value, {
    networks: [],
    isApproval: true,
    node: "n1",
    maxKeys: 1,
    publicKey: publicKeyPin({ publicKeyDer: (await sharedKey()).publicKeyDer() }),
  });
  // A tlsboot server accepts the record of a proof from no client.
  const record = sent.map((body) => /"tlsboot\/attested":"(ssh SHA256:\S+) [^"]+"/.exec(body)?.[1]);
  assert.deepEqual(record.filter((one) => one !== undefined), [`ssh ${host.fingerprint}`]);
  const texts = JSON.stringify(app.logger.entries);
  assert.ok(!texts.includes(join.token.secret.reveal()));
});

test("startAttestor() refuses a machine that is not listed, and reports it in the cluster", async () => {
  await using app = await createCluster();
  await using attestor = await start(app);
  await assert.rejects(prove(attestor, { node: "n2" }), /the proof was not accepted/);
  assert.deepEqual(await listTokens(app), []);
  await app.clock.advance(1_000);
  const events = await eventually("the Event", async () => {
    const listed = await app.send("GET", "/api/v1/namespaces/default/events");
    return listed.names().length > 0 ? listed : undefined;
  });
  assert.equal(events.at("items/0/reason"), "NodeAttestationRefused");
  assert.match(String(events.at("items/0/message")), /to prove to be node "n2" was refused/);
});

test("startAttestor() shares one Secret with its replicas, which accept each other's challenges", async () => {
  await using app = await createCluster();
  // Neither finds a Secret, and both try to create it.
  const both = Promise.withResolvers<void>();
  let readers = 0;
  const meet = async ({ method, path }: TransportRequest): Promise<void> => {
    if (method !== "GET" || path !== SECRET || readers >= 2) return;
    readers += 1;
    if (readers === 2) both.resolve();
    await both.promise;
  };
  const [first, second] = await Promise.all([start(app, meet), start(app, meet)]);
  await using _first = first;
  await using _second = second;
  assert.equal(first.caHash, second.caHash);
  await prove(first, { second });
  assert.equal((await listTokens(app)).length, 1);
});

for (const group of ["system:bootstrappers", "system:bootstrappers:attested", "system:authenticated"]) {
  test(`startAttestor() refuses a cluster that approves any node for ${group}`, async () => {
    await using app = await createCluster();
    await bind(app, group);
    await assert.rejects(
      start(app),
      (error) =>
        isAppError(error, "access_denied") && /would approve .*ClusterRoleBinding "auto-approve"/.test(error.message),
    );
    assert.equal((await app.send("GET", SECRET)).code, 404);
  });
}

test("startAttestor() accepts a cluster that approves any node only for kubeadm's tokens", async () => {
  await using app = await createCluster();
  await bind(app, "system:bootstrappers:kubeadm:default-node-token");
  await using attestor = await start(app);
  assert.equal(attestor.lost.aborted, false);
});

test("startAttestor() ends within a minute when the tokens would be approved for any node", async () => {
  await using app = await createCluster();
  await using attestor = await start(app);
  await bind(app, "system:bootstrappers");
  await app.clock.advance(65_000);
  await until(() => attestor.lost.aborted);
  assert.ok(isAppError(attestor.lost.reason, "access_denied"));
});

test("startAttestor() publishes the cluster of cluster-info, and follows its CA", async () => {
  await using app = await createCluster();
  const [before, after] = [await createIssuingCa(new Date()), await createIssuingCa(new Date())];
  await publish(app, before.caPem, "POST");
  let reads = 0;
  await using attestor = await start(app, ({ path }) => void (reads += path.endsWith("/cluster-info") ? 1 : 0));
  assert.equal(attestor.cluster, "https://published.example:6443");
  assert.equal((await prove(attestor)).caPem, before.caPem);
  await publish(app, after.caPem, "PUT");
  await app.clock.advance(65_000);
  await until(() => reads === 2);
  await settle();
  assert.equal((await prove(attestor)).caPem, after.caPem);
});

test("startAttestor() renews its serving certificate", async () => {
  await using app = await createCluster();
  await using attestor = await start(app);
  const readSerial = async (): Promise<string> => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: Number(new URL(attestor.url).port),
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const first = await readSerial();
  await app.clock.advance(65_000);
  assert.equal(await readSerial(), first);
  app.clock.set(300 * 86_400_000);
  await app.clock.advance(10_000);
  await eventually("another certificate", async () => await readSerial() !== first || undefined);
});

test("startAttestor() waits for a cluster that does not answer", async () => {
  await using app = await createCluster();
  let failures = 0;
  const starting = start(app, () => {
    if (failures++ === 0) throw new AppError("unreachable", "connection refused", { retryable: true });
  });
  await until(() => app.clock.sleepers > 0);
  await app.clock.advance(1_000);
  await using attestor = await starting;
  assert.equal(attestor.cluster, CLUSTER);
});

test("startAttestor() refuses a Secret without its keys, and names the faulty one", async () => {
  await using app = await createCluster();
  await (await start(app))[Symbol.asyncDispose]();
  const secret = JSON.parse((await app.send("GET", SECRET)).text) as SecretObject;
  for (const key of ["ca.crt", "ca.key", "sealing.key"]) {
    const body = { ...secret, metadata: { name: "tlsboot-attestor" }, data: { ...secret.data, [key]: "AAAA" } };
    assert.equal((await app.send("PUT", SECRET, { body })).code, 200);
    await assert.rejects(
      start(app),
      (error) => isAppError(error, "key_invalid") && error.message.includes(` ${key} `),
    );
  }
});

test("startAttestor() lets a machine try again when the cluster does not accept its token", async () => {
  await using app = await createCluster();
  let isFull = false;
  await using attestor = await start(app, ({ method }) => {
    if (!isFull || method !== "POST") return;
    isFull = false;
    throw new AppError("access_denied", "secrets is forbidden: exceeded quota");
  });
  isFull = true;
  assert.equal((await prove(attestor)).server, CLUSTER);
  assert.equal(isFull, false);
  assert.equal(app.logger.entries.filter(({ level }) => level === "error").length, 1);
});
