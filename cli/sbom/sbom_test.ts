import assert from "node:assert/strict";
import { test } from "node:test";
import { PACKAGES } from "./packages.ts";
import { createSbomContent, renderSbom } from "./sbom.ts";

interface Part {
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly unknown[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly components?: readonly Part[];
}
interface Document {
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp?: string; readonly component: Part };
  readonly components: readonly Part[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const BUILD = { commit: "abc", date: "2026-01-31T12:00:00Z" };
const NODE = { node: "24.0.0", openssl: "3.5.0", v8: "13.6.1", modules: "137", napi: "10", nghttp3: "" };
const createBill = (options: Partial<Parameters<typeof createSbomContent>[0]> = {}): Document =>
  JSON.parse(renderSbom(
    createSbomContent({ version: "1.2.3", build: BUILD, packages: PACKAGES, versions: NODE, ...options }),
  ));

test("renderSbom() lists every package with version, licence and the hash of its archive", () => {
  const { components } = createBill();
  for (const { name, version } of PACKAGES) {
    const part = components.find(({ purl }) => purl === `pkg:npm/${name.replace("@", "%40")}@${version}`);
    assert.equal(part?.version, version, name);
    assert.equal(part?.licenses?.length, 1, name);
    assert.equal(part?.hashes?.[0]?.alg, "SHA-512");
    assert.match(part?.hashes?.[0]?.content ?? "", /^[0-9a-f]{128}$/);
  }
});

test("renderSbom() lists the runtime with its components, and no versions of interfaces", () => {
  const runtime = createBill().components.at(-1);
  assert.equal(runtime?.name, "node");
  assert.deepEqual(runtime?.components?.map(({ name, version }) => `${name} ${version}`), [
    "openssl 3.5.0",
    "v8 13.6.1",
  ]);
});

test("renderSbom() ignores versions that Deno reports for compatibility", () => {
  const versions = { ...NODE, deno: "2.9.6", sqlite: "3.53.1" };
  const runtime = createBill({ versions }).components.at(-1);
  assert.equal(runtime?.purl, "pkg:github/denoland/deno@v2.9.6");
  assert.deepEqual(runtime?.components?.map(({ name }) => name), ["sqlite", "v8"]);
});

test("renderSbom() has each reference once, and dependencies only on listed components", () => {
  const { metadata, components, dependencies } = createBill();
  const all = [metadata.component, ...components, ...components.flatMap((part) => part.components ?? [])];
  const refs = new Set(all.map((part) => part["bom-ref"]));
  assert.equal(refs.size, all.length);
  assert.deepEqual(dependencies.map(({ ref }) => ref).sort(), [...refs].sort());
  for (const { dependsOn } of dependencies) for (const ref of dependsOn) assert.ok(refs.has(ref), ref);
});

test("renderSbom() is the same for the same program, and has another serial number for another program", () => {
  assert.deepEqual(createBill(), createBill());
  assert.match(createBill().serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(createBill().serialNumber, createBill({ version: "1.2.4" }).serialNumber);
  assert.equal(createBill().metadata.timestamp, BUILD.date);
  assert.equal(createBill({ build: { commit: "unknown", date: "unknown" } }).metadata.timestamp, undefined);
});
