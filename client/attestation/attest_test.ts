import assert from "node:assert/strict";
import { test } from "node:test";
import {
  beginAttestation,
  completeAttestation,
  createSealingKey,
  type ExchangeContext,
} from "../../core/attestation/exchange.ts";
import { parseAttestationCall, toWireChallenge } from "../../core/attestation/node_attestation.ts";
import type { ExpectedProofs, ProofKind } from "../../core/attestation/proof.ts";
import { AppError, type ErrorCode } from "../../core/errors.ts";
import type { AttestationChallenge, NodeAttestation } from "../../core/kube/kinds/node_attestation.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { err, ok } from "../../core/lib/result.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { formatBootstrapToken } from "../../core/token/token_secret.ts";
import { encodeClusterInfo } from "../../core/token/cluster_info.ts";
import { sharedKey } from "../../tests/support/csr_builder.ts";
import { type FakeAnswer, type FakeApi, type FakeRequest, startFakeApi } from "../../tests/support/fake_api.ts";
import { createFakeClock, createSkippingClock } from "../../tests/support/fake_clock.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createMemoryFiles } from "../../tests/support/memory_files.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSoftwareTpm } from "../../tests/support/software_tpm.ts";
import { createSshHost } from "../../tests/support/ssh_host.ts";
import { createConnector } from "../transport/connect.ts";
import { attest, type AttestedJoin, type AttestOptions, type AttestProgress, type Prover } from "./attest.ts";

const NOW = new Date(Math.floor(Date.now() / 1000) * 1000);
const PATH = "/apis/tlsboot/v1alpha1/nodeattestations";
const CLUSTER = "https://cluster.example:6443";
const n1 = "n1" as NodeName;
const toBytes = (text: string): Bytes => new TextEncoder().encode(text);
const CERTIFICATE = toBytes("certificate");

const [host, tpm] = [await createSshHost(), await createSoftwareTpm()];

const PROVERS: Readonly<Record<ProofKind, Prover>> = {
  ssh: {
    kind: "ssh",
    evidence: () => Promise.resolve(host.evidence),
    prove: (_challenge, message) => Promise.resolve(host.sign(message)),
  },
  tpm: {
    kind: "tpm",
    evidence: () => Promise.resolve({ ...tpm.evidence, endorsementCertificate: CERTIFICATE }),
    prove(challenge, message) {
      assert.ok(challenge.kind === "tpm");
      return tpm.answer(challenge, message);
    },
  },
};

interface FakeServer {
  readonly api: FakeApi;
  expected: ExpectedProofs | undefined;
  /** Changes a challenge on its way. */
  edit: (challenge: AttestationChallenge) => Partial<AttestationChallenge>;
  cluster: NodeAttestation["status"]["cluster"];
  /** Answers before the server does; undefined lets it answer. */
  intercept: (request: FakeRequest) => FakeAnswer | "destroy" | undefined;
}

/** A server with the real exchange, which requests one PCR of the TPM. */
function serveProofs(api: FakeApi): FakeServer {
  const fake: FakeServer = {
    api,
    expected: {
      tpm: publicKeyPin({ publicKeyDer: tpm.evidence.endorsementKey }),
      ssh: [host.fingerprint],
      pcrs: new Map([[7, new Uint8Array(32).fill(7)]]),
    },
    edit: () => ({}),
    cluster: undefined,
    intercept: () => undefined,
  };
  const random = createSeededRandom(7);
  const context: ExchangeContext = {
    caHash: findPin(api.ca.caPem),
    now: NOW,
    sealingKey: createSealingKey(toBytes("secret")),
  };
  const answer = async (sent: NodeAttestation): Promise<FakeAnswer> => {
    const call = parseAttestationCall(sent);
    assert.ok(call.ok);
    if (call.value.call === "begin") {
      const begun = await beginAttestation(call.value, { ...context, pcrs: [0, 7], random });
      assert.ok(begun.ok);
      const { challenge: own, nonce, state } = begun.value;
      const challenge = toWireChallenge(own, nonce, context.caHash);
      const status = { challenge: { ...challenge, ...fake.edit(challenge) }, state: encodeBase64(state) };
      return { status: 201, body: { ...sent, status } };
    }
    const findExpected: Parameters<typeof completeAttestation>[1]["findExpected"] = (_node, { kind, endorsement }) => {
      assert.deepEqual(endorsement?.certificate, kind === "tpm" ? CERTIFICATE : undefined);
      return fake.expected === undefined ? err("not listed") : ok(fake.expected);
    };
    const done = completeAttestation(call.value, { ...context, findExpected });
    if (!done.ok) return fail(403, "Forbidden", `nodeattestations.tlsboot "n1" is forbidden: ${done.error.message}`);
    const { token, expiration } = done.value;
    const status = { token: formatBootstrapToken(token), expirationTimestamp: expiration.toISOString() };
    return { status: 201, body: { ...sent, status: { ...status, ...(fake.cluster && { cluster: fake.cluster }) } } };
  };
  api.intercept = (request) => {
    const own = fake.intercept(request);
    if (own !== undefined) return own;
    if (request.path === PATH) return answer(request.body as NodeAttestation);
    const kubeconfig = encodeClusterInfo({ server: CLUSTER, caPem: api.ca.caPem });
    return { status: 200, body: { kind: "ConfigMap", metadata: { name: "cluster-info" }, data: { kubeconfig } } };
  };
  return fake;
}

function fail(code: number, reason: string, message: string): FakeAnswer {
  const body = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason, code, message };
  return { status: code, body };
}

function findPin(caPem: string): PublicKeyPin {
  const bundle = parseCaBundle(caPem);
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  return publicKeyPin(bundle.value[0]);
}

interface Attempt {
  readonly join: Promise<AttestedJoin>;
  readonly progress: AttestProgress[];
}

async function begin({ api }: FakeServer, kind: ProofKind, more: Partial<AttestOptions> = {}): Promise<Attempt> {
  const clock = createFakeClock(NOW);
  const impatient = createSkippingClock(clock, 0, 10_000);
  const progress: AttestProgress[] = [];
  const join = attest({
    server: api.server,
    pins: [findPin(api.ca.caPem)],
    nodeName: n1,
    key: await sharedKey(),
    prover: PROVERS[kind],
    connect: createConnector({ files: createMemoryFiles(), clock, userAgent: "test" }),
    // The short pauses move the clock to the limit.
    clock: {
      ...impatient,
      async sleep(ms, signal) {
        await impatient.sleep(ms, signal);
        await clock.advance(0);
      },
    },
    onProgress: (event) => progress.push(event),
    ...more,
  }, new AbortController().signal);
  // A test that waits for something else first must not end with an unhandled rejection.
  join.catch(() => {});
  return { join, progress };
}

function failsWith(code: ErrorCode, message: string, hint: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.includes(`that this machine is "n1": ${message}`), error.message);
    assert.match(error.hint ?? "", hint);
    return true;
  };
}

for (const kind of ["tpm", "ssh"] as const) {
  test(`attest() exchanges a proof by ${kind} for a token, in two calls without credentials`, async () => {
    await using api = await startFakeApi({ now: NOW });
    const fake = serveProofs(api);
    const { join, progress } = await begin(fake, kind);
    const { server, caPem, token, expiration } = await join;
    assert.deepEqual([server, caPem], [CLUSTER, api.ca.caPem]);
    assert.match(formatBootstrapToken(token), /^[a-z0-9]{6}\.[a-z0-9]{16}$/);
    assert.deepEqual(expiration, new Date(NOW.getTime() + 600_000));
    assert.deepEqual(api.requests.slice(2), [`POST ${PATH}`, `POST ${PATH}`]);
    assert.ok(api.received.every(({ headers, clientName }) => (headers["authorization"] ?? clientName) === undefined));
    assert.deepEqual(progress, [
      { kind: "proving", server: api.server, proof: kind },
      { kind: "proven", server: CLUSTER, expiration },
    ]);
  });
}

test("attest() returns the cluster that the server names instead of itself", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  fake.cluster = { server: "https://real.example:6443", certificateAuthorityData: encodeBase64("the CA") };
  const { server, caPem } = await (await begin(fake, "ssh")).join;
  assert.deepEqual([server, caPem], ["https://real.example:6443", "the CA"]);
});

test("attest() retries while the server starts, and starts over when the connection fails between the calls", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  let posts = 0;
  const cuts = new Set([1, 4, 6]);
  fake.intercept = ({ method }) => {
    if (method === "POST") posts++;
    return cuts.delete(api.requests.length) ? "destroy" : undefined;
  };
  const { join, progress } = await begin(fake, "ssh");
  await join;
  assert.ok(posts > 2);
  assert.ok(progress.some(({ kind }) => kind === "provingDelayed"));
});

test("attest() reports a missing key before it contacts the server, even a server that does not answer", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  fake.intercept = () => "destroy";
  const missing = new AppError("io", "there is no TPM");
  const prover: Prover = { ...PROVERS.tpm, evidence: () => Promise.reject(missing) };
  await assert.rejects((await begin(fake, "tpm", { prover })).join, (error) => error === missing);
  assert.deepEqual(api.requests, []);
});

test("attest() gives up at the time limit with the reason of the last attempt", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  fake.intercept = () => "destroy";
  await assert.rejects((await begin(fake, "ssh", { waitSeconds: 20 })).join, (error) => {
    assert.ok(error instanceof AppError && error.code === "unreachable");
    return true;
  });
});

for (
  const { kind, step, message, hint } of [
    { kind: "tpm", step: "evidence", message: "its TPM does not answer", hint: /restart the machine/ },
    { kind: "tpm", step: "prove", message: "its TPM does not answer", hint: /restart the machine/ },
    { kind: "ssh", step: "prove", message: "its SSH host key does not sign in time", hint: /ssh-add -l/ },
  ] as const
) {
  test(`attest() gives up at the time limit when ${step}() of a prover with ${kind} never answers`, async () => {
    await using api = await startFakeApi({ now: NOW });
    const fake = serveProofs(api);
    const clock = createFakeClock(NOW);
    const asked = Promise.withResolvers<void>();
    const prover: Prover = {
      ...PROVERS[kind],
      [step]() {
        asked.resolve();
        return new Promise(() => {});
      },
    };
    const { join } = await begin(fake, kind, { prover, clock, waitSeconds: 20 });
    await asked.promise;
    await clock.advance(20_000);
    await assert.rejects(join, failsWith("timeout", message, hint));
  });
}

test("attest() signs nothing for a challenge with the CA of another server", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  const other = findPin((await createIssuingCa(NOW, "another")).caPem);
  fake.edit = () => ({ caCertHash: other });
  const prover: Prover = { ...PROVERS.ssh, prove: () => assert.fail("nothing may be signed") };
  const { join } = await begin(fake, "ssh", { prover });
  await assert.rejects(join, failsWith("tls_untrusted", "the challenge is of another server's CA", /address/));
});

for (const nonce of ["", "short", `${"A".repeat(43)}\nnode: n2`]) {
  test(`attest() signs no message with the challenge ${JSON.stringify(nonce)}`, async () => {
    await using api = await startFakeApi({ now: NOW });
    const fake = serveProofs(api);
    fake.edit = () => ({ nonce });
    const prover: Prover = { ...PROVERS.ssh, prove: () => assert.fail("nothing may be signed") };
    const { join } = await begin(fake, "ssh", { prover });
    await assert.rejects(join, failsWith("api_error", "the answer cannot be used", /same version/));
  });
}

test("attest() refuses a challenge for another kind of proof", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  fake.intercept = ({ path, body }) => {
    const { spec } = body as Partial<NodeAttestation> ?? {};
    if (path !== PATH) return undefined;
    const challenge = { nonce: "A".repeat(43), caCertHash: findPin(api.ca.caPem) };
    return { status: 201, body: { metadata: {}, spec, status: { challenge, state: "AAAA" } } };
  };
  const { join } = await begin(fake, "tpm");
  await assert.rejects(
    join,
    failsWith("api_error", "the answer cannot be used, because it is not a challenge", /version/),
  );
});

for (
  const { name, answer, code, message, hint } of [
    {
      name: "without the kind",
      answer: fail(404, "NotFound", "the server could not find the requested resource"),
      code: "not_found",
      message: "the server expects no proofs",
      hint: /tlsboot attest --show --hostname-override n1; or use a token/,
    },
    {
      name: "whose inventory lists no proof",
      answer: fail(403, "Forbidden", "nodeattestations is forbidden"),
      code: "access_denied",
      message: "the server expects no proofs",
      hint: /tlsboot attest --show --hostname-override n1; or use a token/,
    },
    {
      name: "that finds a fault in the call",
      answer: fail(422, "Invalid", "spec.evidence.ssh.hostKey: Invalid value: not a key"),
      code: "invalid",
      message: "spec.evidence.ssh.hostKey: Invalid value: not a key",
      hint: /same version/,
    },
  ] satisfies readonly { name: string; answer: FakeAnswer; code: ErrorCode; message: string; hint: RegExp }[]
) {
  test(`attest() explains what to do about a server ${name}`, async () => {
    await using api = await startFakeApi({ now: NOW });
    const fake = serveProofs(api);
    fake.intercept = ({ method }) => method === "POST" ? answer : undefined;
    await assert.rejects((await begin(fake, "ssh")).join, failsWith(code, message, hint));
  });
}

test("attest() reports why the proof was refused", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  fake.expected = undefined;
  const { join } = await begin(fake, "tpm");
  await assert.rejects(join, failsWith("access_denied", "the proof was not accepted: ", /attest --show/));
  assert.equal(api.requests.filter((line) => line.startsWith("POST")).length, 2);
});

test("attest() refuses a server whose CA does not have the hash, unless this machine's kubeconfig has the CA", async () => {
  await using api = await startFakeApi({ now: NOW });
  const fake = serveProofs(api);
  const pins = [findPin((await createIssuingCa(NOW, "replaced")).caPem)];
  await assert.rejects((await begin(fake, "ssh", { pins })).join, (error) => {
    assert.ok(error instanceof AppError && error.code === "tls_untrusted", String(error));
    return true;
  });
  const known = { server: "https://known.example", caPem: api.ca.caPem };
  const { join } = await begin(fake, "ssh", { pins, readKnownCluster: () => Promise.resolve(known) });
  assert.equal((await join).server, known.server);
  const foreign = { ...known, caPem: (await createIssuingCa(NOW, "foreign")).caPem };
  const refused = await begin(fake, "ssh", { pins, readKnownCluster: () => Promise.resolve(foreign) });
  await assert.rejects(refused.join, (error) => error instanceof AppError && error.code === "tls_untrusted");
});
