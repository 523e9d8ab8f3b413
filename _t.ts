import { createTlsTransport } from "./client/transport.ts";
import { createServer } from "node:https";
import { createServer as plain } from "node:http";
import { readFileSync } from "node:fs";
import { Secret } from "./core/brand.ts";
const D = "/tmp/client-try/"; const r = (f: string) => readFileSync(D + f, "utf8");
const sig = new AbortController().signal;
async function go(name: string, server: string, opts = {}) {
  await using t = createTlsTransport({ server, caPem: r("ca.crt"), clock: { now: () => new Date(), sleepUntil: async () => {} }, userAgent: "x", token: async () => new Secret("admintoken"), ...opts });
  const t0 = Date.now();
  try { for (let i = 0; i < 2; i++) { const a = await t.send({ method: "GET", path: "/version", headers: {} }, sig); let n = ""; for await (const c of a.body) n += new TextDecoder().decode(c); console.log(name, a.status, n.length, Object.keys(a.headers).length); } }
  catch (e: any) { console.log(name, e.code, "|", e.message, "|", e.hint, "|", (e.cause as any)?.code, (e.cause as any)?.message, Date.now() - t0); }
}
await go("ok", "https://127.0.0.1:26443");
await go("ok-localhost", "https://localhost:26443");
await go("servername", "https://127.0.0.1:26443", { tlsServerName: "kubernetes" });
await go("bad servername", "https://127.0.0.1:26443", { tlsServerName: "nope" });
await go("wrong ca", "https://127.0.0.1:26443", { caPem: r("tls/ca2.crt") });
await go("no ca", "https://127.0.0.1:26443", { caPem: undefined });
await go("insecure", "https://127.0.0.1:26443", { caPem: undefined, insecureSkipTlsVerify: true });
await go("refused", "https://127.0.0.1:1");
await go("refused localhost", "https://localhost:1");
await go("nohost", "https://nohost.invalid:1");
await go("timeout", "https://10.255.255.1:1", { timeouts: { connectMs: 500 } });
for (const [n, c] of [["name", "tls/name.crt"], ["exp", "tls/exp.crt"], ["fut", "tls/fut.crt"]] as const) {
  const s = createServer({ cert: r(c), key: r("srv.key") }, (_q, a) => a.end("hi"));
  await new Promise<void>((d) => s.listen(0, "127.0.0.1", d));
  await go(n, `https://127.0.0.1:${(s.address() as any).port}`);
  s.closeAllConnections(); s.close();
}
const p = plain((_q, a) => a.end("hi")); await new Promise<void>((d) => p.listen(0, "127.0.0.1", d));
await go("plain", `https://127.0.0.1:${(p.address() as any).port}`); p.closeAllConnections(); p.close();
// abort in the middle of a watch
{ await using t = createTlsTransport({ server: "https://127.0.0.1:26443", caPem: r("ca.crt"), userAgent: "x", token: async () => new Secret("admintoken") });
const c = new AbortController(); const a = await t.send({ method: "GET", path: "/api/v1/namespaces?watch=true", headers: {} }, c.signal);
setTimeout(() => c.abort(new Error("my reason")), 300);
try { for await (const _ of a.body); console.log("ended?"); } catch (e: any) { console.log("aborted:", e.message); }
const c2 = new AbortController(); setTimeout(() => c2.abort(new Error("my reason2")), 30);
await t.send({ method: "GET", path: "/api/v1/namespaces?watch=true&resourceVersion=999999999", headers: {} }, c2.signal).catch((e) => console.log(e.message)); }
console.log("connect timer cleared check");
{ await using t = createTlsTransport({ server: "https://127.0.0.1:26443", caPem: r("ca.crt"), userAgent: "x", token: async () => new Secret("admintoken"), timeouts: { connectMs: 400 } });
 const s = createServer({ cert: r("srv.crt"), key: r("srv.key") }, (_q, a) => { setTimeout(() => a.end("slow"), 1200); });
 await new Promise<void>((d) => s.listen(0, "127.0.0.1", d));
 await go("slow", `https://127.0.0.1:${(s.address() as any).port}`, { timeouts: { connectMs: 400 } }); s.closeAllConnections(); s.close(); }
