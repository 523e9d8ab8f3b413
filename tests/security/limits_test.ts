/** Requests beyond a limit of docs/engineering/threat_model.md get a 4xx, and the server keeps serving. */
import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { test } from "node:test";
import { MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_TARGET_LENGTH } from "../../server/http/limits.ts";
import { buildRsaRequest } from "../support/crafted_rsa.ts";
import { buildCsr, buildRequest } from "../support/csr_builder.ts";
import { MASTERS } from "../support/privilege/identities.ts";
import { CSRS, describeTestedInstance } from "../support/privilege/tested_instance.ts";
import { sendRaw } from "../support/raw_http.ts";
import { createSigningCa } from "../support/signing_ca.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";

const NAMED = { subject: { commonName: "a" } };

/** Creates a list of distinct DNS names. */
function createNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `n${index}.example.org`);
}

/** Creates the body of a CSR for a client certificate. */
async function createCsrBody(name: string, request: string): Promise<string> {
  return JSON.stringify(await buildCsr({ name, request, signerName: "example.com/any", usages: ["client auth"] }));
}

/** A request beyond a limit, and the expected answer. */
interface Limit {
  readonly name: string;
  readonly code: number;
  readonly says: RegExp;
  readonly body: () => Promise<string> | string;
}

const LIMITS: readonly Limit[] = [
  {
    name: "a body of 3 MiB and a byte",
    code: 413,
    says: /limit is 3145728/,
    body: () => "x".repeat(MAX_BODY_BYTES + 1),
  },
  {
    name: "a list of 30,001 elements",
    code: 413,
    says: /too many elements, at most 30000 elements are read/,
    body: () => `{"metadata":{"finalizers":[${'"",'.repeat(30_000)}""]}}`,
  },
  { name: "JSON that is 10,001 deep", code: 400, says: /exceeded max depth/, body: () => "[".repeat(10_001) },
  {
    name: "a request with 10,001 names",
    code: 422,
    says: /spec\.request: Invalid value: .*too many subject alternative names: 10001, limit is 10000/s,
    body: async () => await createCsrBody("names", await buildRequest({ ...NAMED, dnsNames: createNames(10_001) })),
  },
  {
    name: "a request with as many names as fit into a body",
    code: 422,
    says: /spec\.request: Invalid value: .*too large: \d{7} bytes of DER, limit is 262144/s,
    body: async () =>
      await createCsrBody("most-names", await buildRequest({ ...NAMED, dnsNames: createNames(80_000) })),
  },
  {
    name: "a request with a name of 256 KiB",
    code: 422,
    says: /too large: \d{6} bytes of DER, limit is 262144/,
    body: async () => await createCsrBody("long", await buildRequest({ subject: { commonName: "a".repeat(262_144) } })),
  },
  {
    name: "a request for an RSA key of more than 16384 bits",
    code: 422,
    says: /crypto\/rsa: 16\d{3}-bit keys are too large: limit is 16384/,
    body: async () => await createCsrBody("rsa", buildRsaRequest(16_896)),
  },
  {
    name: "a request of as many broken blocks as fit into a body",
    code: 422,
    says: /PEM block type must be CERTIFICATE REQUEST/,
    body: async () =>
      await createCsrBody("blocks", encodeBase64("-----BEGIN CERTIFICATE REQUEST-----\n".repeat(60_000))),
  },
];

/** Sends a header of this length over HTTP/2 and returns the status code, or 0 without an answer. */
async function sendHeader(port: number, length: number): Promise<number> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    // Without this the client refuses to send the headers.
    maxSendHeaderBlockLength: 4_000_000,
  });
  const code = await new Promise<number>((resolve) => {
    session.on("error", () => resolve(0)).on("close", () => resolve(0));
    const stream = session.request({ ":path": "/version", "x-a": "a".repeat(length) });
    stream.on("response", (answer) => resolve(Number(answer[":status"]))).on("error", () => resolve(0)).resume();
  });
  session.destroy();
  return code;
}

describeTestedInstance("requests beyond a limit", [], (instance) => {
  for (const { name, code, says, body } of LIMITS) {
    test(`${name} is refused with ${code}, and the server keeps serving`, async () => {
      const sent = await body();
      assert.ok(code === 413 || sent.length <= MAX_BODY_BYTES, `${sent.length} bytes: another limit would answer`);
      const reply = await instance.as(MASTERS, "POST", CSRS, sent);
      assert.equal(reply.code, code, reply.text.slice(0, 300));
      assert.equal(reply.at("kind"), "Status");
      assert.match(reply.message, says);
      assert.equal((await instance.as(MASTERS, "GET", "/healthz")).code, 200);
    });
  }

  test("requests just within the limits are accepted", async () => {
    for (
      const [name, request] of [
        ["just-names", await buildRequest({ ...NAMED, dnsNames: createNames(10_000) })],
        // Deno itself verifies keys of up to 4096 bits only.
        ["just-rsa", buildRsaRequest("Deno" in globalThis ? 3_584 : 15_872)],
      ] as const
    ) {
      const reply = await instance.as(MASTERS, "POST", CSRS, await createCsrBody(name, request));
      assert.equal(reply.code, 201, reply.text.slice(0, 300));
    }
  });

  test("a status with 101 certificates is refused with 422", async () => {
    const { certificate } = await createSigningCa();
    const path = `${CSRS}/many-certificates`;
    await instance.admin("POST", CSRS, await createCsrBody("many-certificates", await buildRequest(NAMED)));
    const pem = encodePem("CERTIFICATE", certificate.der).repeat(101);
    const status = { certificate: encodeBase64(pem) };
    const reply = await instance.as(MASTERS, "PATCH", `${path}/status`, JSON.stringify({ status }), {
      contentType: "application/merge-patch+json",
    });
    assert.equal(reply.code, 422, reply.text.slice(0, 300));
    assert.match(reply.message, /status\.certificate: Invalid value: .*too many certificates: limit is 100/);
  });

  for (
    const { what, bytes, code } of [
      {
        what: "headers of more than 128 KiB",
        bytes: `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${"a".repeat(MAX_HEAD_BYTES)}`,
        code: 431,
      },
      { what: "a header whose name has a space", bytes: "GET / HTTP/1.1\r\nHost: x\r\nX A: a", code: 400 },
      { what: "a text that is not HTTP", bytes: "hello", code: 400 },
    ]
  ) {
    test(`${what}: refused with ${code} while the client still writes, and the server keeps serving`, async () => {
      const { text, codes } = await sendRaw(instance.server.port, `${bytes}\r\n\r\n${"b".repeat(4_000_000)}`);
      assert.deepEqual(codes, [code], text);
      assert.match(text, /\r\nConnection: close\r\n/);
      assert.equal((await instance.as(MASTERS, "GET", "/healthz")).code, 200);
    });
  }

  test("a request target of more than 64 KiB is refused before authentication", async () => {
    const request = (length: number) =>
      `GET /${"a".repeat(length - 1)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const { codes, text } = await sendRaw(instance.server.port, request(MAX_TARGET_LENGTH + 1));
    assert.deepEqual(codes, [414], text);
    assert.deepEqual((await sendRaw(instance.server.port, request(MAX_TARGET_LENGTH))).codes, [403]);
  });

  test("refused requests write little to the log, however long they are", async () => {
    const before = instance.stderr().length;
    for (let index = 0; index < 200; index++) {
      const head = `GET /${"a".repeat(60_000)}${index} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong`;
      const { codes } = await sendRaw(instance.server.port, `${head}\r\nConnection: close\r\n\r\n`);
      assert.deepEqual(codes, [401]);
    }
    const written = instance.stderr().slice(before);
    assert.match(written, /request refused: not authenticated/);
    // One line for each request would be twice as much. The log takes 20 kB in ten seconds, and the machine may be slow.
    assert.ok(written.length < 131_072, `${written.length} characters`);
  });

  test("headers of 200 KiB over HTTP/2 are refused or end the session, and the server keeps serving", async () => {
    assert.equal(await sendHeader(instance.server.port, 1_024), 200, "short headers are accepted");
    const code = await sendHeader(instance.server.port, 200_000);
    assert.ok([0, 431].includes(code), `${code}`);
    assert.equal((await instance.as(MASTERS, "GET", "/healthz")).code, 200);
  });
});
