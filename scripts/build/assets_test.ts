import assert from "node:assert/strict";
import { test } from "node:test";
import { compileAsset, createRequire, packScripts } from "./assets.ts";

const SCRIPTS = {
  main: 'module.exports = [require("./near.js"), require("./far.js"), require("./near.js"), require("node:other")];',
  near: "module.exports = { near: 1 };",
  far: 'module.exports = { far: require("./near.js").near + 1 };',
};

test("createRequire() runs packed and separate scripts once each, and passes other names to the other function", () => {
  const assets: Readonly<Record<string, string>> = {
    "main.js": packScripts([["main.js", SCRIPTS.main], ["near.js", SCRIPTS.near]], [["far.js", "others.js"]]),
    "others.js": packScripts([["others.js", ""], ["far.js", SCRIPTS.far]]),
  };
  const compiled: string[] = [];
  const asked: string[] = [];
  const require = createRequire((name) => {
    compiled.push(name);
    return compileAsset(name, assets[name] ?? "({})");
  }, (name) => asked.push(name));
  const [near, far, again] = require("./main.js") as [unknown, unknown, unknown];
  assert.deepEqual({ near, far }, { near: { near: 1 }, far: { far: 2 } });
  assert.equal(near, again);
  assert.deepEqual({ compiled, asked }, { compiled: ["main.js", "others.js"], asked: ["node:other"] });
});

test("createRequire() names the asset that does not have its script", () => {
  const require = createRequire((name) => compileAsset(name, "({})"), () => undefined);
  assert.throws(() => require("./main.js"), /the asset main\.js does not have the script main\.js/);
});

test("compileAsset() ignores a code cache that does not match", () => {
  const script = compileAsset("main.js", packScripts([["main.js", SCRIPTS.near]]), new Uint8Array(100));
  const require = createRequire(() => script, () => undefined);
  assert.deepEqual(require("./main.js"), { near: 1 });
});
