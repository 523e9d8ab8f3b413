import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createIssuingCa, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import fc from "../../tests/support/properties.ts";
import { createSigningCa, type SigningCa } from "../../tests/support/signing_ca.ts";
import { createTestAuthority, NOW, unwrap } from "../../tests/support/test_authority.ts";
import { parseCertificateChain } from "../machine/credential_pair.ts";
import { parseRequest } from "../request/parse_request.ts";
import type { Result } from "../lib/result.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { createCaKey, generatePrivateKey, type PrivateKey } from "../pki/keys/keys.ts";
import { createCertificationRequest, parseCertificationRequest } from "../pki/x509/pkcs10.ts";
import { publicKeyPin } from "../pki/keys/key_names.ts";
import type { CaKey } from "../ports.ts";
import { type ArmorPart, encodeArmor, readArmor } from "./armor.ts";
import {
  type AnswerOutcome,
  computeBundleId,
  computeRequestId,
  encodeAnswers,
  encodeExport,
  encodeMachineRequest,
  findBundleKind,
  findRequestName,
  type OfflineRequest,
  readAnswers,
  readRequests,
  type RequestBundle,
} from "./bundle.ts";

const ID = "0123456789abcdef0123456789abcdef";
const ORIGIN = { id: ID, createdAt: "2026-11-25T12:00:00Z", server: "https://10.0.0.1:6443" };
const SUBJECT = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const APPROVAL = { type: "Approved", status: "True", reason: "Ok", lastUpdateTime: null, lastTransitionTime: null };
const REQUESTER = { username: "system:node:n1", groups: ["system:nodes", "a,b"], extra: { key: ["value"] } };

const split = (text: string): readonly string[] => text.split(/(?=^# tlsboot )/m);
const readParts = (text: string, kind = "requests"): readonly ArmorPart[] =>
  readArmor(text, kind).parts.map(({ headers, sections }) => ({ headers, sections }));

function findFaults<T>(read: Result<T, readonly string[]>): unknown {
  return read.ok ? "no fault" : read.error;
}

describe("an export", () => {
  let key: CaKey;
  let ca: SigningCa;
  let requests: readonly OfflineRequest[];
  let text: string;

  before(async () => {
    key = createCaKey(await generatePrivateKey("ecdsa-p256"));
    ca = await createSigningCa();
    requests = await Promise.all(["n1", "n2", "n3"].map(async (name): Promise<OfflineRequest> => {
      const { spec } = await buildCsr({ name });
      return {
        name,
        facts: unwrap(parseRequest(spec.request)),
        signerName: spec.signerName,
        usages: spec.usages ?? [],
        approved: { uid: `uid-${name}`, requester: REQUESTER, approval: APPROVAL },
      };
    }));
    text = await encodeExport(ORIGIN, requests, key);
  });

  test("readRequests() returns what encodeExport() was given, and the key that signed it", async () => {
    const { origin, requests: read } = unwrap(readRequests(text));
    const exporter = publicKeyPin({ publicKeyDer: await key.publicKey() });
    assert.deepEqual(origin, { kind: "export", ...ORIGIN, exporter });
    assert.deepEqual(read, requests);
    assert.equal(findBundleKind(text), "requests");
  });

  test("encodeExport() writes lines that people can read", () => {
    assert.match(text, /^Server: https:\/\/10\.0\.0\.1:6443$/m);
    assert.match(text, /^Name: n1\nSubject: CN=system:node:n1,O=system:nodes\n/m);
    assert.match(text, /^Usages: digital signature, client auth\nLifetime: chosen by the signer\n/m);
  });

  for (
    const [name, edit, want] of [
      ["cut", () => split(text).slice(0, 3).join(""), ['part 4 of 4 is missing: "n3"']],
      ["cut within a request", () => text.slice(0, -200), ['part 4 of 4 is cut off: "n3"']],
      ["without one of its requests", () => split(text).toSpliced(2, 1).join(""), ['part 3 of 4 is missing: "n2"']],
      [
        "with a changed character",
        () => text.replace("Name: n1", "Name: n7"),
        ['part 2 of 4 is altered: its checksum does not match: "n1"'],
      ],
    ] as const
  ) {
    test(`readRequests() reports the fault of an export ${name}`, () => {
      assert.deepEqual(findFaults(readRequests(edit())), want);
    });
  }

  const ALTERED = ["its contents were altered after they were signed"];
  const withHeaders = (part: ArmorPart, headers: Record<string, string>): ArmorPart => ({
    ...part,
    headers: { ...part.headers, ...headers },
  });

  /** Every checksum of the armor is right again after these changes, as those of an attacker would be. */
  for (
    const [name, edit, want] of [
      ["a changed request", (parts) => parts.with(1, withHeaders(parts[1]!, { UID: "other" })), ALTERED],
      ["two requests that changed places", (parts) => [parts[0]!, parts[2]!, parts[1]!, parts[3]!], ALTERED],
      ["two requests with each other's names", (parts) => [
        parts[0]!,
        withHeaders(parts[1]!, { Name: "n2" }),
        withHeaders(parts[2]!, { Name: "n1" }),
        parts[3]!,
      ], ALTERED],
      ["a removed request", (parts) => parts.slice(0, 3), ALTERED],
      ["an extra request", (parts) => [...parts, parts[1]!], ALTERED],
      ["another server", (parts) => parts.with(0, withHeaders(parts[0]!, { Server: "https://elsewhere" })), [
        "the signature of its exporter does not match",
      ]],
      ["no signature", ([front, ...parts]) => {
        const { Signature: _, ...headers } = front!.headers;
        return [{ ...front!, headers }, ...parts];
      }, ["the signature of its exporter does not match"]],
      ["too many signatures", ([front, ...parts]) => {
        const signatures = Array.from({ length: 17 }, () => front!.headers["Signature"]).join(" ");
        return [withHeaders(front!, { Signature: signatures }), ...parts];
      }, ["the signature of its exporter does not match"]],
      ["no first part", (parts) => parts.slice(1), ["its first part is not that of a bundle"]],
    ] as readonly (readonly [string, (parts: readonly ArmorPart[]) => readonly ArmorPart[], readonly string[]])[]
  ) {
    test(`readRequests() refuses ${name}, whatever the checksums say`, () => {
      assert.deepEqual(findFaults(readRequests(encodeArmor("requests", edit(readParts(text))))), want);
    });
  }

  for (
    const [name, origin, request, want] of [
      ["with a malformed number", { id: "1" }, {}, "its number is malformed"],
      ["with a request without a uid", {}, { uid: "" }, 'the request "n1" cannot be read: it has no uid'],
      [
        "with a request that is not approved",
        {},
        { approval: { ...APPROVAL, type: "Denied" } },
        /"n1" .* is not approved$/,
      ],
      ["with a malformed approval", {}, { approval: { ...APPROVAL, status: 1 } }, /"n1" .* is not approved$/],
      ["with a malformed requester", {}, { requester: { groups: [1] } }, /"n1" .* its requester is malformed$/],
      [
        "with a requester that has fields of a request",
        {},
        { requester: { ...REQUESTER, signerName: "example.com/web" } },
        /"n1" .* its requester is malformed$/,
      ],
      ["with a requester that is not an object", {}, { requester: "n1" }, /"n1" .* its requester is malformed$/],
    ] as const
  ) {
    test(`readRequests() refuses a signed export ${name}`, async () => {
      const [first] = requests;
      const approved = { ...first!.approved!, ...request } as OfflineRequest["approved"];
      const sealed = await encodeExport({ ...ORIGIN, ...origin }, [{ ...first!, approved }], key);
      const faults = findFaults(readRequests(sealed));
      if (want instanceof RegExp) assert.match(String(faults), want);
      else assert.deepEqual(faults, [want]);
    });
  }

  test("readRequests() refuses an export without a key, and a request that is in it twice", async () => {
    const twice = await encodeExport(ORIGIN, [requests[0]!, { ...requests[0]!, name: "n1b" }], key);
    assert.deepEqual(findFaults(readRequests(twice)), ['it contains the request "n1b" twice']);
    const [front, ...items] = readParts(text);
    const sections = { "key of the exporter": [{ label: "PUBLIC KEY", bytes: Uint8Array.of(1) }] };
    const broken = encodeArmor("requests", [{ ...front!, sections }, ...items]);
    assert.deepEqual(findFaults(readRequests(broken)), ["the key of its exporter cannot be read"]);
  });

  test("readRequests() answers for any change of an export, and never returns another one", () => {
    const want = readRequests(text);
    fc.assert(fc.property(fc.nat(text.length), fc.nat(100), fc.string(), (at, length, more) => {
      const read = readRequests(text.slice(0, at) + more + text.slice(at + length));
      if (read.ok) assert.deepEqual(read, want);
    }));
  });

  async function encode(outcomes: readonly AnswerOutcome[], authorities = [ca]): Promise<string> {
    const bundle = unwrap(readRequests(text));
    const answers = bundle.requests.map((request, at) => ({ request, outcome: outcomes[at]! }));
    return await encodeAnswers(bundle, answers, { serverCas: [] }, authorities, NOW);
  }

  const outcomes = (): readonly AnswerOutcome[] => [
    { kind: "issued", chain: [ca.certificate] },
    { kind: "refused", message: "no" },
    { kind: "skipped", message: "later" },
  ];

  test("readAnswers() returns the answers, the export and the CAs that signed", async () => {
    const bundle = unwrap(readAnswers(await encode(outcomes())));
    assert.deepEqual(bundle.answers.map(({ name, id }) => [name, id]), [["n1", "uid-n1"], ["n2", "uid-n2"], [
      "n3",
      "uid-n3",
    ]]);
    assert.deepEqual(bundle.answers.map(({ outcome }) => outcome), outcomes());
    assert.deepEqual(bundle.export, unwrap(readRequests(text)).origin);
    assert.equal(bundle.answeredAt, "2026-11-25T12:00:00Z");
    assert.equal(bundle.authorities[0]?.[0]?.sha256Fingerprint, ca.certificate.sha256Fingerprint);
  });

  test("readAnswers() refuses answers that one of their CAs has not signed", async () => {
    const other = await createTestAuthority();
    const unsigned = await encode(outcomes(), [{ ...ca, key: other.key }]);
    assert.deepEqual(findFaults(readAnswers(unsigned)), ["the signature of its CA does not match"]);
  });

  test("readAnswers() refuses answers without a CA, of a certificate that is no CA, and to an altered export", async () => {
    const [front, ...items] = readParts(await encode(outcomes()), "answers");
    const readWith = (sections: ArmorPart["sections"]) =>
      findFaults(readAnswers(encodeArmor("answers", [{ ...front!, sections }, ...items])));
    assert.deepEqual(readWith({}), ["it contains no CA"]);
    const issuing = await createIssuingCa(NOW);
    const chain = unwrapChain(
      await issuing.issue({ publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() }),
    );
    const leaf = { "CA 1 that answers": [{ label: "CERTIFICATE", bytes: chain[0]!.der }] };
    assert.match(String(readWith(leaf)), /^a CA in it cannot be used: the certificate is not a CA/);
    const forged = encodeArmor("requests", [{ headers: { Server: "https://elsewhere" }, sections: {} }]);
    const answered = { label: "TLSBOOT EXPORT", bytes: new TextEncoder().encode(forged) };
    assert.match(
      String(readWith({ ...front!.sections, "export that is answered": [answered] })),
      /^the export that it answers was altered: /,
    );
  });
});

function unwrapChain(pem: string): readonly CertificateFacts[] {
  const chain = parseCertificateChain(pem);
  assert.ok(chain.ok);
  return chain.value;
}

describe("the request of a machine", () => {
  let ca: IssuingCa;
  let key: PrivateKey;
  let request: OfflineRequest;

  before(async () => {
    ca = await createIssuingCa(NOW);
    key = await generatePrivateKey("ecdsa-p256");
    request = createRequest(key);
  });

  function createRequest(of: PrivateKey): OfflineRequest {
    const facts = parseCertificationRequest(createCertificationRequest({ subject: SUBJECT, dnsNames: ["n1"] }, of));
    assert.ok(facts.ok);
    return {
      name: "n1",
      facts: facts.value,
      signerName: "example.com/web",
      usages: ["digital signature", "client auth"],
      expirationSeconds: 86_400,
    };
  }

  const encode = (
    edit: Partial<OfflineRequest> = {},
    origin: Partial<Parameters<typeof encodeMachineRequest>[1]> = {},
  ): Promise<string> => encodeMachineRequest({ ...request, ...edit }, { site: [], requester: undefined, ...origin });

  test("readRequests() reads what encodeMachineRequest() writes, also after an editor changed blanks and line ends", async () => {
    const site = [publicKeyPin(ca.authority.certificate)];
    const text = await encode({}, { site });
    for (const edited of [text, text.replaceAll("\n", "\r\n"), `\ufeff${text}\n\n`, text.replaceAll("\n", " \n")]) {
      const { origin, requests } = unwrap(readRequests(edited));
      assert.deepEqual(origin, { kind: "machine", site, requester: [] });
      assert.deepEqual(requests, [request]);
    }
  });

  test("readRequests() reports a file that was cut or altered anywhere", async () => {
    const text = (await encode()).trimEnd();
    const lines = text.split("\n");
    for (let kept = 1; kept < lines.length; kept++) {
      const faults = findFaults(readRequests(lines.slice(0, kept).join("\n")));
      assert.match(String(faults), /^part \d of 2 is (?:cut off|missing)/, `${kept} lines`);
    }
    for (let at = 0; at < text.length; at++) {
      if (/\s/.test(text[at]!)) continue;
      const altered = text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
      const read = readRequests(altered);
      // Of the last character of base64, some bits do not count.
      if (read.ok) assert.deepEqual(read.value.requests, [request], `character ${at}`);
    }
    assert.deepEqual(findFaults(readRequests("")), ["it holds no requests of tlsboot"]);
  });

  test("readRequests() refuses a malformed line", async () => {
    for (
      const [edit, want] of [
        [{ name: "../n1" }, /its line Name is not the name of a file/],
        [{ signerName: "" }, /it has no line Signer/],
        [{ expirationSeconds: 0 }, /its line Lifetime cannot be read: "0s"/],
      ] as const
    ) assert.match(String(findFaults(readRequests(await encode(edit)))), want);
    const site = ["sha256:1"] as never;
    assert.match(String(findFaults(readRequests(await encode({}, { site })))), /^its line CA cannot be read/);
  });

  test("readRequests() refuses more than one request of a machine", async () => {
    const [front, item] = readParts(await encode());
    const { Signature: _, ...headers } = front!.headers;
    const many = encodeArmor("requests", [{ headers, sections: {} }, item!, item!]);
    assert.deepEqual(findFaults(readRequests(many)), ["its contents were altered after they were signed"]);
    const none = await encodeExport(ORIGIN, [], createCaKey(key));
    const [empty] = readParts(none);
    assert.deepEqual(findFaults(readRequests(encodeArmor("requests", [{ ...empty!, sections: {} }]))), [
      "it holds 0 requests, but a machine sends exactly one",
    ]);
  });

  test("readRequests() returns the certificate of the requester, whose key must have signed all of it", async () => {
    const held = await generatePrivateKey("ecdsa-p256");
    const chain = unwrapChain(await ca.issue({ publicKeyDer: held.publicKeyDer(), subject: SUBJECT }));
    const text = await encode({}, { requester: { chain, key: createCaKey(held) } });
    const { origin } = unwrap(readRequests(text));
    assert.deepEqual(origin, { kind: "machine", site: [], requester: chain });
    const wrong = ["the key of its requester's certificate did not sign it"];
    assert.deepEqual(
      findFaults(readRequests(await encode({}, { requester: { chain, key: createCaKey(key) } }))),
      wrong,
    );
    const [front, ...items] = readParts(text);
    const headers = { ...front!.headers, CA: publicKeyPin(ca.authority.certificate) };
    assert.deepEqual(findFaults(readRequests(encodeArmor("requests", [{ ...front!, headers }, ...items]))), wrong);
  });

  test("computeRequestId() is the same for the same key and contents, and another for any other", async () => {
    const id = computeRequestId(request);
    // Signatures of ECDSA are random on Node, so the request differs in its bytes.
    assert.equal(computeRequestId(createRequest(key)), id);
    const others = [
      createRequest(await generatePrivateKey("ecdsa-p256")),
      { ...request, usages: ["client auth"] },
      { ...request, signerName: "example.com/other" },
      { ...request, expirationSeconds: 86_401 },
    ];
    assert.equal(new Set([id, ...others.map((other) => computeRequestId(other))]).size, 5);
  });

  test("computeBundleId() depends on the whole content of a bundle", async () => {
    const ids = [
      await encode(),
      await encode({ usages: [] }),
      await encode({}, { site: [publicKeyPin(request.facts)] }),
    ]
      .map((text): string => computeBundleId(unwrap(readRequests(text)) as RequestBundle));
    assert.equal(new Set(ids).size, 3);
  });

  test("readAnswers() reports an answer that was cut or altered, and refuses a changed server although the checksum is right", async () => {
    const bundle = unwrap(readRequests(await encode()));
    const chain = unwrapChain(await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: SUBJECT }));
    const site = { serverCas: [ca.authority.certificate], server: "https://10.0.0.1:6443" };
    const answers = [{ request, outcome: { kind: "issued", chain } as const }];
    const text = await encodeAnswers(bundle, answers, site, [ca.authority], NOW);
    const read = unwrap(readAnswers(text));
    assert.deepEqual([read.server, read.serverCas, read.export], [site.server, site.serverCas, undefined]);
    assert.equal(read.answers[0]?.id, computeRequestId(request));
    assert.deepEqual(findFaults(readAnswers(text.slice(0, -20))), ['part 2 of 2 is cut off: "n1"']);
    assert.match(String(findFaults(readAnswers(text.replace("10.0.0.1", "10.0.0.2")))), /^part 1 of 2 is altered: its/);
    assert.deepEqual(findFaults(readAnswers("noise\n")), ["it holds no answers of tlsboot"]);
    const [front, ...items] = readParts(text, "answers");
    const headers = { ...front!.headers, Server: "https://evil.example:6443" };
    assert.deepEqual(findFaults(readAnswers(encodeArmor("answers", [{ ...front!, headers }, ...items]))), [
      "the signature of its CA does not match",
    ]);
  });

  test("findRequestName() accepts only the names of machines and CSRs, and no path", () => {
    assert.equal(findRequestName("n1.request.pem"), "n1");
    assert.equal(findRequestName("n1_serving.request.pem"), "n1_serving");
    for (const other of ["n1.answer.pem", ".request.pem", ".n1.request.pem", "../n1.request.pem", "N1.request.pem"]) {
      assert.equal(findRequestName(other), undefined, other);
    }
  });
});
