import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { buildCsr, type CsrOptions, sharedKey } from "../../tests/support/csr_builder.ts";
import { createIssuingCa, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import { createIntermediateCa, createSigningCa, type SigningCa } from "../../tests/support/signing_ca.ts";
import { NOW, planTestLeaf, unwrap } from "../../tests/support/test_authority.ts";
import { parseCertificateChain } from "../machine/credential_pair.ts";
import { findLeafCertificate } from "../request/issued_certificate.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { crossSign } from "../ca_rotation/new_ca.ts";
import { type CertificatePlan, issueCertificate } from "../pki/authority/issue.ts";
import { generatePrivateKey, type PrivateKey } from "../pki/keys/keys.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import { createCertificationRequest, parseCertificationRequest } from "../pki/x509/pkcs10.ts";
import { publicKeyPin } from "../pki/keys/key_names.ts";
import {
  type AnswerVerdict,
  decideAnswer,
  decideImport,
  type ExpectedAnswer,
  findUntrustedAuthorities,
  toPins,
} from "./accept_answer.ts";
import {
  type AnswerBundle,
  type AnswerOutcome,
  computeRequestId,
  encodeAnswers,
  encodeMachineRequest,
  type OfflineRequest,
  type OfflineSite,
  readAnswers,
  readRequests,
  type RequestBundle,
} from "./bundle.ts";

const START = new Date("2026-01-01T00:00:00Z");
const SUBJECT = { commonName: "system:node:n1" };

describe("an answer at a machine", () => {
  let ca: IssuingCa;
  let other: IssuingCa;
  let key: PrivateKey;
  let request: OfflineRequest;
  let bundle: RequestBundle;
  let expected: ExpectedAnswer;

  before(async () => {
    [ca, other] = [await createIssuingCa(START), await createIssuingCa(START)];
    key = await generatePrivateKey("ecdsa-p256");
    const facts = parseCertificationRequest(createCertificationRequest({ subject: SUBJECT }, key));
    assert.ok(facts.ok);
    request = { name: "n1", facts: facts.value, signerName: "example.com/web", usages: ["client auth"] };
    bundle = unwrap(readRequests(await encodeMachineRequest(request, { site: [], requester: undefined })));
    expected = {
      subject: "CN=system:node:n1",
      key: publicKeyPin(facts.value),
      requestId: computeRequestId(request),
      stored: undefined,
      site: [],
      now: START,
    };
  });

  async function issue(by: IssuingCa, of: PrivateKey = key): Promise<readonly CertificateFacts[]> {
    const chain = parseCertificateChain(await by.issue({ publicKeyDer: of.publicKeyDer(), subject: SUBJECT }));
    assert.ok(chain.ok);
    return chain.value;
  }

  async function answer(
    by: IssuingCa = ca,
    given?: AnswerOutcome,
    site: OfflineSite = { serverCas: [by.authority.certificate], server: "https://10.0.0.1:6443" },
  ): Promise<AnswerBundle> {
    const outcome = given ?? { kind: "issued" as const, chain: await issue(by) };
    return unwrap(readAnswers(await encodeAnswers(bundle, [{ request, outcome }], site, [by.authority], START)));
  }

  function assertRefused(verdict: AnswerVerdict, fault: RegExp): void {
    assert.match(verdict.kind === "unusable" ? verdict.fault : verdict.kind, fault);
  }

  test("decideAnswer() accepts the answer to its own request, from a CA that is expected or not known yet", async () => {
    const given = await answer();
    const [only] = given.answers;
    assert.deepEqual(decideAnswer(given, expected), { kind: "usable", answer: only });
    assert.equal(decideAnswer(given, { ...expected, site: toPins([ca.authority.certificate]) }).kind, "usable");
    const [stored] = await issue(ca, await generatePrivateKey("ecdsa-p256"));
    assert.equal(decideAnswer(given, { ...expected, stored }).kind, "usable");
  });

  test("decideAnswer() refuses an answer for another machine, another key or of another site", async () => {
    const given = await answer();
    assertRefused(
      decideAnswer(given, { ...expected, subject: "CN=system:node:n2" }),
      /^it is for "CN=system:node:n1", but/,
    );
    const otherKey = publicKeyPin({ publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() });
    assertRefused(decideAnswer(given, { ...expected, key: otherKey }), /^it is for another key, sha256:/);
    const site = toPins([other.authority.certificate]);
    assertRefused(
      decideAnswer(given, { ...expected, site }),
      /^it is from another site: its CA is sha256:\w+, but this/,
    );
    const [stored] = await issue(other, await generatePrivateKey("ecdsa-p256"));
    assertRefused(decideAnswer(given, { ...expected, stored }), /^it is from another site: .* did not issue/);
  });

  test("decideAnswer() accepts other CAs of the API server only if all of them or the issuing CA is known", async () => {
    const split = await answer(ca, undefined, { serverCas: [other.authority.certificate] });
    const mixed = await answer(ca, undefined, { serverCas: [other.authority.certificate, ca.authority.certificate] });
    const ofServer = toPins([other.authority.certificate]);
    assert.equal(decideAnswer(split, { ...expected, site: ofServer }).kind, "usable");
    assertRefused(decideAnswer(mixed, { ...expected, site: ofServer }), /another site/);
    // The API server's CA is public: an unknown CA whose answer names it does not replace a certificate in use.
    const next = await generatePrivateKey("ecdsa-p256");
    const [[own], [others]] = [await issue(ca, next), await issue(other, next)];
    assert.equal(decideAnswer(split, { ...expected, site: ofServer, stored: own }).kind, "usable");
    assertRefused(decideAnswer(split, { ...expected, site: ofServer, stored: others }), /another site/);
    assert.equal(decideAnswer(mixed, { ...expected, site: toPins([ca.authority.certificate]) }).kind, "usable");
  });

  test("decideAnswer() accepts a new CA only if a known one has signed it", async () => {
    const sign = async (of: IssuingCa, by: IssuingCa): Promise<CertificateFacts> => {
      const signed = await crossSign(of.authority.certificate, by.authority, {
        notBefore: NOW,
        serial: Uint8Array.of(9),
      });
      assert.ok(signed.ok, JSON.stringify(signed));
      return signed.value;
    };
    const unknown = await createIssuingCa(START);
    const readReplaced = (crossSigned: CertificateFacts, old = other): Promise<AnswerBundle> =>
      answer(ca, undefined, { serverCas: [ca.authority.certificate, old.authority.certificate], crossSigned });
    const site = toPins([other.authority.certificate]);
    const [stored] = await issue(other, await generatePrivateKey("ecdsa-p256"));
    const good = await readReplaced(await sign(ca, other));
    assert.equal(decideAnswer(good, { ...expected, site }).kind, "usable");
    assert.equal(decideAnswer(good, { ...expected, stored }).kind, "usable");
    for (
      const bad of [
        await readReplaced(await sign(ca, unknown)),
        await readReplaced(await sign(ca, unknown), unknown),
        await readReplaced(await sign(unknown, other)),
        await readReplaced(other.authority.certificate),
      ]
    ) {
      assertRefused(decideAnswer(bad, { ...expected, site }), /another site/);
      assertRefused(decideAnswer(bad, { ...expected, stored }), /another site/);
    }
  });

  test("decideAnswer() refuses the certificate of another CA than the one that signed the answer", async () => {
    const given = await answer(ca, { kind: "issued", chain: await issue(other) });
    assertRefused(decideAnswer(given, expected), /did not issue the certificate in it/);
  });

  test("decideAnswer() recognizes the answer with the certificate in use, and a refusal of an earlier request", async () => {
    const given = await answer();
    const [stored] = await issue(ca);
    const nextKey = publicKeyPin({ publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() });
    assert.deepEqual(decideAnswer(given, { ...expected, key: nextKey, stored }), { kind: "earlier" });
    const late = new Date(START.getTime() + 366 * 86_400_000);
    assert.deepEqual(decideAnswer(given, { ...expected, key: nextKey, now: late }), { kind: "earlier" });
    const refusal = await answer(ca, { kind: "refused", message: "no" });
    assert.equal(decideAnswer(refusal, expected).kind, "usable");
    assert.deepEqual(decideAnswer(refusal, { ...expected, requestId: "another" }), { kind: "earlier" });
  });

  test("decideAnswer() refuses the answers to several requests, and waits for one that was not decided", async () => {
    const given = await answer();
    const { answers } = given;
    assertRefused(
      decideAnswer({ ...given, answers: [...answers, ...answers] }, expected),
      /^it holds 2 answers, but this/,
    );
    assertRefused(decideAnswer({ ...given, answers: [] }, expected), /^it holds 0 answers, but this/);
    const skipped = await answer(ca, { kind: "skipped", message: "later" });
    assert.deepEqual(decideAnswer(skipped, expected), { kind: "earlier" });
  });
});

const APPROVED = { type: "Approved", status: "True", reason: "Ok", lastUpdateTime: null, lastTransitionTime: null };
const FAILED = { ...APPROVED, type: "Failed", message: "no" };
const REFUSED: AnswerOutcome = { kind: "refused", message: "no" };

describe("an answer at an API server", () => {
  let ca: SigningCa;
  let otherCa: SigningCa;
  let leaf: CertificateFacts;

  before(async () => {
    ca = await createSigningCa();
    otherCa = await createSigningCa({ commonName: "other-ca" });
    leaf = await issue();
  });

  async function issue(edit: Partial<CertificatePlan> = {}, by = ca): Promise<CertificateFacts> {
    return unwrap(
      parseCertificate(await issueCertificate(planTestLeaf(await sharedKey(), edit), by, Uint8Array.of(7))),
    );
  }

  function build(edit: CsrOptions = {}): Promise<CertificateSigningRequest> {
    return buildCsr({
      name: "n1",
      metadata: { name: "n1", uid: "u1" },
      usages: ["digital signature", "client auth"],
      conditions: [APPROVED],
      ...edit,
    });
  }

  function decide(csr: CertificateSigningRequest | undefined, outcome: AnswerOutcome, failRefused = true) {
    const context = { authorities: [[ca.certificate]], failRefused, now: NOW };
    const key = publicKeyPin(leaf);
    return decideImport(csr, { name: "n1", id: "u1", subject: "CN=n1", key, outcome }, context);
  }

  const issued = (...chain: CertificateFacts[]): AnswerOutcome => ({ kind: "issued", chain });
  const stored = ({ der }: CertificateFacts) => encodeBase64(new TextEncoder().encode(encodePem("CERTIFICATE", der)));

  test("decideImport() writes the certificate, and keeps the conditions", async () => {
    const decision = decide(await build(), issued(leaf));
    assert.equal(decision.kind, "write");
    if (decision.kind !== "write") return;
    assert.deepEqual(findLeafCertificate(decision.csr.status.certificate ?? "")?.der, leaf.der);
    assert.deepEqual(decision.csr.status.conditions, [APPROVED]);
  });

  test("decideImport() writes Failed with the reason of the CA, or leaves the request", async () => {
    const decision = decide(await build(), REFUSED);
    assert.equal(decision.kind, "write");
    if (decision.kind !== "write") return;
    const [, failed] = decision.csr.status.conditions ?? [];
    assert.deepEqual([failed?.type, failed?.reason, failed?.message], ["Failed", "SignerValidationFailure", "no"]);
    assert.deepEqual(decide(await build(), REFUSED, false), { kind: "left", message: "no" });
    assert.deepEqual(decide(await build(), { kind: "skipped", message: "later" }), { kind: "left", message: "later" });
  });

  test("decideImport() reports an answer that was imported before", async () => {
    assert.deepEqual(decide(await build({ certificate: stored(leaf) }), issued(leaf)), { kind: "imported" });
    assert.deepEqual(decide(await build({ conditions: [APPROVED, FAILED] }), REFUSED), { kind: "imported" });
  });

  for (
    const [name, edit, outcome, want] of [
      [
        "a request that was created again",
        { metadata: { name: "n1", uid: "u2" } },
        () => issued(leaf),
        /another request/,
      ],
      ["a request that is not approved", { conditions: [] }, () => issued(leaf), /is not approved/],
      ["a failed request", { conditions: [APPROVED, FAILED] }, () => issued(leaf), /has already failed/],
      [
        "another certificate",
        {},
        async () => issued(await issue({}, otherCa)),
        /not issued by the CA that signed the answers/,
      ],
      ["an answer without a certificate", {}, () => issued(), /it has no certificate/],
      [
        "a certificate for another name",
        { commonName: "system:node:n2" },
        () => issued(leaf),
        /not what was requested/,
      ],
      ["a certificate without a requested usage", { usages: ["server auth"] }, () => issued(leaf), /lacks the usage/],
      [
        "a certificate for another key",
        {},
        async () => issued(await issue({ publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() })),
        /for another key/,
      ],
      [
        "a certificate that has ended",
        {},
        async () => issued(await issue({ notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") })),
        /expired at 2026-02-01T00:00:00Z/,
      ],
    ] as const
  ) {
    test(`decideImport() refuses ${name}`, async () => {
      const decision = decide(await build(edit), await outcome());
      assert.equal(decision.kind, "unusable");
      if (decision.kind === "unusable") assert.match(decision.message, want);
    });
  }

  test("decideImport() refuses a deleted request, and one with another certificate", async () => {
    assert.equal(decide(undefined, issued(leaf)).kind, "unusable");
    const other = await build({ certificate: stored(await issue({ notAfter: new Date("2030-01-01") })) });
    assert.equal(decide(other, issued(leaf)).kind, "unusable");
    assert.equal(decide(other, REFUSED).kind, "unusable");
  });

  test("findUntrustedAuthorities() trusts a named key, a trusted CA, and a CA below one", async () => {
    const below = await createIntermediateCa(ca);
    const chains = [[ca.certificate], [below.certificate, ...below.issuers], [otherCa.certificate]];
    const find = (pins: readonly string[], roots = [ca.certificate]) =>
      findUntrustedAuthorities(chains, { pins: new Set(pins), roots }).map(({ sha256Fingerprint }) =>
        sha256Fingerprint
      );
    assert.deepEqual(find([]), [otherCa.certificate.sha256Fingerprint]);
    assert.deepEqual(find([publicKeyPin(otherCa.certificate)]), []);
    assert.equal(find([], []).length, 3);
  });
});
