/** Requests on a stick: what is written is read again, and what was cut or altered is named. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { createIssuingCa, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import { parseCertificateChain } from "../bootstrap/credential_pair.ts";
import { generatePrivateKey, type PrivateKey } from "../pki/keys.ts";
import { createCertificationRequest, parseCertificationRequest } from "../pki/pkcs10.ts";
import { publicKeyPin } from "../pki/public_key_pin.ts";
import {
  computeRequestId,
  encodeOfflineRequest,
  findRequesterFault,
  findRequestName,
  type OfflineRequest,
  parseOfflineRequest,
  proveRequester,
} from "./request_file.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const SUBJECT = { commonName: "system:node:n1", organizations: ["system:nodes"] };

let ca: IssuingCa;
let key: PrivateKey;
let request: OfflineRequest;

describe("a request file", () => {
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
      site: [publicKeyPin(ca.authority.certificate)],
    };
  }

  function read(text: string): OfflineRequest {
    const parsed = parseOfflineRequest(text);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    return parsed.value;
  }

  test("parseOfflineRequest() reads what encodeOfflineRequest() writes, also after an editor changed blanks and line ends", () => {
    const text = encodeOfflineRequest(request);
    for (const edited of [text, text.replaceAll("\n", "\r\n"), `\ufeff${text}\n\n`, text.replaceAll("\n", " \n")]) {
      const { facts, ...rest } = read(edited);
      const { facts: wanted, ...wantedRest } = request;
      assert.deepEqual(rest, wantedRest);
      assert.deepEqual(facts.der, wanted.der);
    }
  });

  test("parseOfflineRequest() names a file that was cut anywhere", () => {
    const lines = encodeOfflineRequest(request).trimEnd().split("\n");
    for (let kept = 1; kept < lines.length; kept++) {
      const parsed = parseOfflineRequest(lines.slice(0, kept).join("\n"));
      assert.match(parsed.ok ? "read" : parsed.error, /^it is cut off: /, `${kept} lines`);
    }
    assert.deepEqual(parseOfflineRequest(""), { ok: false, error: "it is empty" });
  });

  test("parseOfflineRequest() names a file that was altered anywhere", () => {
    const text = encodeOfflineRequest(request).trimEnd();
    for (let at = 0; at < text.length; at++) {
      if (/\s/.test(text[at]!)) continue;
      const altered = text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
      const parsed = parseOfflineRequest(altered);
      assert.match(parsed.ok ? "read" : parsed.error, /^it (?:was altered|is cut off)/, `character ${at}`);
    }
  });

  test("parseOfflineRequest() refuses control characters that should be escaped, although the checksum is the same", () => {
    const text = encodeOfflineRequest({ ...request, signerName: "example.com/\u001b[2J" });
    assert.match(text, /^Signer: example\.com\/\\u001b\[2J$/m);
    const parsed = parseOfflineRequest(text.replace("\\u001b", "\u001b"));
    assert.equal(
      parsed.ok ? "read" : parsed.error,
      'it was altered: the line "Signer: example.com/\\u001b[2J" cannot be read',
    );
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

  test("findRequesterFault() accepts the holder of a valid certificate of the same subject and no one else", async () => {
    const held = await generatePrivateKey("ecdsa-p256");
    const prove = async (edit: Parameters<IssuingCa["issue"]>[0], by = held, from = ca): Promise<OfflineRequest> => {
      const chain = parseCertificateChain(await from.issue(edit));
      assert.ok(chain.ok);
      const requester = { chain: chain.value, signature: proveRequester(computeRequestId(request), by) };
      return read(encodeOfflineRequest({ ...request, requester }));
    };
    const find = (one: OfflineRequest): string | undefined => findRequesterFault(one, [ca.authority.certificate], NOW);
    const own = { publicKeyDer: held.publicKeyDer(), subject: SUBJECT };
    assert.equal(find(await prove(own)), undefined);
    assert.match(find(await prove(own, key)) ?? "", /did not sign it/);
    assert.match(find(await prove({ ...own, subject: { commonName: "system:node:n2" } })) ?? "", /another subject/);
    assert.match(find(await prove({ ...own, notAfter: new Date(NOW.getTime() - 1_000) })) ?? "", /expired/);
    assert.match(find(await prove(own, held, await createIssuingCa(NOW))) ?? "", /not valid here/);
    assert.match(find({ ...await prove(own), usages: ["server auth"] }) ?? "", /did not sign it/);
    assert.equal(find(request), "it names no certificate");
  });

  test("findRequestName() takes only the names of machines and CSRs, and no path", () => {
    assert.equal(findRequestName("n1.request.pem"), "n1");
    assert.equal(findRequestName("n1_serving.request.pem"), "n1_serving");
    for (const other of ["n1.answer.pem", ".request.pem", ".n1.request.pem", "../n1.request.pem", "N1.request.pem"]) {
      assert.equal(findRequestName(other), undefined, other);
    }
  });
});
