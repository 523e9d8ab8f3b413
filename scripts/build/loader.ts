/**
 * The first script of the executable. It loads the scripts of the bundle from assets when they are required, with V8's
 * code caches, so that a start reads code instead of compiling it. esbuild converts this file to a CommonJS script, the
 * only form that Node embeds.
 *
 * Slow modules of Node are loaded on first use, so that `tlsboot version` does not load cryptography.
 */
import { Buffer } from "node:buffer";
import { compileAsset, createRequire, ENTRY, toCodeCacheName } from "./assets.ts";

type BuiltIn = Readonly<Record<PropertyKey, unknown>>;

declare const require: (name: string) => BuiltIn;

/** Modules that load slowly. They are plain objects; others, such as `assert`, are functions themselves. */
const SLOW = new Set([
  ...["child_process", "cluster", "crypto", "dns/promises", "fs/promises", "http", "http2", "https", "net"],
  ...["perf_hooks", "sqlite", "tls", "v8", "zlib"],
]);

// By `require`, because Deno, which checks the types, has no `node:sea`.
const { getRawAsset } = require("node:sea") as { readonly getRawAsset: (name: string) => ArrayBuffer };

createRequire((name) => {
  // Scripts are ASCII, so each byte is a character.
  const source = Buffer.from(getRawAsset(name)).toString("latin1");
  return compileAsset(name, source, Buffer.from(getRawAsset(toCodeCacheName(name))));
}, requireLazily)(`./${ENTRY}`);

/**
 * Creates a module that is loaded when it is first used. For `import x from "node:x"`, esbuild copies the names of a
 * module and inherits from its prototype. Here the list of names is empty, and the prototype has them.
 */
function requireLazily(name: string): unknown {
  if (!SLOW.has(name.replace(/^node:/, ""))) return require(name);
  let loaded: BuiltIn | undefined;
  const load = () => loaded ??= require(name);
  const names = {
    get: (_: unknown, key: PropertyKey) => key === "__esModule" ? undefined : load()[key],
    has: (_: unknown, key: PropertyKey) => key in load(),
  };
  const prototype = new Proxy({}, names);
  return new Proxy({}, { ...names, getPrototypeOf: () => prototype });
}
