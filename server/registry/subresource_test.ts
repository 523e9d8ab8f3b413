import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
let app: TestApp;
let serial = 0;

describe("a subresource", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  /** Creates a CSR. Returns what was sent, and the resourceVersion of the created object. */
  async function createCsr(
    metadata: object = {},
  ): Promise<{ name: string; path: string; version: string; csr: object }> {
    const name = `update-${++serial}`;
    const csr = await buildCsr({ name, metadata: { name, ...metadata }, signerName: "example.com/x" });
    const created = await app.send("POST", CSRS, { body: csr });
    assert.equal(created.code, 201);
    return { name, path: `${CSRS}/${name}`, version: String(created.at("metadata/resourceVersion")), csr };
  }

  // `pkg/registry/certificates/certificates/strategy.go`, the strategies of `/approval` and `/status`.
  test("two approvers race: one 200, the other 409", async () => {
    const { path, version } = await createCsr();
    const current = JSON.parse((await app.send("GET", path)).text);
    const decide = (type: string) =>
      app.send("PUT", `${path}/approval`, { body: { ...current, status: { conditions: [{ type, status: "True" }] } } });
    const codes = (await Promise.all([decide("Approved"), decide("Denied")])).map(({ code }) => code);
    assert.deepEqual(codes.sort(), [200, 409]);
    assert.notEqual((await app.send("GET", path)).at("metadata/resourceVersion"), version);
  });

  for (
    const { name, subresource, first = [], then, code, message } of [
      {
        name: "add Approved",
        subresource: "status",
        then: ["Approved"],
        code: 422,
        message: /updates may not add a condition of type "Approved"$/,
      },
      { name: "add Failed", subresource: "status", then: ["Failed"], code: 200 },
      { name: "add Approved", subresource: "approval", then: ["Approved"], code: 200 },
      { name: "add Failed", subresource: "approval", then: ["Failed"], code: 200 },
      {
        name: "remove Approved",
        subresource: "approval",
        first: ["Approved"],
        then: [],
        code: 422,
        message: /updates may not remove a condition of type "Approved"$/,
      },
      {
        name: "remove Denied",
        subresource: "status",
        first: ["Denied"],
        then: [],
        code: 422,
        message: /updates may not remove a condition of type "Denied"$/,
      },
      {
        name: "remove Failed",
        subresource: "approval",
        first: ["Failed"],
        then: [],
        code: 422,
        message: /updates may not remove a condition of type "Failed"$/,
      },
      { name: "remove a custom condition", subresource: "approval", first: ["Custom"], then: [], code: 200 },
      {
        name: "add Denied to Approved",
        subresource: "approval",
        first: ["Approved"],
        then: ["Approved", "Denied"],
        code: 422,
        message: /status\.conditions: Invalid value: .*must specify at most one of/,
      },
      {
        name: "repeat a type",
        subresource: "approval",
        then: ["X", "X"],
        code: 422,
        message: /status\.conditions\[1\]\.type: Duplicate value: "X"$/,
      },
    ] satisfies readonly {
      name: string;
      subresource: string;
      first?: string[];
      then: string[];
      code: number;
      message?: RegExp;
    }[]
  ) {
    test(`/${subresource} answers ${code} to: ${name}`, async () => {
      const { path, csr } = await createCsr();
      const put = (sub: string, types: readonly string[]) =>
        app.send("PUT", `${path}/${sub}`, {
          body: { ...csr, status: { conditions: types.map((type) => ({ type, status: "True" })) } },
        });
      if (first.length > 0) assert.equal((await put("approval", first)).code, 200);
      const answer = await put(subresource, then);
      assert.equal(answer.code, code);
      if (message !== undefined) assert.match(String(answer.at("message")), message);
    });
  }

  test("/approval silently drops a certificate, /status sets it once", async () => {
    const { path, csr } = await createCsr();
    const ca = await createSigningCa();
    const certificate = encodeBase64(`text before\n${ca.certificatePem}between\n${ca.certificatePem}after`);
    const put = (sub: string, status: object) => app.send("PUT", `${path}/${sub}`, { body: { ...csr, status } });
    const dropped = await put("approval", { certificate, conditions: [{ type: "Approved", status: "True" }] });
    assert.equal(dropped.at("status/certificate"), undefined);
    const invalid = await put("status", { certificate: "Zm9v", conditions: [{ type: "Approved", status: "True" }] });
    assert.match(
      String(invalid.at("message")),
      /status\.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block$/,
    );
    const set = await put("status", { certificate, conditions: [{ type: "Approved", status: "True" }] });
    assert.equal(set.at("status/certificate"), certificate);
    const other = encodeBase64(ca.certificatePem);
    const again = await put("status", { certificate: other, conditions: [{ type: "Approved", status: "True" }] });
    assert.equal(again.code, 422);
    assert.match(String(again.at("message")), /updates may not modify existing certificate content$/);
  });
});
