/**
 * What the executable runs first: it takes the scripts that it carries as they are required, and V8's code caches for
 * them, so that what a start needs is read instead of compiled. esbuild makes a CommonJS script of it, the one form that
 * Node embeds.
 *
 * Slow modules of Node load when something of them is first used: `tlsboot version` pays for no cryptography.
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
  // A byte a character: scripts are ASCII.
  const source = Buffer.from(getRawAsset(name)).toString("latin1");
  return compileAsset(name, source, Buffer.from(getRawAsset(toCodeCacheName(name))));
}, requireLazily)(`./${ENTRY}`);

/**
 * Creates a module that is loaded when it is first used. `import x from "node:x"` makes esbuild list the names of a module
 * and inherit from its prototype: the list is empty here, and the prototype has the names.
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
