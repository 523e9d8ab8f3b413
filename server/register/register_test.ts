import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { CertificateSigningRequest, PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { IssuedCertificate, RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { Secret } from "../../core/lib/brand.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { encodePem, findPemBlock } from "../../core/pki/asn1/pem.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { verifyRecords } from "../../core/register/verify.ts";
import { createIssuedStatus, planPodCertificate } from "../../core/signing/pod_plan.ts";
import { buildCsr, sharedKey } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { buildShopRequest, POD_PROFILE, POD_SIGNER } from "../../tests/support/pod_profile.ts";
import { readChain } from "../../tests/support/issued_records.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { ADMIN, createTestApp, createUser, type TestApp } from "../../tests/support/test_app.ts";
import { parseProfileOrThrow } from "../../tests/support/test_profiles.ts";
import { TOKEN_SECRETS_PREFIX } from "../registry/secrets.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import { type Storage, type Write, WriteRefusedError } from "../storage/storage.ts";
import type { RegisterIndex } from "./index.ts";
import { Register, REGISTER_PREFIX } from "./register.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const RECORDS = "/apis/tlsboot/v1alpha1/issuedcertificates";
const REQUEST_RECORDS = "/apis/tlsboot/v1alpha1/requestrecords";
const ca = await createSigningCa();

const issue = (name: string, from = "2026-01-01T00:00:00Z") =>
  issueClientCertificate(ca, new Date(from), new Date("2027-01-01T00:00:00Z"), name);

function parsePem(pem: string) {
  const parsed = parseCertificate(findPemBlock(pem)!.block.bytes);
  assert.ok(parsed.ok);
  return parsed.value;
}

async function approve(app: TestApp, name: string, type = "Approved", user = createUser("alice", "system:masters")) {
  const csr = JSON.parse((await app.send("GET", `${CSRS}/${name}`)).text) as CertificateSigningRequest;
  const condition = { type, status: "True", reason: "Checked", message: "I know it" };
  const body = { ...csr, status: { conditions: [condition] } };
  return await app.send("PUT", `${CSRS}/${name}/approval`, { body, user });
}

async function sign(app: TestApp, name: string, pem: string) {
  const csr = JSON.parse((await app.send("GET", `${CSRS}/${name}`)).text) as CertificateSigningRequest;
  const certificate = Buffer.from(pem).toString("base64");
  return await app.send("PUT", `${CSRS}/${name}/status`, { body: { ...csr, status: { ...csr.status, certificate } } });
}

async function listRecords(app: TestApp): Promise<readonly IssuedCertificate[]> {
  return (JSON.parse((await app.send("GET", RECORDS)).text) as { items: IssuedCertificate[] }).items;
}

test("the certificate of a pod is recorded once, with its request", async () => {
  await using app = await createTestApp({ clientCas: () => [ca.certificate] });
  const requests = "/apis/certificates.k8s.io/v1/namespaces/default/podcertificaterequests";
  const { metadata: { name, namespace }, ...body } = await buildShopRequest({ namespace: "default" });
  const created = await app.send("POST", requests, { body: { ...body, metadata: { name, namespace } } });
  assert.equal(created.code, 201, created.text);
  const request = JSON.parse(created.text) as PodCertificateRequest;
  const now = app.clock.now();
  const plan = planPodCertificate({
    request,
    spec: parseProfileOrThrow(POD_PROFILE.replace("allowed: [web,", "allowed: [default,")),
    caNotAfter: ca.certificate.notAfter,
    signingDurationSeconds: 86_400,
    now,
  });
  assert.ok(plan.ok);
  const chain = encodePem("CERTIFICATE", await issueCertificate(plan.value.certificate, ca, Uint8Array.of(9)));
  const status = createIssuedStatus(plan.value, chain, now);
  const issued = await app.send("PUT", `${requests}/${name}/status`, { body: { ...request, status } });
  assert.equal(issued.code, 200, issued.text);
  await app.send("PUT", `${requests}/${name}/status`, { body: JSON.parse(issued.text) });
  await app.send("DELETE", `${requests}/${name}`);
  const [record, ...more] = await listRecords(app);
  assert.deepEqual(more, []);
  const { source, signerName, uris, request: origin, issuerFingerprint } = record?.spec ?? {};
  assert.deepEqual({ source, signerName, uris, origin, issuerFingerprint }, {
    source: "PodCertificateRequest",
    signerName: POD_SIGNER,
    uris: ["spiffe://example.org/ns/default/sa/shop"],
    origin: { name: `default/${name}`, uid: request.metadata.uid },
    issuerFingerprint: ca.certificate.sha256Fingerprint,
  });
});

test("Register rejects the certificates that hit an unexpected error, and records those that follow", async () => {
  await using storage = createMemoryStorage({ clock: createFakeClock() });
  using register = await Register.open({ storage, clock: createFakeClock(), random: createSeededRandom(1) });
  const certificate = parsePem(await issue("a"));
  Object.defineProperty(register.index, "head", {
    configurable: true,
    get() {
      throw new Error("a bug");
    },
  });
  await assert.rejects(register.ensureRecorded(certificate, "serving"), /^Error: a bug$/);
  Reflect.deleteProperty(register.index, "head");
  await register.ensureRecorded(certificate, "serving");
  assert.equal(register.index.size, 1);
});

test("a certificate is recorded with its request, its requester and its approval", async () => {
  await using app = await createTestApp({ clientCas: () => [ca.certificate] });
  const requester = {
    ...createUser("system:bootstrap:abcdef", "system:bootstrappers", "system:masters"),
    uid: "u1",
  };
  const headers = { "user-agent": "kubelet/v1.37.2" };
  const created = await app.send("POST", CSRS, { body: await buildCsr({ name: "one" }), user: requester, headers });
  assert.equal(created.code, 201, created.text);
  await approve(app, "one");
  const pem = await issue("system:node:n1");
  const signed = await sign(app, "one", pem);
  assert.equal(signed.code, 200, signed.text);
  assert.equal(signed.at("metadata/resourceVersion"), String(app.storage.revision()));

  const [record, ...more] = await listRecords(app);
  const leaf = parsePem(pem);
  assert.deepEqual(more, []);
  assert.equal(record?.metadata.name, "0000000001");
  assert.equal(record.spec.fingerprint, leaf.sha256Fingerprint);
  assert.equal(record.spec.issuerFingerprint, ca.certificate.sha256Fingerprint);
  assert.deepEqual(record.spec.request, { name: "one", uid: created.at("metadata/uid") });
  assert.deepEqual(record.spec.requester, {
    username: "system:bootstrap:abcdef",
    uid: "u1",
    groups: ["system:bootstrappers", "system:masters", "system:authenticated"],
    tokenID: "abcdef",
    userAgent: "kubelet/v1.37.2",
  });
  assert.deepEqual(record.spec.approval, {
    username: "alice",
    groups: ["system:masters", "system:authenticated"],
    reason: "Checked",
    message: "I know it",
    time: "2026-01-01T00:00:00Z",
  });

  // A renewal with the certificate belongs to the same token and replaces it.
  const renewer = {
    ...createUser("system:node:n1", "system:nodes", "system:masters"),
    extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${leaf.sha256Fingerprint}`] },
  };
  await app.send("POST", CSRS, { body: await buildCsr({ name: "two" }), user: renewer });
  await approve(app, "two");
  await sign(app, "two", await issue("system:node:n1", "2026-02-01T00:00:00Z"));
  const [, renewal] = await listRecords(app);
  assert.equal(renewal?.spec.requester?.tokenID, "abcdef");
  assert.equal(renewal?.spec.replaces, "0000000001");
  assert.equal((await verifyRecords(await listRecords(app), { cas: [] })).fault, undefined);
});

test("the record of a request has its address, its decision, and the end of the request", async () => {
  await using app = await createTestApp({ anonymous: false, tokenFile: tokenFile() });
  const headers = { authorization: "Bearer secret", "user-agent": "x".repeat(300) };
  const body = await buildCsr({ name: "one" });
  assert.equal((await app.send("POST", CSRS, { body, user: undefined, headers })).code, 201);
  await approve(app, "one", "Denied");
  const record = async () =>
    JSON.parse((await app.send("GET", `${REQUEST_RECORDS}/one`)).text) as Partial<RequestRecord>;
  const { spec, status } = await record();
  assert.equal(spec?.address, "192.0.2.1");
  assert.equal(spec?.userAgent, "x".repeat(256));
  assert.deepEqual(status?.decision, {
    type: "Denied",
    username: "alice",
    groups: ["system:masters", "system:authenticated"],
    time: "2026-01-01T00:00:00Z",
  });
  assert.equal((await app.send("DELETE", `${CSRS}/one`)).code, 200);
  assert.equal((await app.send("GET", `${REQUEST_RECORDS}/one`)).code, 404);
  assert.deepEqual(await listRecords(app), []);
});

test("a request and its certificate are recorded with the proof of the requester", async () => {
  await using app = await createTestApp({ clientCas: () => [ca.certificate] });
  const attested = `tpm sha256:${"0a".repeat(32)} 2026-01-01T00:00:00Z`;
  const annotations = {
    "tlsboot/attested": attested,
    "tlsboot/node": "n1",
    "tlsboot/public-key": publicKeyPin({ publicKeyDer: (await sharedKey()).publicKeyDer() }),
  };
  const token = { metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system", annotations } };
  const object = { ...token, type: "bootstrap.kubernetes.io/token" };
  const key = `${TOKEN_SECRETS_PREFIX}${token.metadata.name}`;
  await app.storage.transact([{ kind: "create", key, object }]);
  const user = createUser("system:bootstrap:abcdef", "system:masters");
  await app.send("POST", CSRS, { body: await buildCsr({ name: "one" }), user });
  const recorded = JSON.parse((await app.send("GET", `${REQUEST_RECORDS}/one`)).text) as RequestRecord;
  assert.equal(recorded.spec.attested, attested);
  // The token of a proof is valid for ten minutes, but the register keeps the proof.
  await app.storage.delete(key, (await app.storage.get(key))!.revision);
  assert.equal((await sign(app, "one", await issue("n1"))).code, 200);
  const [record] = await listRecords(app);
  assert.equal(record?.spec.requester?.attested, attested);
  assert.equal((await verifyRecords(await listRecords(app), { cas: [] })).fault, undefined);
  // A renewal with the certificate proves nothing.
  const node = createUser("system:node:n1", "system:nodes", "system:masters");
  await app.send("POST", CSRS, { body: await buildCsr({ name: "two", username: "system:node:n1" }), user: node });
  const next = JSON.parse((await app.send("GET", `${REQUEST_RECORDS}/two`)).text) as RequestRecord;
  assert.equal(next.spec.attested, undefined);
});

function tokenFile() {
  const entry = { token: new Secret("secret"), username: "jane", uid: "", groups: ["system:masters"] };
  return { entries: [entry], warnings: [] };
}

test("a request replaces the record that an earlier request of the same name has left", async () => {
  await using app = await createTestApp();
  await app.send("POST", CSRS, { body: await buildCsr({ name: "one" }) });
  await approve(app, "one");
  // A kube-apiserver on the same etcd deletes only the request.
  const stored = await app.storage.get("/registry/certificatesigningrequests/one");
  await app.storage.delete(stored!.key, stored!.revision);
  const created = await app.send("POST", CSRS, { body: await buildCsr({ name: "one" }) });
  assert.equal(created.code, 201, created.text);
  const record = await app.send("GET", `${REQUEST_RECORDS}/one`);
  assert.equal(record.at("spec/requestUID"), created.at("metadata/uid"));
  assert.deepEqual(record.at("status"), {});
  // A request that another API server has stored gets a record with its decision.
  const lost = await app.storage.get("/registry/tlsboot/requestrecords/one");
  await app.storage.delete(lost!.key, lost!.revision);
  assert.equal((await approve(app, "one")).code, 200);
  assert.equal((await app.send("GET", `${REQUEST_RECORDS}/one`)).at("status/decision/username"), "alice");
});

test("the register cannot be written through the API", async () => {
  await using app = await createTestApp();
  await app.send("POST", CSRS, { body: await buildCsr({ name: "one" }) });
  await sign(app, "one", await issue("n1"));
  const path = `${RECORDS}/0000000001`;
  const record = JSON.parse((await app.send("GET", path)).text) as IssuedCertificate;
  for (
    const [method, at] of [["POST", RECORDS], ["PUT", path], ["PATCH", path], ["DELETE", path], ["DELETE", RECORDS]]
  ) {
    assert.equal((await app.send(method!, at!, { body: record, user: ADMIN })).code, 405, method);
  }
});

test("certificates in two requests and in two servers are recorded once", async () => {
  await using app = await createTestApp();
  const pem = await issue("n1");
  for (const name of ["one", "two"]) {
    await app.send("POST", CSRS, { body: await buildCsr({ name }) });
    assert.equal((await sign(app, name, pem)).code, 200);
  }
  assert.equal((await listRecords(app)).length, 1);
});

const clock = createFakeClock();
const openRegister = (storage: Storage) => Register.open({ storage, clock, random: createSeededRandom() });
const thing = (name: string): Write => ({
  kind: "create",
  key: `/registry/things/${name}`,
  object: { metadata: { name } },
});
const description = (fingerprint: string) => ({ fingerprint, notBefore: null, notAfter: null });

test("Register records many certificates at once in a chain, and one whose own write fails does not affect the others", async () => {
  await using storage = createMemoryStorage({ clock });
  using register = await openRegister(storage);
  await storage.transact([thing("7")]);
  const names = Array.from({ length: 200 }, (_, index) => String(index));
  const outcomes = await Promise.allSettled(names.map((name) => register.record(description(name), [thing(name)])));
  assert.deepEqual(outcomes.flatMap(({ status }, index) => status === "rejected" ? [index] : []), [7]);
  const [first] = outcomes;
  assert.ok(first?.status === "fulfilled");
  assert.deepEqual(first.value.map(({ key }) => key), ["/registry/things/0"]);
  const records = await readChain(storage);
  assert.deepEqual(records.map(({ spec }) => spec.fingerprint), names.filter((name) => name !== "7"));
  const report = await verifyRecords(records, { cas: [] });
  assert.deepEqual([report.fault, report.head?.name], [undefined, "0000000199"]);
  assert.equal(register.index.head?.hash, report.head?.hash);
});

test("Register writes the same key twice in two transactions, so that only the second write fails", async () => {
  await using storage = createMemoryStorage({ clock });
  using register = await openRegister(storage);
  const outcomes = await Promise.allSettled([
    register.record(description("a"), [thing("x")]),
    register.record(description("b"), [thing("x")]),
  ]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected"]);
  assert.deepEqual((await readChain(storage)).map(({ spec }) => spec.fingerprint), ["a"]);
});

test("Register appends after the records of other servers, and keeps one chain", async () => {
  await using storage = createMemoryStorage({ clock });
  // Like etcd: one record in each transaction.
  const shared = new Proxy(storage, {
    get: (target, name) => {
      if (name === "sharesRevisions") return true;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const registers = await Promise.all([openRegister(shared), openRegister(shared), openRegister(shared)]);
  await Promise.all(
    registers.flatMap((register, server) =>
      Array.from(
        { length: 20 },
        (_, index) => register.record(description(`${server}-${index}`), [thing(`${server}-${index}`)]),
      )
    ),
  );
  await Promise.all(registers.map((register) => register.record(description("same"), [])));
  const records = await readChain(storage);
  assert.equal(records.length, 61);
  assert.equal((await verifyRecords(records, { cas: [] })).fault, undefined);
  for (const register of registers) register[Symbol.dispose]();
});

test("Register commits jobs one by one when they are too large together", async () => {
  await using storage = createMemoryStorage({ clock });
  using register = await openRegister(storage);
  const large = (name: string, bytes: number): Write => ({
    kind: "create",
    key: `/registry/things/${name}`,
    object: { metadata: { name, annotations: { x: "x".repeat(bytes) } } },
  });
  const outcomes = await Promise.allSettled([
    register.record(description("a"), [large("a", 1_000_000)]),
    register.record(description("b"), [large("b", 2_000_000)]),
    register.record(description("c"), [large("c", 1_000_000)]),
  ]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  const [, refused] = outcomes;
  assert.ok(refused?.status === "rejected" && refused.reason instanceof WriteRefusedError);
  assert.deepEqual((await readChain(storage)).map(({ spec }) => spec.fingerprint), ["a", "c"]);
});

test("Register rejects everything when the storage fails, and works again later", async () => {
  await using storage = createMemoryStorage({ clock });
  using register = await openRegister(storage);
  const { transact } = storage;
  storage.transact = () => Promise.reject(new Error("disk"));
  await assert.rejects(register.record(description("a"), [thing("a")]), /disk/);
  storage.transact = transact;
  await register.record(description("a"), [thing("a")]);
  assert.equal(register.index.head?.sequence, 1);
});

test("Register rejects the certificates of a batch that cannot be taken, and records those that follow", async () => {
  await using storage = createMemoryStorage({ clock });
  using register = await openRegister(storage);
  Object.defineProperty(storage, "sharesRevisions", {
    configurable: true,
    get() {
      throw new Error("a bug");
    },
  });
  await assert.rejects(register.record(description("a"), [thing("a")]), /^Error: a bug$/);
  Object.defineProperty(storage, "sharesRevisions", { value: false });
  await register.record(description("b"), [thing("b")]);
  assert.equal(register.index.head?.sequence, 1);
});

test("Register continues its sequence when the clock is set back", async () => {
  const jumping = createFakeClock();
  await using storage = createMemoryStorage({ clock: jumping });
  using register = await Register.open({ storage, clock: jumping, random: createSeededRandom() });
  await register.record(description("a"), []);
  jumping.set(-6 * 3_600_000);
  await register.record(description("b"), []);
  const records = await readChain(storage);
  assert.deepEqual(records.map(({ spec }) => [spec.sequence, spec.issuedAt]), [
    [1, "2026-01-01T00:00:00Z"],
    [2, "2025-12-31T18:00:00Z"],
  ]);
  assert.equal((await verifyRecords(records, { cas: [] })).fault, undefined);
});

test("Register lets a certificate without a subject replace one with the same names, and none without names", async () => {
  await using storage = createMemoryStorage({ clock });
  using register = await openRegister(storage);
  const at = { notBefore: "2026-01-01T00:00:00Z", notAfter: "2026-01-02T00:00:00Z" };
  const pods = [{ uris: ["spiffe://a"] }, { uris: ["spiffe://b"] }, { uris: ["spiffe://a"] }, {}, {}];
  for (const [index, names] of pods.entries()) {
    await register.record({ ...at, fingerprint: String(index), signerName: "example.com/pods", ...names }, []);
  }
  const replaces = (await readChain(storage)).map(({ spec }) => spec.replaces);
  assert.deepEqual(replaces, [undefined, undefined, "0000000001", undefined, undefined]);
});

test("Register.ensureRecorded() records a certificate once, also after a restart", async () => {
  await using storage = createMemoryStorage({ clock });
  const leaf = parsePem(await issue("kubernetes-admin"));
  for (const _ of ["first", "second"]) {
    using register = await openRegister(storage);
    await register.ensureRecorded(ca.certificate, "ca");
    await register.ensureRecorded(leaf, "kubeconfig");
  }
  const records = await readChain(storage);
  assert.deepEqual(
    records.map(({ spec }) => [spec.source, spec.isCA, spec.issuerFingerprint === ca.certificate.sha256Fingerprint]),
    [["ca", true, true], ["kubeconfig", undefined, true]],
  );
});

test("Register finds the newest certificate of a user whatever else is in its subject, and lists those of unknown users", async () => {
  await using storage = createMemoryStorage({ clock });
  using register = await openRegister(storage);
  const signerName = "kubernetes.io/kube-apiserver-client-kubelet";
  const n1 = { username: "system:node:n1", groups: ["system:nodes"] };
  const subjects = [
    "CN=system:node:n1,O=system:nodes",
    "CN=system:node:n1,C=,O=system:nodes,OU=ok",
    "CN=system:node:n2,O=system:nodes",
    "CN=system:node:n1,O=system:masters",
    "CN=system:node:n1",
    "CN=a,CN=b",
  ];
  for (const [index, subject] of subjects.entries()) {
    const notBefore = `2026-01-0${index + 1}T00:00:00Z`;
    const position = { signerName, subject, notBefore, notAfter: "2027-01-01T00:00:00Z" };
    await register.record({ fingerprint: `f${index}`, ...position }, []);
  }
  const check = (index: RegisterIndex) => {
    assert.equal(index.findNewest({ signerName }, n1)?.sequence, 2);
    assert.equal(index.findNewest({ signerName }, { ...n1, groups: [] })?.sequence, 5);
    assert.equal(index.findNewest({ signerName: "example.com/x" }, n1), undefined);
    assert.deepEqual([...index.listUnidentified()].map(({ sequence, isRevoked }) => [sequence, isRevoked]), [[
      6,
      false,
    ]]);
  };
  check(register.index);
  const records = await readChain(storage);
  assert.equal(records[1]?.spec.replaces, "0000000001");
  using again = await openRegister(storage);
  check(again.index);
  // The user in the status overrides the subject.
  const status = { identifies: { username: "system:node:n3", groups: ["system:nodes"] } };
  const last = await storage.get(`${REGISTER_PREFIX}0000000006`);
  assert.ok(last);
  await storage.update(last.key, { ...last.object, status: { revocation: { name: "r" } } } as never, last.revision);
  assert.deepEqual([...register.index.listUnidentified()].map(({ isRevoked }) => isRevoked), [true]);
  await register.record({ fingerprint: "f7", signerName, notBefore: null, notAfter: null, ...status }, []);
  assert.equal(register.index.findNewest({ signerName }, { ...n1, username: "system:node:n3" })?.sequence, 7);
  await storage.delete(last.key, (await storage.get(last.key))!.revision);
  assert.deepEqual([...register.index.listUnidentified()], []);
});
