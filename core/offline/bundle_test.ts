import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { before, describe, test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createSigningCa, type SigningCa } from "../../tests/support/signing_ca.ts";
import { createTestAuthority, NOW, unwrap } from "../../tests/support/test_authority.ts";
import { parseRequest } from "../csr/request.ts";
import type { ArmorPart } from "../lib/armor.ts";
import { createCaKey, generatePrivateKey } from "../pki/keys.ts";
import { publicKeyPin } from "../pki/public_key_pin.ts";
import type { CaKey } from "../ports.ts";
import { parseAnswerBundle, type RequestAnswer, sealAnswers } from "./answer_bundle.ts";
import { encodeBundle, findBundleKind, openBundle, readBundle, readBundleParts, sealBundle } from "./bundle.ts";
import { parseRequestBundle, sealRequests } from "./request_bundle.ts";

const ID = "0123456789abcdef0123456789abcdef";
const APPROVED = { type: "Approved", status: "True", reason: "Ok", lastUpdateTime: null, lastTransitionTime: null };

let key: CaKey;
let ca: SigningCa;
let parts: readonly ArmorPart[];
let text: string;

describe("a bundle", () => {
  before(async () => {
    key = createCaKey(await generatePrivateKey("ecdsa-p256"));
    ca = await createSigningCa();
    const csrs = await Promise.all(["n1", "n2", "n3"].map(async (name) => {
      const csr = await buildCsr({ name, metadata: { name, uid: `uid-${name}` }, conditions: [APPROVED] });
      return { csr, facts: unwrap(parseRequest(csr.spec.request)) };
    }));
    parts = await sealRequests({ id: ID, createdAt: NOW, server: "https://10.0.0.1:6443" }, csrs, key);
    text = encodeBundle("requests", parts);
  });

  function openRequests(bundle: string) {
    const read = readBundle("requests", bundle);
    return read.ok ? parseRequestBundle(read.value) : read;
  }

  test("parseRequestBundle() returns the requests of an export as a signer needs them", async () => {
    const bundle = openRequests(text);
    assert.ok(bundle.ok);
    const { header, requests } = bundle.value;
    const exporter = publicKeyPin({ publicKeyDer: await key.publicKey() });
    assert.deepEqual(header, { id: ID, createdAt: "2026-11-25T12:00:00Z", server: "https://10.0.0.1:6443", exporter });
    assert.deepEqual(requests.map(({ name, uid }) => [name, uid]), [["n1", "uid-n1"], ["n2", "uid-n2"], [
      "n3",
      "uid-n3",
    ]]);
    const { spec, status } = await buildCsr({ name: "n1", conditions: [APPROVED] });
    const [first] = requests;
    assert.deepEqual({ ...first!.csr.spec, request: null }, { ...spec, request: null });
    assert.deepEqual(first!.csr.status, status);
    assert.equal(unwrap(parseRequest(first!.csr.spec.request)).subject.commonName, "system:node:n1");
    assert.equal(findBundleKind(text), "requests");
    assert.deepEqual(readBundleParts("requests", text), parts);
  });

  const blocks = () => text.split(/(?=-----BEGIN)/);
  for (
    const [name, edit, want] of [
      ["cut", () => blocks().slice(0, 3).join(""), ['part 4 of 4 is missing: "n3"']],
      ["cut within a request", () => text.slice(0, -200), ['part 4 of 4 is cut off: "n3"']],
      ["without one of its requests", () => blocks().toSpliced(2, 1).join(""), ['part 3 of 4 is missing: "n2"']],
      [
        "with a changed character",
        () => blocks().with(1, blocks()[1]!.replace(/^eyJ1/m, "eyJ2")).join(""),
        ['part 2 of 4 is altered: its checksum does not match: "n1"'],
      ],
    ] as const
  ) test(`readBundle() names what is wrong with a bundle ${name}`, () => assert.deepEqual(findFaults(edit()), want));

  function findFaults(bundle: string): unknown {
    const read = openRequests(bundle);
    return read.ok ? "no fault" : read.error;
  }

  const json = (part: ArmorPart) => JSON.parse(Buffer.from(part.bytes).toString());
  const withJson = (part: ArmorPart, value: unknown): ArmorPart => ({
    ...part,
    bytes: new TextEncoder().encode(JSON.stringify(value)),
  });

  /** Every checksum of the armor is right again after these changes, as those of an attacker would be. */
  for (
    const [name, edit, want] of [
      [
        "a changed request",
        () => parts.with(1, withJson(parts[1]!, { ...json(parts[1]!), uid: "other" })),
        ['"n1" was altered after it was signed'],
      ],
      ["two requests with each other's names", () => [
        parts[0]!,
        { ...parts[1]!, headers: { Name: "n2" } },
        { ...parts[2]!, headers: { Name: "n1" } },
        parts[3]!,
      ], ['"n1" was altered after it was signed', '"n2" was altered after it was signed']],
      ["a removed request", () => parts.slice(0, 3), [
        '"n3" was altered after it was signed',
        "it holds more than what was signed",
      ]],
      ["one request more", () => [...parts, parts[1]!], ["it holds more than what was signed"]],
      ["a changed list", () => {
        const front = json(parts[0]!);
        return parts.with(0, withJson(parts[0]!, { ...front, contents: front.contents.slice(0, 2) }));
      }, ["the list of what it holds was altered after it was signed"]],
      ["another header", () => {
        const front = json(parts[0]!);
        const header = { ...JSON.parse(front.signed.text), server: "https://elsewhere" };
        return parts.with(
          0,
          withJson(parts[0]!, { ...front, signed: { ...front.signed, text: JSON.stringify(header) } }),
        );
      }, "the signature of its exporter does not match"],
      ["no list", () => [parts[1]!, parts[0]!], ["its first part is not the list of a bundle"]],
      ["too many signatures", () => {
        const front = json(parts[0]!);
        const signatures = Array.from({ length: 17 }, () => front.signed.signatures[0]);
        return parts.with(0, withJson(parts[0]!, { ...front, signed: { ...front.signed, signatures } }));
      }, ["its first part is not the list of a bundle"]],
    ] as const
  ) {
    test(`openBundle() refuses ${name}, whatever the checksums say`, () => {
      assert.deepEqual(findFaults(encodeBundle("requests", edit())), want);
    });
  }

  for (
    const [name, header, item, want] of [
      ["without a key", { key: undefined }, {}, "the key of its exporter cannot be read"],
      ["with a malformed number", { id: "1" }, {}, "its number is malformed"],
      ["with a request without a uid", {}, { uid: "" }, 'the request "n1" cannot be read: it has no uid'],
      [
        "with a request that is not approved",
        {},
        { approval: undefined },
        'the request "n1" cannot be read: it is not approved',
      ],
      [
        "with a malformed spec",
        {},
        { spec: { signerName: 1 } },
        'the request "n1" cannot be read: its spec is malformed',
      ],
      ["with something else than a request", {}, { request: "AAAA" }, /^the request "n1" cannot be read: /],
    ] as const
  ) {
    test(`parseRequestBundle() refuses a signed bundle ${name}`, async () => {
      const front = JSON.parse(json(parts[0]!).signed.text);
      const value = { ...json(parts[1]!), ...item };
      const sealed = await sealBundle("requests", { ...front, ...header }, [{ name: "n1", value }], [key]);
      const fault = findFaults(encodeBundle("requests", sealed));
      if (want instanceof RegExp) assert.match(String(fault), want);
      else assert.equal(fault, want);
    });
  }

  test("parseRequestBundle() refuses a request that is in it twice", async () => {
    const front = JSON.parse(json(parts[0]!).signed.text);
    const value = json(parts[1]!);
    const sealed = await sealBundle("requests", front, [{ name: "n1", value }, { name: "n1b", value }], [key]);
    assert.equal(findFaults(encodeBundle("requests", sealed)), 'the request "n1b" is in it twice');
  });

  async function sealed(answers: readonly RequestAnswer[], authorities = [ca]): Promise<string> {
    const { signed } = unwrap(openBundle(parts) as never) as { signed: Parameters<typeof sealAnswers>[0] };
    return encodeBundle("answers", await sealAnswers(signed, answers, authorities, NOW));
  }

  const ANSWERS: readonly RequestAnswer[] = [
    { name: "n1", uid: "uid-n1", outcome: { kind: "issued", certificates: [Uint8Array.of(1, 2), Uint8Array.of(3)] } },
    { name: "n2", uid: "uid-n2", outcome: { kind: "refused", message: "no" } },
    { name: "n3", uid: "uid-n3", outcome: { kind: "skipped", message: "later" } },
  ];

  test("parseAnswerBundle() returns the answers, the export and the CAs that signed", async () => {
    const read = readBundle("answers", await sealed(ANSWERS));
    assert.ok(read.ok);
    const bundle = unwrap(parseAnswerBundle(read.value));
    assert.deepEqual(bundle.answers, ANSWERS);
    assert.equal(bundle.export.id, ID);
    assert.equal(bundle.authorities[0]?.[0]?.sha256Fingerprint, ca.certificate.sha256Fingerprint);
  });

  test("parseAnswerBundle() refuses answers that a CA of theirs has not signed", async () => {
    const other = await createTestAuthority();
    const key = { ...ca, key: other.key };
    const read = readBundle("answers", await sealed(ANSWERS, [key]));
    assert.ok(read.ok);
    assert.deepEqual(parseAnswerBundle(read.value), { ok: false, error: "the signature of its CA does not match" });
  });

  test("readBundle() answers for any change of a bundle, and never returns another one", () => {
    const want = openRequests(text);
    fc.assert(fc.property(fc.nat(text.length), fc.nat(100), fc.string(), (at, length, more) => {
      const read = openRequests(text.slice(0, at) + more + text.slice(at + length));
      if (read.ok) assert.deepEqual(read, want);
    }));
  });
});
