/**
 * What the executable runs first: it takes the bundle that it carries, and V8's code cache for it, so that what a start
 * needs is read instead of compiled. esbuild makes a CommonJS script of it, the one form that Node embeds.
 *
 * Slow modules of Node load when something of them is first used: `tlsboot version` pays for no cryptography.
 */
import { Buffer } from "node:buffer";
import { BUNDLE_ASSET, CODE_CACHE_ASSET, compileBundle, mainOf } from "./assets.ts";

type BuiltIn = Readonly<Record<PropertyKey, unknown>>;

declare const require: (name: string) => BuiltIn;

/** Those that take time. They are bags of names; others, such as `assert`, are functions themselves. */
const SLOW = new Set([
  ...["child_process", "cluster", "crypto", "dns/promises", "fs/promises", "http", "http2", "https", "net", "sqlite"],
  ...["tls", "zlib"],
]);

// By `require`, because Deno, which checks the types, has no `node:sea`.
const { getRawAsset } = require("node:sea") as { readonly getRawAsset: (name: string) => ArrayBuffer };
// A byte a character: the bundle is ASCII.
const source = Buffer.from(getRawAsset(BUNDLE_ASSET)).toString("latin1");
mainOf(compileBundle(source, Buffer.from(getRawAsset(CODE_CACHE_ASSET))))(requireLazily);

function requireLazily(name: string): unknown {
  if (!SLOW.has(name.replace(/^node:/, ""))) return require(name);
  let loaded: BuiltIn | undefined;
  const load = () => loaded ??= require(name);
  return new Proxy({}, {
    get: (_, key) => load()[key],
    has: (_, key) => key in load(),
    ownKeys: () => Reflect.ownKeys(load()),
    // Of a target that has nothing, only what could change may be told.
    getOwnPropertyDescriptor: (_, key) => ({ ...Object.getOwnPropertyDescriptor(load(), key), configurable: true }),
  });
}
