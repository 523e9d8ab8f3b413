/** Answers on a stick: what a machine accepts, and why it refuses the rest. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { createIssuingCa, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import { parseCertificateChain } from "../bootstrap/credential_pair.ts";
import type { CertificateFacts } from "../pki/certificate.ts";
import { crossSign } from "../pki/cross_sign.ts";
import { generatePrivateKey, type PrivateKey } from "../pki/keys.ts";
import { createCertificationRequest, parseCertificationRequest } from "../pki/pkcs10.ts";
import { publicKeyPin } from "../pki/public_key_pin.ts";
import { encodeOfflineAnswer, type OfflineAnswer, type OfflineVerdict, parseOfflineAnswer } from "./answer_file.ts";
import { type AnswerVerdict, decideAnswer, type ExpectedAnswer, toPins } from "./check_answer.ts";
import { encodeDocument, parseDocument } from "./document.ts";
import { computeRequestId, type OfflineRequest } from "./request_file.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const SUBJECT = { commonName: "system:node:n1" };

let ca: IssuingCa;
let other: IssuingCa;
let key: PrivateKey;
let request: OfflineRequest;
let expected: ExpectedAnswer;

describe("an answer", () => {
  before(async () => {
    [ca, other] = [await createIssuingCa(NOW), await createIssuingCa(NOW)];
    key = await generatePrivateKey("ecdsa-p256");
    const facts = parseCertificationRequest(createCertificationRequest({ subject: SUBJECT }, key));
    assert.ok(facts.ok);
    request = { name: "n1", facts: facts.value, signerName: "example.com/web", usages: ["client auth"], site: [] };
    expected = {
      subject: "CN=system:node:n1",
      key: publicKeyPin(facts.value),
      requestId: computeRequestId(request),
      stored: undefined,
      site: [],
      now: NOW,
    };
  });

  async function issue(by: IssuingCa, of: PrivateKey = key): Promise<readonly CertificateFacts[]> {
    const chain = parseCertificateChain(await by.issue({ publicKeyDer: of.publicKeyDer(), subject: SUBJECT }));
    assert.ok(chain.ok);
    return chain.value;
  }

  async function encode(
    by: IssuingCa = ca,
    verdict?: OfflineVerdict,
    serverCas = [by.authority.certificate],
  ): Promise<string> {
    const given = verdict ?? { kind: "signed" as const, chain: await issue(by) };
    return await encodeOfflineAnswer(request, given, { serverCas, server: "https://10.0.0.1:6443" }, by.authority, NOW);
  }

  function read(text: string): OfflineAnswer {
    const parsed = parseOfflineAnswer(text);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    return parsed.value;
  }

  function assertRefused(verdict: AnswerVerdict, fault: RegExp): void {
    assert.match(verdict.kind === "unusable" ? verdict.fault : verdict.kind, fault);
  }

  test("decideAnswer() takes the answer to its own request, of a CA that is expected or not known yet", async () => {
    const answer = read(await encode());
    assert.equal(answer.server, "https://10.0.0.1:6443");
    assert.deepEqual(decideAnswer(answer, expected), { kind: "usable" });
    assert.deepEqual(decideAnswer(answer, { ...expected, site: toPins([ca.authority.certificate]) }), {
      kind: "usable",
    });
    const [stored] = await issue(ca, await generatePrivateKey("ecdsa-p256"));
    assert.deepEqual(decideAnswer(answer, { ...expected, stored }), { kind: "usable" });
  });

  test("decideAnswer() refuses an answer for another machine, another key or of another site", async () => {
    const answer = read(await encode());
    assertRefused(
      decideAnswer(answer, { ...expected, subject: "CN=system:node:n2" }),
      /^it is for "CN=system:node:n1", and/,
    );
    const otherKey = publicKeyPin({ publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() });
    assertRefused(decideAnswer(answer, { ...expected, key: otherKey }), /^it is for another key, sha256:/);
    const site = toPins([other.authority.certificate]);
    assertRefused(
      decideAnswer(answer, { ...expected, site }),
      /^it is from another site: its CA is sha256:\w+, and this/,
    );
    const [stored] = await issue(other, await generatePrivateKey("ecdsa-p256"));
    assertRefused(decideAnswer(answer, { ...expected, stored }), /^it is from another site: .* did not issue/);
  });

  test("decideAnswer() takes another CA of the API server only when every one of them is known, or the issuing CA is", async () => {
    const split = read(await encode(ca, undefined, [other.authority.certificate]));
    const mixed = read(await encode(ca, undefined, [other.authority.certificate, ca.authority.certificate]));
    const ofServer = toPins([other.authority.certificate]);
    assert.deepEqual(decideAnswer(split, { ...expected, site: ofServer }), { kind: "usable" });
    assertRefused(decideAnswer(mixed, { ...expected, site: ofServer }), /another site/);
    // The API server's CA is public: an unknown CA whose answer names it does not replace a certificate in use.
    const next = await generatePrivateKey("ecdsa-p256");
    const [[own], [others]] = [await issue(ca, next), await issue(other, next)];
    assert.deepEqual(decideAnswer(split, { ...expected, site: ofServer, stored: own }), { kind: "usable" });
    assertRefused(decideAnswer(split, { ...expected, site: ofServer, stored: others }), /another site/);
    assert.deepEqual(decideAnswer(mixed, { ...expected, site: toPins([ca.authority.certificate]) }), {
      kind: "usable",
    });
  });

  test("decideAnswer() takes a new CA that a known one has signed, and only that", async () => {
    const sign = async (of: IssuingCa, by: IssuingCa): Promise<CertificateFacts> => {
      const signed = await crossSign(of.authority.certificate, by.authority, {
        notBefore: NOW,
        serial: Uint8Array.of(9),
      });
      assert.ok(signed.ok, JSON.stringify(signed));
      return signed.value;
    };
    const unknown = await createIssuingCa(NOW);
    const readReplaced = async (crossSigned: CertificateFacts, old = other): Promise<OfflineAnswer> => {
      const site = { serverCas: [ca.authority.certificate, old.authority.certificate], crossSigned, server: undefined };
      const verdict = { kind: "signed" as const, chain: await issue(ca) };
      return read(await encodeOfflineAnswer(request, verdict, site, ca.authority, NOW));
    };
    const site = toPins([other.authority.certificate]);
    const [stored] = await issue(other, await generatePrivateKey("ecdsa-p256"));
    const good = await readReplaced(await sign(ca, other));
    assert.deepEqual(decideAnswer(good, { ...expected, site }), { kind: "usable" });
    assert.deepEqual(decideAnswer(good, { ...expected, stored }), { kind: "usable" });
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

  test("decideAnswer() refuses an answer whose server was replaced, although its checksum is right", async () => {
    const document = parseDocument(await encode(), "tlsboot certificate answer");
    assert.ok(document.ok);
    const headers = new Map([...document.value.headers, ["Server", "https://evil.example:6443"]]);
    const answer = read(encodeDocument({ ...document.value, headers }));
    assertRefused(decideAnswer(answer, expected), /the CA in it did not sign it, so it was altered/);
  });

  test("decideAnswer() refuses the certificate of another CA than the one that signed the answer", async () => {
    const answer = read(await encode(ca, { kind: "signed", chain: await issue(other) }));
    assertRefused(decideAnswer(answer, expected), /did not issue the certificate in it/);
  });

  test("decideAnswer() knows the answer of the certificate in use, and a refusal of an earlier request", async () => {
    const answer = read(await encode());
    const [stored] = await issue(ca);
    const nextKey = publicKeyPin({ publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() });
    assert.deepEqual(decideAnswer(answer, { ...expected, key: nextKey, stored }), { kind: "earlier" });
    const late = new Date(NOW.getTime() + 366 * 86_400_000);
    assert.deepEqual(decideAnswer(answer, { ...expected, key: nextKey, now: late }), { kind: "earlier" });
    const refusal = read(await encode(ca, { kind: "refused", reason: "no" }));
    assert.deepEqual(decideAnswer(refusal, expected), { kind: "usable" });
    assert.deepEqual(decideAnswer(refusal, { ...expected, requestId: "another" }), { kind: "earlier" });
  });

  test("parseOfflineAnswer() names an answer that was cut or altered", async () => {
    const text = await encode();
    const fault = (edited: string): string => {
      const parsed = parseOfflineAnswer(edited);
      return parsed.ok ? "read" : parsed.error;
    };
    assert.match(fault(text.slice(0, -20)), /^it is cut off/);
    assert.match(fault(text.replace("10.0.0.1", "10.0.0.2")), /^it was altered: its checksum/);
    assert.match(fault("noise\n"), /^it was altered or is another file/);
  });
});
