import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeClusterInfo, signDetached } from "../core/token/cluster_info.ts";
import { Secret } from "../core/lib/brand.ts";
import { AppError, type ErrorCode } from "../core/errors.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import { publicKeyPin } from "../core/pki/keys/key_names.ts";
import { type FakeAnswer, type FakeApi, startFakeApi } from "../tests/support/fake_api.ts";
import { createFakeClock, createSkippingClock, until } from "../tests/support/fake_clock.ts";
import { createIssuingCa, type IssuingCa } from "../tests/support/issuing_ca.ts";
import { createMemoryFiles } from "../tests/support/memory_files.ts";
import { createConnector } from "./transport/connect.ts";
import { discoverCluster, type DiscoveryProgress } from "./discover_cluster.ts";

const NOW = new Date(Math.floor(Date.now() / 1000) * 1000);
const TOKEN = { id: "abcdef", secret: new Secret("0123456789abcdef") };
const PATH = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const LOAD_BALANCER = "https://lb.example:443";

interface Discovery {
  readonly found: Promise<ResolvedCluster>;
  readonly progress: DiscoveryProgress[];
  /** The pauses between tries, in milliseconds. */
  readonly pauses: number[];
}

function discover(api: FakeApi, pinned: IssuingCa = api.ca): Discovery {
  const clock = createFakeClock(NOW);
  const impatient = createSkippingClock(clock, 0, 10_000);
  const progress: DiscoveryProgress[] = [];
  const pauses: number[] = [];
  // The short pauses move the clock to the limit of five minutes.
  const moved = {
    ...impatient,
    async sleep(ms: number, signal: AbortSignal) {
      if (ms <= 10_000) pauses.push(ms);
      await impatient.sleep(ms, signal);
      await clock.advance(0);
    },
  };
  const connect = createConnector({ files: createMemoryFiles(), clock, userAgent: "test" });
  const bundle = parseCaBundle(pinned.caPem);
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  const found = discoverCluster({
    server: api.server,
    token: TOKEN,
    pins: [publicKeyPin(bundle.value[0])],
    connect,
    clock: moved,
    onProgress: (event) => progress.push(event),
  }, new AbortController().signal);
  return { found, progress, pauses };
}

function clusterInfo(caPem: string, secret = TOKEN.secret): FakeAnswer {
  const kubeconfig = encodeClusterInfo({ server: LOAD_BALANCER, caPem });
  const data = { kubeconfig, "jws-kubeconfig-abcdef": signDetached(kubeconfig, "abcdef", secret) };
  return { status: 200, body: { kind: "ConfigMap", metadata: { name: "cluster-info" }, data } };
}

function unsigned(): FakeAnswer {
  return { status: 200, body: { kind: "ConfigMap", metadata: { name: "cluster-info" }, data: { kubeconfig: "x" } } };
}

function failsWith(code: ErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(error.hint);
    return true;
  };
}

test("discoverCluster() reads cluster-info twice, without the token, and trusts the second answer", async () => {
  await using api = await startFakeApi({ now: NOW });
  api.intercept = () => clusterInfo(api.ca.caPem);
  const { found, progress } = discover(api);
  const cluster = await found;
  assert.equal(cluster.server, LOAD_BALANCER);
  assert.deepEqual(cluster.ca, { kind: "pem", pem: api.ca.caPem });
  assert.equal(cluster.insecureSkipTlsVerify, false);
  assert.equal(cluster.token?.reveal(), "abcdef.0123456789abcdef");
  assert.deepEqual(api.requests, [`GET ${PATH}`, `GET ${PATH}`]);
  assert.ok(api.received.every(({ headers }) => headers["authorization"] === undefined));
  assert.deepEqual(progress, [{ kind: "discovering", server: api.server }, {
    kind: "discovered",
    server: LOAD_BALANCER,
  }]);
});

test("discoverCluster() waits for a server that starts and for the signature, and reports each reason once", async () => {
  await using api = await startFakeApi({ now: NOW });
  const answers: (FakeAnswer | "destroy")[] = [
    "destroy",
    { status: 404, body: { kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: "not found" } },
    unsigned(),
    unsigned(),
  ];
  api.intercept = () => answers.shift() ?? clusterInfo(api.ca.caPem);
  const { found, progress, pauses } = discover(api);
  await found;
  assert.deepEqual(pauses, [250, 500, 1000, 2000]);
  const reasons = progress.flatMap((event) => event.kind === "discoveryDelayed" ? [event.reason] : []);
  assert.equal(reasons.length, 3, reasons.join("\n"));
  assert.match(
    reasons[2] ?? "",
    /no signature for token "abcdef", so the token is wrong, .* or was made a moment ago$/,
  );
});

test("discoverCluster() gives up after five minutes with the reason of the last attempt", async () => {
  await using api = await startFakeApi({ now: NOW });
  api.intercept = unsigned;
  const { found, pauses } = discover(api);
  await assert.rejects(found, failsWith("token_invalid", /has no signature for token "abcdef", so the token is wrong/));
  assert.equal(Math.max(...pauses), 5_000);
  await until(() => api.requests.length === 64 || api.requests.length === 65);
});

test("discoverCluster() refuses another token's secret at once", async () => {
  await using api = await startFakeApi({ now: NOW });
  api.intercept = () => clusterInfo(api.ca.caPem, new Secret("fedcba9876543210"));
  await assert.rejects(discover(api).found, failsWith("token_invalid", /not made with the token's secret/));
  assert.equal(api.requests.length, 1);
});

test("discoverCluster() refuses a CA without the hash", async () => {
  await using api = await startFakeApi({ now: NOW });
  api.intercept = () => clusterInfo(api.ca.caPem);
  const attempt = discover(api, await createIssuingCa(NOW, "another")).found;
  await assert.rejects(attempt, failsWith("tls_untrusted", /has the hash sha256:[0-9a-f]{64}, which was not given/));
  assert.equal(api.requests.length, 1);
});

test("discoverCluster() refuses a server whose certificate is not from the pinned CA", async () => {
  await using api = await startFakeApi({ now: NOW });
  const pinned = await createIssuingCa(NOW, "pinned");
  api.intercept = () => clusterInfo(pinned.caPem);
  await assert.rejects(discover(api, pinned).found, failsWith("tls_untrusted", /unknown authority/));
});

test("discoverCluster() accepts no server of another CA in the same bundle", async () => {
  await using api = await startFakeApi({ now: NOW });
  const pinned = await createIssuingCa(NOW, "pinned");
  api.intercept = () => clusterInfo(pinned.caPem + api.ca.caPem);
  await assert.rejects(discover(api, pinned).found, failsWith("tls_untrusted", /unknown authority/));
});

test("discoverCluster() refuses a cluster-info that changes between the two reads", async () => {
  await using api = await startFakeApi({ now: NOW });
  const other = await createIssuingCa(NOW, "other");
  const answers = [clusterInfo(api.ca.caPem), clusterInfo(api.ca.caPem + other.caPem)];
  api.intercept = () => answers.shift();
  await assert.rejects(discover(api).found, failsWith("tls_untrusted", /different over verified TLS/));
});
