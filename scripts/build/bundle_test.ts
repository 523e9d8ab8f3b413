import assert from "node:assert/strict";
import { basename } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { PACKAGES } from "../../cli/sbom/packages.ts";
import { bundle, findAssets, findNeeds } from "./bundle.ts";

/** The bundle of this checkout, which all tests read. */
const FACTS = { commit: "0123456789abcdef", date: "2026-01-31T12:00:00Z" };
const made = bundle(process.cwd(), FACTS);

test("bundle() includes no tool of the tests or of the build", async () => {
  const { metafile } = await made;
  const packages = Object.keys(metafile.inputs).flatMap((path) =>
    /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []
  );
  const tools = ["esbuild", "postject", "fast-check", "@peculiar/x509", "reflect-metadata"];
  assert.deepEqual(tools.filter((name) => packages.includes(name)), []);
  assert.ok(packages.includes("hono"));
});

test("bundle() includes the packages of the bill of materials and no others", async () => {
  const { metafile } = await made;
  const packages = Object.keys(metafile.inputs).flatMap((path) =>
    /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []
  );
  assert.deepEqual(new Set(packages), new Set(PACKAGES.map(({ name }) => name)));
});

test("bundle() makes scripts without import cycles, so that none sees another half initialized", async () => {
  const { entry, scripts, metafile } = await made;
  const left = new Map([...scripts.keys()].map((name) => [name, findNeeds(metafile, name)]));
  assert.ok(left.has(entry));
  for (let before = -1; left.size !== before;) {
    before = left.size;
    for (const [name, needs] of left) if (!needs.some((need) => left.has(need))) left.delete(name);
  }
  assert.deepEqual([...left.keys()], []);
});

test("findAssets() includes each script once, and groups those that a start needs", async () => {
  const { entry, scripts, metafile } = await made;
  const assets = findAssets(await made);
  const carried = [...assets.values()].join("\n");
  for (const [name, code] of scripts) assert.equal(carried.split(code).length, 2, name);
  const start = assets.get(entry) ?? "";
  assert.ok(findNeeds(metafile, entry).every((name) => start.includes(JSON.stringify(name))));
  assert.ok(assets.size > 50, "commands load what they need");
  const loaded = [...scripts.keys()].filter((name) => start.includes(`${JSON.stringify(name)}: function`));
  const inputs = Object.entries(metafile.outputs)
    .filter(([path]) => loaded.includes(basename(path)))
    .flatMap(([, output]) => Object.keys(output.inputs));
  assert.ok(inputs.includes("cli/run.ts"));
  const slow = [
    /^core\/(?:attestation|lib\/yaml|pki\/(?:asn1|authority)|rbac)\/|node_modules/,
    /^core\/kube\/(?:kinds\/(?!constants)|names|selectors|status\/)|^core\/lib\/proxy/,
    /^core\/pki\/x509\/(?!name_syntax)|^core\/request\/signer_name|^core\/token\/(?!token_options)/,
  ];
  assert.deepEqual(inputs.filter((path) => slow.some((item) => item.test(path))), [], "no command needs these before");
  const size = loaded.reduce((sum, name) => sum + (scripts.get(name) ?? "").length, 0);
  assert.ok(size <= 347_000, `every start loads ${size} characters`);
});

test("bundle() keeps `using` for Node: esbuild's replacement throws an earlier iteration's error again", async () => {
  const { scripts } = await made;
  const code = [...scripts.values()].join("\n");
  assert.match(code, /\bawait using \w+=/);
  assert.doesNotMatch(code, /__callDispose|__using/);
});
