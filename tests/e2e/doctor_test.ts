/**
 * `tlsboot doctor`: each case breaks exactly one thing of a real instance, reads the finding, runs its fix unchanged in a
 * shell, and sees the finding gone.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { chmod, copyFile, cp, mkdir, readFile, rename, rm, truncate, utimes, writeFile } from "node:fs/promises";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { issueClientPair, issuePair } from "../../instance/authority/issue_pair.ts";
import { type Authority, createAuthority, parseAuthority } from "../../core/pki/authority/authority.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { createCaKey, generatePrivateKey, parsePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import type { Clock } from "../../core/ports.ts";
import type { Finding } from "../../core/report/health/finding.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type Child, type Finished, runTlsboot, start, startTlsboot } from "../support/child.ts";
import { runCaptured } from "../support/run_captured.ts";
import { type Instance, spawnInstance } from "../support/instance_process.ts";
import { alternativeNames, encodeOddCertificate, keyUsage } from "../support/odd_certificate.ts";
import { runInShell } from "../support/shell.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const random = createSystemRandom();

let folder: TempFolder;
/** A program of its own: doctor names the program that has the port of a server. */
let instance: Instance<Child>;
/** Ends the folder, the instance, and the programs that cases started and that their fixes should have ended. */
const stack = new AsyncDisposableStack();

/** How far the clock of the machine under test is ahead. The shell's `date` of the test sets it. */
let clockAheadMs = 0;

/** Runs the program in this process, with the clock of the machine under test. */
function run(args: readonly string[]): Promise<Finished> {
  const system = createSystemClock();
  const clock: Clock = { ...system, now: () => new Date(system.now().getTime() + clockAheadMs) };
  return runCaptured(args, { cwd: folder.path, clock, random });
}

async function runWell(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args);
  assert.equal(code, 0, `${args.join(" ")}\n${stderr}`);
  return stdout;
}

const N1_FILES = ["--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"];

/** Writes a bootstrap kubeconfig with a new token for n1 alone, which approves a new certificate by itself. */
async function renewToken(): Promise<void> {
  await rm(folder.join("n1.kubeconfig"), { force: true });
  await runWell([
    ...["token", "create", "--data-dir", "data", "--node", "n1", "--approve"],
    ...["-o", "kubeconfig", "--server", instance.url, "--out", "n1.kubeconfig"],
  ]);
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(folder.join(path), "utf8");
  assert.notEqual(change(text), text);
  await writeFile(folder.join(path), change(text));
}

async function readAuthority(): Promise<Authority> {
  const [certificate, key] = await Promise.all(
    ["data/pki/ca.crt", "data/pki/ca.key"].map((path) => readFile(folder.join(path), "utf8")),
  );
  const authority = await parseAuthority(certificate!, key!);
  assert.ok(authority.ok);
  return authority.value;
}

/** Creates a CA, signed by another one or by itself. */
async function makeAuthority(commonName: string, lifetimeMs: number, issuer?: Authority): Promise<Authority> {
  const key = await generatePrivateKey("ecdsa-p256");
  const [notBefore, notAfter] = [new Date(Date.now() - HOUR_MS), new Date(Date.now() + lifetimeMs)];
  const serial = random.bytes(16);
  if (issuer === undefined) return await createAuthority({ commonName, key, notBefore, notAfter, serial });
  const names = { dnsNames: [], ipAddresses: [], emailAddresses: [], uris: [] };
  const usages = ["cert sign", "crl sign"];
  const plan = { ...names, subject: { commonName }, publicKeyDer: key.publicKeyDer(), notBefore, notAfter, usages };
  const certificate = parseCertificate(await issueCertificate({ ...plan, isCa: true }, issuer, serial));
  assert.ok(certificate.ok);
  return {
    ...issuer,
    certificate: certificate.value,
    issuers: [],
    intermediates: [certificate.value],
    key: createCaKey(key),
  };
}

/** Writes a folder of certificates: a root, an intermediate, and a leaf whose file has the given order. */
async function writeChain(
  name: string,
  order: readonly ("leaf" | "intermediate" | "root")[],
  { rootMs = 5 * YEAR_MS, leafMs = YEAR_MS } = {},
): Promise<void> {
  await mkdir(folder.join(name), { recursive: true });
  const root = await makeAuthority("root", rootMs);
  const intermediate = await makeAuthority("intermediate", 4 * YEAR_MS, root);
  const identity = { commonName: "web", organizations: [], lifetimeMs: leafMs };
  const clock = { now: () => new Date(Date.now() - 2 * HOUR_MS) };
  const leaf = await issueClientPair({ ...intermediate, intermediates: [] }, identity, { clock, random });
  const pem = (authority: Authority): string => encodePem("CERTIFICATE", authority.certificate.der);
  const parts = { leaf: leaf.certificatePem, intermediate: pem(intermediate), root: pem(root) };
  await writeFile(folder.join(`${name}/web.crt`), order.map((part) => parts[part]).join(""));
  await writeFile(folder.join(`${name}/web.key`), leaf.keyPem.reveal(), { mode: 0o600 });
  await writeFile(folder.join(`${name}/intermediate.crt`), pem(intermediate));
  await writeFile(folder.join(`${name}/root.crt`), pem(root));
}

/** Runs a printed command unchanged in a shell. The passphrase of a backup, which would be typed, is in a file. */
async function runFix(command: string): Promise<void> {
  // A test must not set the clock of this computer, so this sets that of the machine under test.
  const setClock = 'date() { for word; do case $word in --set=*) echo "$word" >new_time;; esac; done; }\n';
  const { code, stderr } = await runInShell(setClock + command, {
    cwd: folder.path,
    run: (line, options) => {
      const file = ["backup", "restore"].includes(line[0] ?? "") ? ["--passphrase-file", "passphrase"] : [];
      return runTlsboot([...line, ...file], options);
    },
  });
  assert.equal(code, 0, `${command}\n${stderr}`);
  const set = await readFile(folder.join("new_time"), "utf8").catch(() => undefined);
  if (set === undefined) return;
  clockAheadMs = Date.parse(set.slice("--set=".length).trim()) - Date.now();
  await rm(folder.join("new_time"));
}

/** Starts a program that is not tlsboot, and that listens on a port. */
async function listenElsewhere(): Promise<number> {
  const script =
    `require("node:net").createServer((socket) => socket.destroy()).listen(0, "127.0.0.1", function () { console.log(this.address().port); });`;
  await writeFile(folder.join("other.cjs"), script);
  const isDeno = process.versions["deno"] !== undefined;
  const running = stack.use(start(process.execPath, [...(isDeno ? ["run", "-A"] : []), folder.join("other.cjs")]));
  return Number((await running.waitFor(/^(\d+)$/m))[1]);
}

/** Examines targets and returns what is wrong with them. */
async function findProblems(targets: readonly string[]): Promise<readonly Finding[]> {
  const { code, stdout, stderr } = await run(["doctor", "-o", "json", ...targets]);
  const { findings }: { findings: readonly Finding[] } = JSON.parse(stdout);
  assert.equal(code, findings.some(({ severity }) => severity === "error") ? 1 : 0, stderr);
  return findings.filter(({ severity }) => severity === "error" || severity === "warning");
}

/** Copies the backup to the place where doctor looks for one, and returns its path. */
async function copyBackup(): Promise<string> {
  const path = folder.join("tlsboot.backup");
  await copyFile(folder.join("kept/tlsboot.backup"), path);
  return path;
}

interface Case {
  readonly name: string;
  /** The target, and flags for it. */
  readonly target: readonly string[];
  /** Breaks one thing and nothing else. */
  readonly breakIt: () => Promise<unknown>;
  /** The names of the checks that fail. Message and fix are those of the first one with a fix. */
  readonly check: string | readonly string[];
  readonly severity: Finding["severity"];
  readonly message: RegExp;
  readonly fix: RegExp;
  /** True for what only Linux reports. */
  readonly isLinuxOnly?: boolean;
}

/** A certificate such as the server makes for itself. */
const SERVING_PLAN = {
  subject: { commonName: "tlsboot" },
  dnsNames: ["localhost"],
  ipAddresses: ["127.0.0.1"],
  usages: ["digital signature", "server auth"],
  lifetimeMs: YEAR_MS,
};

const CASES: readonly Case[] = [
  {
    name: "a CA key that others can read",
    target: ["data"],
    breakIt: () => chmod(folder.join("data/pki/ca.key"), 0o644),
    check: "secret-files",
    severity: "error",
    message: /"data\/pki\/ca\.key" is not private: others may read it \(mode 644\)/,
    fix: /^chmod 600 data\/pki\/ca\.key$/,
  },
  {
    name: "a folder of keys that every user may write to",
    target: ["data"],
    breakIt: () => chmod(folder.join("data/pki"), 0o777),
    check: "secret-folders",
    severity: "error",
    message: /every user may write to "data\/pki"/,
    fix: /^chmod go-w data\/pki$/,
  },
  {
    name: "a key of another certificate, while the right key is elsewhere",
    target: ["data"],
    breakIt: async () => {
      await rename(folder.join("data/pki/apiserver.key"), folder.join("data/pki/old.key"));
      await copyFile(folder.join("data/pki/sa.key"), folder.join("data/pki/apiserver.key"));
      await chmod(folder.join("data/pki/apiserver.key"), 0o600);
    },
    check: "key-pair",
    severity: "error",
    message: /the key in "data\/pki\/apiserver\.key" does not belong to certificate "tlsboot"/,
    fix: /^cp data\/pki\/old\.key data\/pki\/apiserver\.key$/,
  },
  {
    name: "a serving certificate without an authority key identifier",
    target: ["data"],
    breakIt: async () => {
      const keys = await Promise.all(
        ["apiserver.key", "ca.key"].map((name) => readFile(folder.join(`data/pki/${name}`), "utf8")),
      );
      const [key, signer] = keys.map(parsePrivateKey);
      assert.ok(key?.ok === true && signer?.ok === true);
      const der = encodeOddCertificate({
        subject: "tlsboot",
        issuer: (await readAuthority()).certificate.subject.commonName,
        key: key.value,
        signer: signer.value,
        notBefore: new Date(Date.now() - HOUR_MS),
        notAfter: new Date(Date.now() + YEAR_MS),
        serial: Uint8Array.of(1),
        version: 3,
        extensions: [keyUsage(0), alternativeNames("IP:127.0.0.1")],
      });
      await writeFile(folder.join("data/pki/apiserver.crt"), encodePem("CERTIFICATE", der));
    },
    check: "strict-verifiers",
    severity: "warning",
    message:
      /Python 3\.13 refuse certificate "tlsboot" in "data\/pki\/apiserver\.crt": it has no authority key identifier/,
    fix: /^rm -f data\/pki\/apiserver\.crt data\/pki\/apiserver\.key$/,
  },
  {
    name: "a serving certificate for another address",
    target: ["data"],
    breakIt: async () => {
      const plan = { ...SERVING_PLAN, dnsNames: ["elsewhere.example"], ipAddresses: ["192.0.2.1"] };
      const clock = { now: () => new Date() };
      const { certificatePem, keyPem } = await issuePair(await readAuthority(), plan, { clock, random });
      await writeFile(folder.join("data/pki/apiserver.crt"), certificatePem);
      await writeFile(folder.join("data/pki/apiserver.key"), keyPem.reveal(), { mode: 0o600 });
    },
    check: "serving-names",
    severity: "error",
    message:
      /^the certificate "data\/pki\/apiserver\.crt" is not for "127\.0\.0\.1", the address in the administrator's /,
    fix: /^rm -f data\/pki\/apiserver\.crt data\/pki\/apiserver\.key$/,
  },
  {
    name: "an administrator's kubeconfig of another CA",
    target: ["data"],
    breakIt: async () => {
      const other = encodePem("CERTIFICATE", (await makeAuthority("other", 5 * YEAR_MS)).certificate.der);
      const data = Buffer.from(other).toString("base64");
      await edit("data/admin.kubeconfig", (text) => text.replace(/(certificate-authority-data): .*/, `$1: ${data}`));
    },
    check: "server-access",
    severity: "error",
    message: /cannot trust "https:\S+": its serving certificate is signed by an unknown authority/,
    fix: /^tlsboot kubeconfig admin --data-dir data --force --server https:\S+$/,
  },
  {
    name: "a request for a signer that does not run",
    target: ["data"],
    breakIt: async () => {
      const { code, stderr } = await run([
        ...["request", "--signer", "example.com/nobody", "--dns", "web.example.com", "--out", "web"],
        ...["--subject", "CN=web", "--data-dir", "data", "--no-wait"],
      ]);
      assert.equal(code, 0, stderr);
    },
    check: "signers",
    severity: "warning",
    message:
      /^request "\S+" is for a signer that does not run in the server: see that a signer for "example.com\/nobody" /,
    fix: /^tlsboot delete csr \S+ --data-dir data$/,
  },
  {
    name: "a bootstrap token without an end",
    target: ["data"],
    breakIt: () => runWell(["token", "create", "--data-dir", "data", "--ttl", "0"]),
    check: "tokens",
    severity: "warning",
    message: /^the bootstrap token [a-z0-9]{6} never expires: /,
    fix: /^tlsboot token delete [a-z0-9]{6} --data-dir data$/,
  },
  {
    name: "a backup that is older than a week",
    target: ["data"],
    breakIt: async () => {
      const path = await copyBackup();
      await utimes(path, new Date(), new Date(Date.now() - 8 * 24 * HOUR_MS));
    },
    check: "backup",
    severity: "warning",
    message: /the newest backup, "tlsboot\.backup", is from \S+: older than a week/,
    fix: /^tlsboot backup tlsboot\.backup --data-dir data --force$/,
  },
  {
    name: "a backup that is cut off",
    target: ["data"],
    breakIt: async () => await truncate(await copyBackup(), 2_000),
    check: "backup",
    severity: "warning",
    message: /^the backup "tlsboot\.backup" is cut off or damaged, and cannot be restored$/,
    fix: /^tlsboot backup tlsboot\.backup --data-dir data --force$/,
  },
  {
    name: "a database that is damaged",
    target: ["stopped"],
    breakIt: async () => {
      await copyBackup();
      const path = folder.join("stopped/tlsboot.db");
      const bytes = await readFile(path);
      await writeFile(path, bytes.fill(0xff, 4096, 8192));
    },
    check: "database",
    severity: "error",
    message: /^"stopped\/tlsboot\.db" is damaged: /,
    fix: /^tlsboot restore tlsboot\.backup --data-dir stopped --force$/,
  },
  {
    name: "a serving certificate that has expired",
    target: ["stopped"],
    breakIt: async () => {
      const plan = { ...SERVING_PLAN, lifetimeMs: HOUR_MS };
      const clock = { now: () => new Date(Date.now() - 2 * HOUR_MS) };
      const { certificatePem, keyPem } = await issuePair(await readAuthority(), plan, { clock, random });
      await writeFile(folder.join("stopped/pki/apiserver.crt"), certificatePem);
      await writeFile(folder.join("stopped/pki/apiserver.key"), keyPem.reveal(), { mode: 0o600 });
    },
    check: "expiry",
    severity: "error",
    message: /^certificate "tlsboot" in "stopped\/pki\/apiserver\.crt" expired at /,
    fix: /^rm -f stopped\/pki\/apiserver\.crt stopped\/pki\/apiserver\.key$/,
  },
  {
    name: "a certificate that lasts longer than its CA",
    target: ["stopped"],
    breakIt: async () => {
      const key = await generatePrivateKey("ecdsa-p256");
      const plan = {
        ...{ dnsNames: [], ipAddresses: ["127.0.0.1"], emailAddresses: [], uris: [], isCa: false },
        ...{ subject: { commonName: "tlsboot" }, publicKeyDer: key.publicKeyDer(), usages: ["server auth"] },
        notBefore: new Date(Date.now() - HOUR_MS),
        notAfter: new Date(Date.now() + 20 * YEAR_MS),
      };
      const der = await issueCertificate(plan, await readAuthority(), random.bytes(16));
      await writeFile(folder.join("stopped/pki/apiserver.crt"), encodePem("CERTIFICATE", der));
      await writeFile(folder.join("stopped/pki/apiserver.key"), key.toPem(), { mode: 0o600 });
    },
    check: "ca-expiry",
    severity: "warning",
    message:
      /^CA "tlsboot-ca" in "stopped\/pki\/ca\.crt" expires at \S+, before certificate "tlsboot" in "stopped\/pki\/apis/,
    fix: /^rm -f stopped\/pki\/apiserver\.crt stopped\/pki\/apiserver\.key$/,
  },
  {
    name: "a name of the server that cannot be resolved",
    target: ["stopped"],
    breakIt: () =>
      edit("stopped/admin.kubeconfig", (text) => text.replace("https://127.0.0.1:", "https://no-such-host.invalid:")),
    check: "dns",
    severity: "warning",
    message: /^the server's name "no-such-host\.invalid" cannot be resolved$/,
    fix: /^tlsboot kubeconfig admin --data-dir stopped --force --server https:\/\/127\.0\.0\.1:\d+$/,
  },
  {
    name: "another program on the port of a server",
    target: ["stopped"],
    breakIt: async () => {
      const port = await listenElsewhere();
      await edit("stopped/admin.kubeconfig", (text) => text.replace(/(server: https:\/\/127.0.0.1):\d+/, `$1:${port}`));
    },
    check: "port",
    severity: "error",
    message: /^port \d+ is used by another program, process \d+: /,
    fix: /^kill \d+$/,
    isLinuxOnly: true,
  },
  {
    name: "a server that may open few files",
    target: ["data"],
    breakIt: () => runFix(`prlimit --pid ${instance.running.pid} --nofile=512:`),
    check: "open-files",
    severity: "warning",
    message: /^the server \(process \d+\) has \d+ files open and may open 512; /,
    fix: /^prlimit --pid \d+ --nofile=\d+:$/,
    isLinuxOnly: true,
  },
  {
    name: "a CA of less than a year",
    target: ["short"],
    breakIt: () => Promise.resolve(),
    check: "ca-expiry",
    severity: "warning",
    message: /^CA "tlsboot-ca" in "short\/pki\/ca\.crt" expires at \S+, in 166 days: less than a year$/,
    fix: /^tlsboot ca rotate begin --data-dir short --duration 10y$/,
  },
  {
    name: "a CA of less than a year whose files are all there is",
    target: ["paper/pki"],
    breakIt: () => runWell(["ca", "init", "--data-dir", "paper", "--duration", "4000h"]),
    check: "ca-expiry",
    severity: "warning",
    message: /^CA "tlsboot-ca" in "paper\/pki\/ca\.crt" expires at \S+, in 166 days: less than a year$/,
    fix: /^tlsboot ca rotate begin --ca-cert paper\/pki\/ca\.crt /,
  },
  {
    name: "a machine that has not followed the replacement of a CA",
    target: ["s1/pki"],
    breakIt: () => runWell(["ca", "rotate", "begin", "--data-dir", "short", "--duration", "10y"]),
    check: ["ca-expiry", "trusted-cas"],
    severity: "warning",
    message: /^the server's CA is being replaced: it publishes a CA that "s1\/kubeconfig" does not trust yet$/,
    fix: /^tlsboot bootstrap --kubeconfig \S+ --cert-dir \S+ --hostname-override s1$/,
  },
  {
    name: "an intermediate that is missing",
    target: ["missing"],
    breakIt: () => writeChain("missing", ["leaf"]),
    check: "chain",
    severity: "error",
    message: /"missing\/web\.crt" lacks the intermediate CA "intermediate"/,
    fix: /^awk .* missing\/intermediate\.crt >> missing\/web\.crt$/,
  },
  {
    name: "a chain in the wrong order",
    target: ["order"],
    breakIt: () => writeChain("order", ["intermediate", "leaf"]),
    check: "chain",
    severity: "error",
    message: /the certificates in "order\/web\.crt" are in the wrong order/,
    fix: /^cp -p order\/web\.crt order\/web\.crt\.new && /,
  },
  {
    name: "a stray certificate in a chain",
    target: ["stray"],
    breakIt: async () => {
      await writeChain("stray", ["leaf", "intermediate"]);
      const other = encodePem("CERTIFICATE", (await makeAuthority("other", 5 * YEAR_MS)).certificate.der);
      await edit("stray/web.crt", (text) => text + other);
    },
    check: "chain",
    severity: "warning",
    message: /"stray\/web\.crt" contains CA "other", which did not issue any certificate in the file/,
    fix: /^cp -p stray\/web\.crt stray\/web\.crt\.new && /,
  },
  {
    name: "a machine's key that others can read",
    target: ["n1/pki"],
    breakIt: () => chmod(folder.join("n1/pki/kubelet-client-current.pem"), 0o640),
    check: "secret-files",
    severity: "error",
    message: /"n1\/pki\/kubelet-client-current\.pem" is not private/,
    fix: /^chmod 600 n1\/pki\/kubelet-client-current\.pem$/,
  },
  {
    name: "a folder that was copied, with links to the original",
    target: ["copy/pki"],
    breakIt: async () => {
      await cp(folder.join("n1"), folder.join("copy"), { recursive: true, verbatimSymlinks: true });
      await edit("copy/kubeconfig", (text) => text.replaceAll("/n1/pki/", "/copy/pki/"));
    },
    check: "copied-folder",
    severity: "warning",
    message: /"copy\/pki" looks like a copy: its certificate is "\S+\/n1\/pki\/kubelet-client-[\d-]+\.pem"/,
    fix: /^ln -sfn kubelet-client-[\d-]+\.pem copy\/pki\/kubelet-client-current\.pem$/,
  },
  {
    name: "a folder that was moved, whose link leads nowhere",
    target: ["moved/pki"],
    breakIt: async () => {
      await cp(folder.join("n1"), folder.join("old"), { recursive: true, verbatimSymlinks: true });
      await runFix(`ln -sfn "$PWD/old/pki/$(basename "$(readlink old/pki/kubelet-client-current.pem)")" \\
        old/pki/kubelet-client-current.pem`);
      await rename(folder.join("old"), folder.join("moved"));
      await edit("moved/kubeconfig", (text) => text.replaceAll("/n1/pki/", "/moved/pki/"));
    },
    check: "copied-folder",
    severity: "error",
    message: /"moved\/pki" looks like a copy/,
    fix: /^ln -sfn kubelet-client-[\d-]+\.pem moved\/pki\/kubelet-client-current\.pem$/,
  },
  {
    name: "a kubeconfig that keeps a certificate of its own while the folder's is renewed",
    target: ["n1/pki", "--kubeconfig", "n1/kubeconfig"],
    breakIt: async () => {
      const data = (await readFile(folder.join("n1/pki/kubelet-client-current.pem"))).toString("base64");
      await edit("n1/kubeconfig", (text) => text.replace(/(client-(?:certificate|key)): .*/g, `$1-data: ${data}`));
    },
    check: "renewed-pair",
    severity: "warning",
    message: /"n1\/kubeconfig" contains a certificate of its own, while renewals are stored in "\S+-current\.pem"/,
    fix: /^sed -i /,
  },
  {
    name: "a bootstrap token that is left on the machine and still works",
    target: ["n1/pki"],
    breakIt: async () => {
      await copyFile(folder.join("data/bootstrap.kubeconfig"), folder.join("n1/bootstrap.kubeconfig"));
    },
    check: "bootstrap-token",
    severity: "warning",
    message: /the bootstrap token [a-z0-9]{6} in "n1\/bootstrap\.kubeconfig" still works/,
    fix: /^rm n1\/bootstrap\.kubeconfig$/,
  },
  {
    name: "a CA in a machine's kubeconfig that its server has replaced",
    target: ["n1/pki"],
    breakIt: async () => {
      const old = encodePem("CERTIFICATE", (await makeAuthority("old", 5 * YEAR_MS)).certificate.der);
      const both = Buffer.from(await readFile(folder.join("data/pki/ca.crt"), "utf8") + old).toString("base64");
      await edit("n1/kubeconfig", (text) => text.replace(/(certificate-authority-data): .*/, `$1: ${both}`));
    },
    check: "trusted-cas",
    severity: "warning",
    message: /^"n1\/kubeconfig" still trusts a CA that the server has replaced$/,
    fix: /^tlsboot bootstrap --kubeconfig \S+ --cert-dir \S+ --hostname-override n1$/,
  },
  {
    name: "a clock that is three hours ahead",
    target: ["n1/pki"],
    breakIt: () => Promise.resolve(clockAheadMs = 3 * HOUR_MS),
    check: "clock",
    severity: "error",
    message: /this machine's clock is (?:3h0m|2h59m)\d+s ahead of the server's/,
    fix: /^date --utc --set=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  },
  {
    name: "the CA of another server in a machine's kubeconfig",
    target: ["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"],
    breakIt: async () => {
      await renewToken();
      const other = encodePem("CERTIFICATE", (await makeAuthority("other", 5 * YEAR_MS)).certificate.der);
      const data = Buffer.from(other).toString("base64");
      await edit("n1/kubeconfig", (text) => text.replace(/(certificate-authority-data): .*/, `$1: ${data}`));
    },
    check: "server-access",
    severity: "error",
    message: /cannot trust "https:\S+": its serving certificate is signed by an unknown authority/,
    fix:
      /^mv n1\/kubeconfig n1\/kubeconfig\.old && mv n1\/pki\/\S+ \S+\.old && tlsboot bootstrap .* \|\| ! \{ mv n1\/kubeconfig\.old n1\/kubeconfig; mv \S+\.old n1\/pki\/\S+; \}$/,
  },
  {
    name: "a certificate that was revoked",
    target: ["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"],
    breakIt: async () => {
      await renewToken();
      const [{ serialNumber }] = JSON.parse(
        await runWell(["inspect", "n1/pki/kubelet-client-current.pem", "-o", "json"]),
      );
      await runWell(["revoke", serialNumber, "--data-dir", "data", "--yes"]);
    },
    check: "server-access",
    severity: "error",
    message: /the server no longer accepts this machine's certificate: Unauthorized/,
    fix: /^rm -f n1\/kubeconfig n1\/pki\/kubelet-client-current\.pem && tlsboot bootstrap --bootstrap-kubeconfig \S+/,
  },
  {
    name: "a certificate of a machine that has expired",
    target: ["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"],
    breakIt: async () => {
      await renewToken();
      const identity = { commonName: "system:node:n1", organizations: ["system:nodes"], lifetimeMs: HOUR_MS };
      const clock = { now: () => new Date(Date.now() - 2 * HOUR_MS) };
      const { certificatePem, keyPem } = await issueClientPair(await readAuthority(), identity, { clock, random });
      await writeFile(folder.join("n1/pki/kubelet-client-current.pem"), certificatePem + keyPem.reveal());
    },
    check: ["kubeconfig", "client-certificate"],
    severity: "error",
    message: /expired at /,
    fix: /^rm -f n1\/kubeconfig n1\/pki\/kubelet-client-current\.pem && tlsboot bootstrap --bootstrap-kubeconfig \S+/,
  },
];

describe("tlsboot doctor", () => {
  before(async () => {
    folder = stack.use(await createTempFolder());
    instance = stack.use(await spawnInstance(folder, ["--auto-approve"]));
    await renewToken();
    await runWell(["bootstrap", "--bootstrap-kubeconfig", "n1.kubeconfig", ...N1_FILES, "--hostname-override", "n1"]);
    await writeFile(folder.join("passphrase"), "correct horse battery staple\n", { mode: 0o600 });
    await mkdir(folder.join("kept"));
    await runWell(["backup", "kept/tlsboot.backup", "--data-dir", "data", "--passphrase-file", "passphrase"]);
    await runWell([
      ...["restore", "kept/tlsboot.backup", "--data-dir", "stopped", "--passphrase-file", "passphrase"],
    ]);
    // An instance and a machine of a CA that ends soon.
    await runWell(["ca", "init", "--data-dir", "short", "--duration", "4000h"]);
    const short = ["up", "--data-dir", "short", "--secure-port", "0", "--auto-approve"];
    await stack.use(startTlsboot(short, { cwd: folder.path })).waitFor(/is up at/);
    await runWell([
      ...["bootstrap", "--bootstrap-kubeconfig", "short/bootstrap.kubeconfig", "--hostname-override", "s1"],
      ...["--kubeconfig", "s1/kubeconfig", "--cert-dir", "s1/pki"],
    ]);
  });
  after(() => stack.disposeAsync());

  test("tlsboot doctor finds nothing wrong with a new instance", async () => {
    const { code, stdout } = await run(["doctor", "--strict", "data"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^data\n {2}ok +readable /);
    assert.match(stdout, /\n\n0 errors, 0 warnings, \d+ ok, 1 skipped\n$/);
  });

  for (const { name, target, breakIt, check, severity, message, fix, isLinuxOnly } of CASES) {
    if (isLinuxOnly === true && process.platform !== "linux") continue;
    test(`tlsboot doctor finds ${name}, and its fix works unchanged`, async () => {
      await breakIt();
      const problems = await findProblems(target);
      const first = problems.find((one) => one.fix !== undefined);
      assert.deepEqual(
        problems.map((one) => `${one.severity} ${one.check}`),
        [check].flat().map((one) => `${severity} ${one}`),
      );
      assert.match(first?.message ?? "", message);
      assert.match(first?.fix ?? "", fix);
      await runFix(first?.fix ?? "");
      assert.deepEqual(await findProblems(target), []);
    });
  }

  test("the fix for a server that is not trusted puts the files back when it fails", async () => {
    const other = encodePem("CERTIFICATE", (await makeAuthority("other", 5 * YEAR_MS)).certificate.der);
    const replaceCa = (text: string): string =>
      text.replace(/(certificate-authority-data): .*/, `$1: ${Buffer.from(other).toString("base64")}`);
    const good = await readFile(folder.join("n1/kubeconfig"), "utf8");
    const pair = await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8");
    await edit("n1/kubeconfig", replaceCa);
    await edit("n1.kubeconfig", replaceCa);
    const [problem] = await findProblems(["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"]);
    await assert.rejects(runFix(problem?.fix ?? ""), /unknown authority/);
    assert.equal(await readFile(folder.join("n1/kubeconfig"), "utf8"), replaceCa(good));
    assert.equal(await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8"), pair);
    await writeFile(folder.join("n1/kubeconfig"), good);
  });

  test("tlsboot doctor gives advice and no command where a key or a token must be found first", async () => {
    const [key, kept] = [folder.join("data/pki/ca.key"), folder.join("ca.key")];
    await rename(key, kept);
    const [lost, ...others] = await findProblems(["data"]);
    await rename(kept, key);
    assert.deepEqual([lost?.severity, lost?.check, lost?.fix, others], ["warning", "key-pair", undefined, []]);
    assert.match(lost?.message ?? "", /^the key of CA "tlsboot-ca" is not next to "data\/pki\/ca\.crt"; /);

    // The name of the machine is in the pair that the link led to.
    await cp(folder.join("n1"), folder.join("lost"), { recursive: true, verbatimSymlinks: true });
    await edit("lost/kubeconfig", (text) => text.replaceAll("/n1/pki/", "/lost/pki/"));
    await rm(folder.join("lost/pki/kubelet-client-current.pem"));
    const problems = await findProblems(["lost/pki", "--kubeconfig", "lost/kubeconfig"]);
    assert.deepEqual(problems.map(({ check, fix }) => [check, fix]), [
      ["kubeconfig", undefined],
      ["client-certificate", undefined],
    ]);
    for (const { advice = "" } of problems) {
      assert.match(
        advice,
        /^make a token with: tlsboot token create --node n1, and give it on stdin to: tlsboot bootstrap /,
      );
      assert.match(advice, / --hostname-override n1$/);
    }
  });

  test("tlsboot doctor reports a file without the PEM block that its name promises", async () => {
    for (const target of ["order", "n1/pki"]) {
      await writeFile(folder.join(`${target}/empty.pem`), "");
      const problems = await findProblems([target]);
      await rm(folder.join(`${target}/empty.pem`));
      assert.deepEqual(problems.map(({ check, message }) => [check, message]), [
        ["readable", `"${target}/empty.pem" cannot be read: there is no PEM block in it`],
      ]);
    }
  });

  test("tlsboot doctor names the targets in a folder that is none, which is an error in a textfile, too", async () => {
    const machine = await run(["doctor", "n1", "-o", "json"]);
    for (const name of ["n1/pki", "n1/kubeconfig", "n1/pki/kubelet-client-current.pem"]) {
      assert.deepEqual(machine, await run(["doctor", name, "-o", "json"]), `a machine is found by ${name}`);
    }
    await cp(folder.join("n1"), folder.join("tlsboot-data/nodes/n9"), { recursive: true, verbatimSymlinks: true });
    assert.match((await run(["doctor", "n9"])).stdout, /^tlsboot-data\/nodes\/n9\/pki\n/);
    assert.match(
      (await run(["doctor", "n8"])).stderr,
      /"n8": there is no such file or folder here, in tlsboot-data\/nodes or in tlsboot-demo\/nodes\n/,
    );
    await mkdir(folder.join("configs"));
    await copyFile(folder.join("data/admin.kubeconfig"), folder.join("configs/admin.yaml"));
    assert.match(
      (await run(["doctor", "configs"])).stderr,
      /hint: name what is in it: tlsboot doctor configs\/admin\.yaml\n$/,
    );
    const { code, stdout } = await run(["doctor", "-o", "textfile", "configs"]);
    assert.equal(code, 1);
    assert.match(stdout, /^x509_read_errors 1$/m);
    assert.match(stdout, /^tlsboot_doctor_findings\{severity="error"\} 1$/m);
  });

  test("tlsboot policy check finds a rule that no request reaches, and its fix works unchanged", async () => {
    const page = await readFile("docs/guides/broken_machine.md", "utf8");
    const [, policy = ""] = /Save this as\n?[ ]?`web-policy\.yaml`:\n\n```yaml\n([^]*?)```/.exec(page) ?? [];
    await writeFile(folder.join("web-policy.yaml"), policy);
    assert.match(
      (await run(["doctor", "web-policy.yaml"])).stderr,
      /hint: check its rules with: tlsboot policy check web-policy\.yaml\n$/,
    );
    const { code, stdout } = await run(["policy", "check", "web-policy.yaml", "-o", "json"]);
    assert.equal(code, 1);
    const { findings: [found, ...others] }: { findings: readonly Finding[] } = JSON.parse(stdout);
    assert.deepEqual([found?.check, found?.severity, others], ["policy", "error", []]);
    assert.match(
      found?.message ?? "",
      /^rule "web" of policy "web" is never reached: rule "everything" decides about all its requests before it; /,
    );
    assert.match(found?.fix ?? "", /^sed -i 11,16d web-policy\.yaml$/);
    await runFix(found?.fix ?? "");
    await runWell(["policy", "check", "web-policy.yaml"]);
  });

  test("tlsboot doctor does not ask the server of a kubeconfig whose user has a plugin", async () => {
    const text = await readFile(folder.join("data/admin.kubeconfig"), "utf8");
    const exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugin}";
    const plugin = text.replace(/client-certificate-data: .*/, exec).replace(/^ *client-key-data: .*\n/m, "");
    await writeFile(folder.join("plugin.kubeconfig"), plugin, { mode: 0o600 });
    const { findings }: { findings: readonly Finding[] } = JSON.parse(
      await runWell(["doctor", "plugin.kubeconfig", "-o", "json"]),
    );
    const { severity, message } = findings.find(({ check }) => check === "server-access") ?? {};
    assert.equal(severity, "skipped");
    assert.match(message ?? "", /^exec of user ".*" is not supported$/);
  });

  test("tlsboot doctor --out replaces a textfile at once", async () => {
    await writeFile(folder.join("tlsboot.prom"), "old");
    const { code, stdout } = await run(["doctor", "-o", "textfile", "--out", "tlsboot.prom", "data"]);
    assert.deepEqual([code, stdout], [0, ""]);
    const text = await readFile(folder.join("tlsboot.prom"), "utf8");
    assert.match(
      text,
      /^x509_cert_not_after\{filename="ca\.crt",filepath="\S+\/data\/pki\/ca\.crt",serial_number="\d+",/m,
    );
    assert.match(text, /^tlsboot_doctor_findings\{severity="error"\} 0$/m);
    assert.match(text, /^x509_read_errors 0$/m);
  });
});
