import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, test } from "node:test";
import { encodeEnvelope } from "../../core/kube/wire/protobuf_envelope.ts";
import { encodeMessage } from "../../core/kube/wire/protobuf.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { describeRefusal } from "../../tests/support/describe_refusal.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";
import { readBody } from "./body.ts";
import { fromRequest } from "../loopback.ts";
import { MAX_BODY_BYTES } from "./limits.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const YAML = { "content-type": "application/yaml" };
const PROTOBUF = { "content-type": "application/vnd.kubernetes.protobuf" };
const WHAT = "the object provided is unrecognized (must be of type CertificateSigningRequest)";
const EMPTY_OBJECT = /is invalid: \[metadata\.name: Required value: name or generateName is required, spec\.request: /;
let app: TestApp;

function readRequest(request: Request): Promise<Uint8Array> {
  const incoming = fromRequest(request, { peer: undefined, remoteAddress: "192.0.2.1" });
  return readBody({ incoming, seat: undefined, isTimedOut: false, beginSteps: () => {} });
}

describe("a body", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  // The texts are those of a real kube-apiserver 1.37.2.
  for (
    const { name, body, headers = {}, code = 400, message } of [
      {
        name: "an empty body",
        body: "",
        message: `${WHAT}: couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)`,
      },
      {
        name: "truncated JSON",
        body: "{",
        message: `${WHAT}: couldn't get version/kind; json parse error: unexpected end of JSON input ({)`,
      },
      {
        name: "text",
        body: "hello",
        message: /json parse error: invalid character 'h' looking for beginning of value \(68656c6c6f\)$/,
      },
      {
        name: "a list",
        body: "[]",
        message: /json parse error: json: cannot unmarshal array into Go value of type struct \{ APIVersion string/,
      },
      { name: "null", body: "null", code: 422, message: EMPTY_OBJECT },
      { name: "an empty object", body: "{}", code: 422, message: EMPTY_OBJECT },
      {
        name: "a number for the version",
        body: '{"apiVersion":5}',
        message:
          `${WHAT}: couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .apiVersion of type string ({"apiVersion":5})`,
      },
      {
        name: "an unknown kind",
        body: '{"kind":"Foo"}',
        message:
          'Foo in version "v1" cannot be handled as a CertificateSigningRequest: no kind "Foo" is registered for version "certificates.k8s.io/v1" in scheme "pkg/runtime/scheme.go:111"',
      },
      {
        name: "an unknown version",
        body: '{"kind":"CertificateSigningRequest","apiVersion":"certificates.k8s.io/v2"}',
        message:
          'CertificateSigningRequest in version "v2" cannot be handled as a CertificateSigningRequest: no kind "CertificateSigningRequest" is registered for version "certificates.k8s.io/v2" in scheme "pkg/runtime/scheme.go:111"',
      },
      {
        name: "another kind",
        body: '{"kind":"Secret","apiVersion":"v1"}',
        message:
          'Secret in version "v1" cannot be handled as a CertificateSigningRequest: converting (v1.Secret) to (certificates.CertificateSigningRequest): unknown conversion',
      },
      {
        name: "a list of the kind",
        body: '{"kind":"CertificateSigningRequestList","apiVersion":"certificates.k8s.io/v1"}',
        message:
          /converting \(v1\.CertificateSigningRequestList\) to \(certificates\.CertificateSigningRequest\): unknown conversion$/,
      },
      {
        name: "a wrong type",
        body: '{"spec":{"usages":"x"}}',
        message:
          /^CertificateSigningRequest in version "v1" cannot be handled as a CertificateSigningRequest: json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec\.spec\.usages of type \[\]v1\.KeyUsage$/,
      },
      { name: "bad base64", body: '{"spec":{"request":"***"}}', message: /illegal base64 data at input byte 0$/ },
      {
        name: "nesting of 10,001",
        body: `{"a":${"[".repeat(10_001)}${"]".repeat(10_001)}}`,
        message: /exceeded max depth/,
      },
      {
        name: "bad YAML",
        body: "a: [",
        headers: YAML,
        message:
          /^the object provided is unrecognized \(must be of type CertificateSigningRequest\): yaml: line 1: .* \(613a205b\)$/,
      },
      { name: "empty YAML", body: "", headers: YAML, code: 422, message: EMPTY_OBJECT },
      {
        name: "protobuf without its magic",
        body: "abc",
        headers: PROTOBUF,
        message:
          `${WHAT}: provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (616263)`,
      },
      { name: "empty protobuf", body: "", headers: PROTOBUF, message: `${WHAT}: empty data (<empty>)` },
      { name: "nothing but the magic", body: "k8s\0", headers: PROTOBUF, message: `${WHAT}: empty body (6b387300)` },
      {
        name: "a truncated envelope",
        body: new Uint8Array(Buffer.from("6b3873000affff", "hex")),
        headers: PROTOBUF,
        message: `${WHAT}: unexpected EOF (6b3873000affff)`,
      },
      {
        name: "3 MiB and a byte",
        body: "x".repeat(3_145_729),
        code: 413,
        message: "Request entity too large: limit is 3145728",
      },
      {
        name: "an unknown media type",
        body: "x",
        headers: { "content-type": "text/plain" },
        code: 415,
        message:
          "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
      },
    ]
  ) {
    test(`POST answers ${code} to ${name}`, async () => {
      const answer = await app.send("POST", CSRS, { body, headers });
      assert.equal(answer.code, code);
      assert.equal(answer.at("kind"), "Status");
      assert.equal(answer.at("code"), code);
      if (typeof message === "string") assert.equal(answer.at("message"), message);
      else assert.match(String(answer.at("message")), message);
    });
  }

  test("POST accepts the same object as JSON, YAML and protobuf", async () => {
    const csr = await buildCsr({ signerName: "example.com/codecs" });
    const yaml =
      `metadata:\n  name: codec-yaml\nspec:\n  request: ${csr.spec.request}\n  signerName: example.com/codecs\n` +
      `  usages:\n  - digital signature\n  - client auth\n`;
    const { kind, apiVersion, ...rest } = { ...csr, metadata: { name: "codec-protobuf" } };
    const message = encodeMessage(certificateSigningRequestKind.schema, rest);
    const protobuf = encodeEnvelope(apiVersion ?? "", kind ?? "", message);
    const specs = [
      await app.send("POST", CSRS, { body: { ...csr, metadata: { name: "codec-json" } } }),
      await app.send("POST", CSRS, { body: yaml, headers: YAML }),
      await app.send("POST", CSRS, { body: new Uint8Array(protobuf), headers: PROTOBUF }),
    ].map((answer) => {
      assert.equal(answer.code, 201);
      return answer.at("spec");
    });
    assert.deepEqual(specs[1], specs[0]);
    assert.deepEqual(specs[2], specs[0]);
  });

  test("POST handles unknown and duplicate fields as fieldValidation specifies", async () => {
    const csr = await buildCsr({ name: "fields" });
    const text = JSON.stringify({ ...csr, spec: { ...csr.spec, foo: 1 } }).replace(
      '"usages"',
      '"usages":["any"],"usages"',
    );
    const post = (query: string) => app.send("POST", `${CSRS}?dryRun=All${query}`, { body: text });
    const strict = await post("&fieldValidation=Strict");
    assert.equal(strict.code, 400);
    assert.equal(
      strict.at("message"),
      'CertificateSigningRequest in version "v1" cannot be handled as a CertificateSigningRequest: strict decoding error: ' +
        'duplicate field "spec.usages", unknown field "spec.foo"',
    );
    const warned = await post("");
    assert.equal(warned.code, 201);
    assert.equal(
      warned.headers.get("warning"),
      '299 - "duplicate field \\"spec.usages\\"", 299 - "unknown field \\"spec.foo\\""',
    );
    const ignored = await post("&fieldValidation=Ignore");
    assert.equal(ignored.code, 201);
    assert.equal(ignored.headers.get("warning"), null);
    assert.match(
      String((await post("&fieldValidation=x")).at("message")),
      /^CreateOptions\.meta\.k8s\.io "" is invalid: fieldValidation: Unsupported value: "x"/,
    );
  });

  test("PATCH reports unknown fields in the order in which Go writes the result", async () => {
    const path = "/api/v1/namespaces/default/configmaps";
    await app.send("POST", path, { body: { metadata: { name: "patched" } } });
    const warn = async (type: string, body: object) => {
      const headers = { "content-type": `application/${type}+json` };
      const answer = await app.send("PATCH", `${path}/patched?dryRun=All`, { body, headers });
      return answer.headers.get("warning")?.match(/field \\"[a-z.]+/g)?.map((text) => text.slice(8));
    };
    const fields = { metadata: { foo: 1 }, bar: 1, zoo: 1 };
    assert.deepEqual(await warn("merge-patch", fields), ["bar", "metadata.foo", "zoo"]);
    assert.deepEqual(await warn("strategic-merge-patch", fields), ["bar", "metadata.foo", "zoo"]);
    const added = ["/metadata/foo", "/bar", "/zoo"].map((at) => ({ op: "add", path: at, value: 1 }));
    assert.deepEqual(await warn("json-patch", added), ["bar", "metadata.foo", "zoo"]);
  });

  test("protobuf and JSON reads of an object are equal, and unknown protobuf fields are ignored", async () => {
    const csr = await buildCsr({ name: "reads" });
    const created = await app.send("POST", CSRS, { body: csr });
    const read = await app.send("GET", `${CSRS}/reads`, { headers: { accept: PROTOBUF["content-type"] } });
    assert.equal(read.headers.get("content-type"), "application/vnd.kubernetes.protobuf");
    // Field 99 of the object, length-delimited, which is in no schema.
    const envelope = Buffer.from(read.bytes);
    const dry = await app.send("PUT", `${CSRS}/reads?dryRun=All`, {
      body: new Uint8Array(Buffer.concat([envelope, Buffer.from([0x9a, 0x06, 0x01, 0x78])])),
      headers: PROTOBUF,
    });
    assert.equal(dry.code, 200);
    assert.deepEqual(dry.at("spec"), created.at("spec"));
    assert.deepEqual(dry.at("metadata"), created.at("metadata"));
  });

  test("readBody() refuses a truncated body and one with malformed chunks", async () => {
    for (const headers of [{ "content-length": "5" }, {}]) {
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.error(new Error("aborted"));
        },
      });
      // A stream needs the option `duplex`, which the types do not have.
      const request = new Request("https://a", { method: "POST", body, headers, duplex: "half" } as RequestInit);
      await assert.rejects(
        readRequest(request),
        (error) => describeRefusal(error) === "400 unexpected EOF",
      );
    }
  });

  for (const isDeclared of [true, false]) {
    test(`readBody() reads 3 MiB and refuses one byte more: ${isDeclared ? "with a length" : "in chunks"}`, async () => {
      const read = (length: number) => {
        const headers = isDeclared ? { "content-length": `${length}` } : {};
        const body = new Blob([new Uint8Array(length)]).stream();
        const request = new Request("https://a", { method: "POST", body, headers, duplex: "half" } as RequestInit);
        return readRequest(request);
      };
      assert.equal((await read(MAX_BODY_BYTES)).length, MAX_BODY_BYTES);
      await assert.rejects(
        read(MAX_BODY_BYTES + 1),
        (error) => describeRefusal(error) === "413 Request entity too large: limit is 3145728",
      );
    });
  }

  test("readBody() keeps no buffer of the runtime", async () => {
    const piece = new Uint8Array(1);
    const incoming = {
      ...fromRequest(new Request("https://a"), { peer: undefined, remoteAddress: "192.0.2.1" }),
      readBody: (take: (piece: Uint8Array) => boolean) => {
        for (let index = 0; index < 100_000; index++) {
          piece[0] = index % 251;
          take(piece);
        }
        return Promise.resolve();
      },
    };
    const bytes = await readBody({ incoming, seat: undefined, isTimedOut: false, beginSteps: () => {} });
    assert.deepEqual(bytes, Uint8Array.from({ length: 100_000 }, (_, index) => index % 251));
  });
});
