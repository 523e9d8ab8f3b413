import { connect } from "node:tls";
import { createServer } from "node:https";
import { readFileSync } from "node:fs";
const D = "/tmp/client-try/"; const r = (f: string) => readFileSync(D + f, "utf8");
for (const c of ["tls/exp.crt", "tls/fut.crt", "tls/name.crt"]) {
const s = createServer({ cert: r(c), key: r("srv.key") }, (_q, a) => a.end("hi"));
await new Promise<void>((d) => s.listen(0, "127.0.0.1", d));
await new Promise<void>((d) => { const k = connect({ host: "127.0.0.1", port: (s.address() as any).port, ca: r("ca.crt"), rejectUnauthorized: false }, () => { const p = k.getPeerCertificate(); console.log(k.authorized, k.authorizationError, p.valid_from, p.valid_to, p.subjectaltname); k.destroy(); d(); }); k.on("error", (e) => { console.log("err", e); d(); }); });
s.closeAllConnections(); s.close();
}
