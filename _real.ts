import { createConnector, readCluster } from "./client/connect.ts";
import { bootstrap } from "./client/bootstrap.ts";
import { runCertificateManager } from "./client/certificate_manager.ts";
import { createCertificateRequester } from "./client/certificate_requester.ts";
import { openCredentialStore } from "./client/credential_store.ts";
import { createFilePort } from "./client/files.ts";
import { createAccessReviewer } from "./client/access_reviewer.ts";
import { nodeSubject, parseNodeName } from "./core/bootstrap/node_name.ts";
import { createSystemClock, createSystemRandom } from "./cli/system.ts";
import { mkdtempSync, readFileSync, readdirSync, writeFileSync, copyFileSync } from "node:fs";
import { execSync } from "node:child_process";
const D = "/tmp/client-try/"; const K = "/root/.cache/tlsboot/kubernetes-v1.37.2/kubectl --kubeconfig /tmp/client-try/admin.conf ";
const logger: any = { debug() {}, info: (m: string) => console.log("  I", m), warn: (m: string, f: any) => console.log("  W", m, f.error), error: console.log, with: () => logger };
const files = createFilePort(), clock = createSystemClock(), random = createSystemRandom();
const connect = createConnector({ files, clock, userAgent: "tlsboot/t" });
function opts(edit: any = {}) { const d = mkdtempSync("/tmp/boot"); const nn = parseNodeName("n-" + d.slice(9)); if (!nn.ok) throw nn.error;
  return { bootstrapKubeconfigPath: D + "bootstrap.conf", kubeconfigPath: d + "/kubeconfig", certDir: d + "/pki", nodeName: nn.value, files, clock, random, logger, connect, ...edit }; }
const sig = new AbortController().signal;
const show = async (name: string, o: any) => { try { console.log(name, (await bootstrap(o, sig)).kind); } catch (e: any) { console.log(name, "->", e.code, "|", e.message, "|", e.hint); } };
writeFileSync(D + "bad.conf", readFileSync(D + "bootstrap.conf", "utf8").replace("nodetoken", "badtoken"));
await show("bad token", opts({ bootstrapKubeconfigPath: D + "bad.conf" }));
// no rights
execSync(K + "delete clusterrolebinding kb"); await new Promise((r) => setTimeout(r, 500));
await show("no rights", opts());
execSync(K + "create clusterrolebinding kb --clusterrole=system:node-bootstrapper --group=system:bootstrappers"); 
execSync(K + "delete clusterrolebinding ap"); await new Promise((r) => setTimeout(r, 500));
// pending, then denied
{ const o = opts({ onProgress: (e: any) => { if (e.kind === "submitted") setTimeout(() => execSync(K + "certificate deny " + e.name), 300); } }); await show("denied", o); await show("denied again", { ...o, onProgress: undefined }); }
// pending, abort, adopt, approve
{ const ac = new AbortController(); const o = opts({ onProgress: (e: any) => { if (e.kind === "submitted") setTimeout(() => ac.abort(new Error("killed")), 300); } });
  try { await bootstrap(o, ac.signal); } catch (e: any) { console.log("first:", e.message); }
  const r: any = await bootstrap({ ...o, onProgress: (e: any) => { if (e.kind === "submitted") { console.log("adopted", e.adopted); setTimeout(() => execSync(K + "certificate approve " + e.name), 300); } } }, sig);
  console.log("second:", r.kind, r.adopted); }
await show("timeout", opts({ waitSeconds: 2 }));
{ const o = opts({ onProgress: (e: any) => { if (e.kind === "submitted") setTimeout(() => execSync(K + "delete csr " + e.name), 500); } }); await show("deleted", o); }
execSync(K + "create clusterrolebinding ap --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers");
execSync(K + "create clusterrolebinding sn --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --group=system:nodes || true");
{ const o = opts(); console.log((await bootstrap(o, sig)).kind);
  const store = await openCredentialStore({ files, clock, certDir: o.certDir, prefix: "kubelet-client" });
  const template = { ...nodeSubject(o.nodeName), dnsNames: [], ipAddresses: [] };
  const ac = new AbortController(); let n = 0;
  // a clock far ahead makes the deadline due: 26 days of 30
  const ahead = { now: () => new Date(Date.now() + 27 * 86400e3), sleepUntil: clock.sleepUntil };
  await runCertificateManager({ store, template, clock: { now: () => new Date(Date.now() + (n === 0 ? 27 * 86400e3 : 0)), sleepUntil: clock.sleepUntil }, random, logger,
    requestCertificate: createCertificateRequester({ template, clock, random, logger, connect: async (c) => { console.log("credentials", c); return connect(await readCluster(c === "current" ? o.kubeconfigPath : o.bootstrapKubeconfigPath, files)); } }),
    onRotated: (p) => { console.log("rotated", p.leaf.serialNumber, p.leaf.notAfter); n++; setTimeout(() => ac.abort(new Error("enough")), 300); } }, ac.signal).catch((e) => console.log("manager:", e.message));
  console.log(readdirSync(o.certDir)); 
  console.log(execSync(K + "get csr -o custom-columns=N:.metadata.name,U:.spec.username | tail -2").toString());
  await using t = await connect(await readCluster(D + "admin.conf", files)); const rev = createAccessReviewer(t, { clock });
  const ask = (user: string) => rev.isAllowed({ user, groups: ["system:nodes"], resourceAttributes: { group: "certificates.k8s.io", resource: "certificatesigningrequests", subresource: "selfnodeclient", verb: "create" } }, sig);
  console.log("review", await ask("x"), await rev.isAllowed({ user: "x", resourceAttributes: { verb: "delete", resource: "nodes" } }, sig)); }
process.exit(0);
