import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCorpusFile } from "../comparison/corpus.ts";
import { SERVED_KINDS } from "../comparison/served_kinds.ts";
import { formatCorpusFile } from "./report.ts";
import { createScene } from "./scenes.ts";

const scenes = Array.from({ length: 300 }, (_, index) => createScene(1, index));

test("createScene() generates the same scene for the same seed and number, and different ones otherwise", () => {
  for (const scene of scenes) assert.deepEqual(createScene(scene.seed, scene.index), scene);
  assert.equal(new Set(scenes.map(({ exchanges }) => JSON.stringify(exchanges))).size, scenes.length);
  assert.notDeepEqual(createScene(2, 0).exchanges, createScene(1, 0).exchanges);
});

test("createScene() covers every kind, method, patch type and body form", () => {
  const exchanges = scenes.flatMap((scene) => scene.exchanges);
  for (const { kind, subresources } of SERVED_KINDS) {
    const matching = exchanges.filter(({ send }) => send.includes(`/${kind.plural}`));
    assert.ok(matching.length > 20, `${kind.plural}: ${matching.length}`);
    for (const { name } of subresources) assert.ok(matching.some(({ send }) => send.includes(`/${name}`)), name);
  }
  const methods = new Set(exchanges.map(({ send }) => send.split(" ")[0]));
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]) assert.ok(methods.has(method), method);
  const patches = new Set(
    exchanges.map(({ headers }) => String(headers["Content-Type"]).match(/^application\/(.*patch)\+/)?.[1]),
  );
  assert.deepEqual(new Set(["json-patch", "merge-patch", "strategic-merge-patch", "apply-patch", undefined]), patches);
  const forms = new Set(exchanges.map(({ body }) => body?.form));
  for (const form of ["json", "yaml", "protobuf", "text", undefined]) assert.ok(forms.has(form as "json"), form);
});

test("createScene() never lists or deletes objects of other scenes", () => {
  for (const { exchanges, index } of scenes) {
    for (const { send } of exchanges) {
      const isCollection =
        /^(GET|HEAD|DELETE) \S*\/v1\/(certificatesigningrequests|clusterroles|clusterrolebindings|nodes|csinodes|namespaces)(\?|$)/
          .test(send);
      if (isCollection) assert.match(send, /labelSelector=/, `scene ${index}: ${send}`);
    }
  }
});

test("formatCorpusFile() writes entries that parseCorpusFile() reads", () => {
  const some = scenes.slice(0, 50);
  const text = formatCorpusFile(some, "Found by chance");
  const { exchanges } = parseCorpusFile("found", text);
  assert.ok(exchanges.length >= some.flatMap((scene) => scene.exchanges).length);
  assert.ok(!text.includes("${scene}"), text);
});
