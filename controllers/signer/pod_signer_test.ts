import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { toObjectKey } from "../../core/kube/meta.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import type { ObjectChange } from "../../core/ports.ts";
import { createFakeClock, until } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { buildShopRequest, POD_PROFILE, POD_SIGNER, type ShopRequestOptions } from "../../tests/support/pod_profile.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createIntermediateCa, createSigningCa } from "../../tests/support/signing_ca.ts";
import { parseProfileOrThrow } from "../../tests/support/test_profiles.ts";
import { runController } from "../engine/loop.ts";
import { createPodSigner, type PodSignerDeps } from "./pod_signer.ts";

const NEVER = new AbortController().signal;
const root = createSigningCa();

async function run(options: ShopRequestOptions = {}, edit: Partial<PodSignerDeps> = {}) {
  const store = createMemoryObjectStore<PodCertificateRequest>({ objects: [await buildShopRequest(options)] });
  const ca = await root;
  const logger = createMemoryLogger();
  const deps: PodSignerDeps = {
    store,
    profiles: new Map([[POD_SIGNER, { currentSpec: () => Promise.resolve(parseProfileOrThrow(POD_PROFILE)) }]]),
    authorities: () => Promise.resolve(ca),
    isTrustedForClients: () => Promise.resolve(false),
    signingDurationSeconds: 365 * 86_400,
    clock: createFakeClock("2026-03-04T05:06:07Z"),
    random: createSeededRandom(),
    logger,
    ...edit,
  };
  const signer = createPodSigner(deps);
  const reconcile = () => signer.reconcile("web/req-1", store.peek("req-1"), NEVER);
  return { store, logger, deps, signer, reconcile };
}

test("createPodSigner() issues a certificate with its chain, recorded before it is written", async () => {
  const ca = await createIntermediateCa(await root);
  const recorded: string[] = [];
  const { store, reconcile } = await run({}, {
    authorities: () => Promise.resolve(ca),
    record(der, request) {
      recorded.push(`${parsePemBlocks(request.status.certificateChain ?? "").length} ${der.length > 0}`);
      return Promise.resolve();
    },
  });
  assert.deepEqual(await reconcile(), { kind: "done" });
  assert.deepEqual(store.calls, ["update req-1/status"]);
  assert.deepEqual(recorded, ["0 true"]);
  const { status } = store.peek("req-1");
  const [leaf, above, ...more] = parsePemBlocks(status.certificateChain ?? "");
  assert.ok(leaf !== undefined && above !== undefined && more.length === 0);
  const facts = parseCertificate(leaf.bytes);
  assert.ok(facts.ok);
  assert.deepEqual(facts.value.uris, ["spiffe://example.org/ns/web/sa/shop"]);
  assert.equal(Date.parse(status.notAfter ?? ""), facts.value.notAfter.getTime());
  // It is settled, so nothing is signed again.
  assert.deepEqual(await reconcile(), { kind: "done" });
  assert.equal(recorded.length, 1);
});

test("createPodSigner() writes and records nothing for a certificate that cannot be recorded", async () => {
  const full = new AppError("io", "no space left");
  const { store, reconcile } = await run({}, { record: () => Promise.reject(full) });
  await assert.rejects(reconcile(), full);
  assert.deepEqual(store.calls, []);
});

for (
  const { name, options, edit = {}, want } of [
    { name: "the profile refuses", options: { namespace: "other" }, want: "Denied NotAllowedByProfile" },
    {
      name: "cannot be decoded",
      options: { spec: { stubPKCS10Request: "AAAA" } },
      want: "Failed SignerValidationFailure",
    },
    {
      name: "the API would trust as a client",
      options: {},
      edit: { isTrustedForClients: () => Promise.resolve(true) },
      want: "Failed SignerValidationFailure",
    },
    {
      name: "has more names than the API accepts",
      options: {
        spec: {
          unverifiedUserAnnotations: {
            "example.com/dns-names": Array.from({ length: 3_000 }, (_, at) => `name-${at}.web.svc.cluster.local`)
              .join(),
          },
        },
      },
      edit: {
        profiles: new Map([[POD_SIGNER, {
          currentSpec: () => Promise.resolve(parseProfileOrThrow(POD_PROFILE.replace("    max: 2\n", ""))),
        }]]),
      },
      want: "Failed SignerValidationFailure",
    },
  ] satisfies { name: string; options: ShopRequestOptions; edit?: Partial<PodSignerDeps>; want: string }[]
) {
  test(`createPodSigner() permanently refuses what ${name}`, async () => {
    const { store, logger, reconcile } = await run(options, edit);
    assert.deepEqual(await reconcile(), { kind: "done" });
    const [condition] = store.peek("req-1").status.conditions ?? [];
    assert.equal(`${condition?.type} ${condition?.reason}`, want);
    assert.deepEqual(logger.messages("warn"), ["pod certificate refused"]);
  });
}

test("createPodSigner() leaves the requests of other signers, and retries while there is no CA", async () => {
  const { store, reconcile } = await run({ spec: { signerName: "example.com/other" } });
  assert.deepEqual(await reconcile(), { kind: "done" });
  assert.deepEqual(store.calls, []);
  const orphan = await run({}, { authorities: () => Promise.resolve(undefined) });
  assert.equal((await orphan.reconcile()).kind, "retry");
});

test("createPodSigner() signs requests with the same name in two namespaces", async () => {
  const { deps } = await run();
  const both = await Promise.all(["web", "team-a"].map((namespace) => buildShopRequest({ namespace })));
  async function* changes(signal: AbortSignal): AsyncIterable<ObjectChange<PodCertificateRequest>> {
    for (const object of both) yield { kind: "changed", object };
    yield { kind: "synced" };
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  }
  const updated: string[] = [];
  const update = (object: PodCertificateRequest) => {
    updated.push(toObjectKey(object));
    return Promise.resolve(object);
  };
  const abort = new AbortController();
  const signer = createPodSigner({ ...deps, store: { update } });
  const running = runController({ ...deps, ...signer, name: "pod-signer", store: { changes } }, abort.signal);
  await until(() => updated.length === 2);
  abort.abort();
  await running;
  assert.deepEqual(updated.sort(), ["team-a/req-1", "web/req-1"]);
});
