/** An instance, machines and files for `tlsboot doctor`, and functions that break them and run the printed fixes. */
import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import process from "node:process";
import { issueClientPair } from "../../instance/authority/issue_pair.ts";
import { type Authority, createAuthority, parseAuthority } from "../../core/pki/authority/authority.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { createCaKey, generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import type { Clock } from "../../core/ports.ts";
import type { Finding } from "../../core/report/health/finding.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type Child, type Finished, runTlsboot, start, startTlsboot } from "./child.ts";
import { runCaptured } from "./run_captured.ts";
import { type Instance, spawnInstance } from "./instance_process.ts";
import { runInShell } from "./shell.ts";
import { createTempFolder, type TempFolder } from "./temp.ts";

export const HOUR_MS = 3_600_000;
export const YEAR_MS: number = 365 * 24 * HOUR_MS;
const random = createSystemRandom();

/** A part of a file with a chain of certificates. */
type ChainPart = "leaf" | "intermediate" | "root";

/** A folder with an instance in `data` and its machine `n1`. Disposing it ends all programs. */
export interface DoctorFixture extends AsyncDisposable {
  readonly folder: TempFolder;
  /** A child process, because doctor names the program that listens on a server's port. */
  readonly instance: Instance<Child>;
  /** How far the clock of the machine under test is ahead. */
  clockAheadMs: number;
  /** Runs the program in this process, with the clock of the machine under test. */
  run(args: readonly string[]): Promise<Finished>;
  /** Runs a command that must succeed; returns its output. */
  succeed(args: readonly string[]): Promise<string>;
  /** Writes a bootstrap kubeconfig with a new token, whose requests for n1 are approved. */
  renewToken(): Promise<void>;
  /** Changes the text of a file. */
  edit(path: string, change: (text: string) => string): Promise<void>;
  readAuthority(): Promise<Authority>;
  /** Writes a folder of certificates: a root, an intermediate, and a leaf whose file has the given order. */
  writeChain(name: string, order: readonly ChainPart[]): Promise<void>;
  /** Runs a printed command unchanged in a shell, but reads the passphrase of a backup from a file. */
  runFix(command: string): Promise<void>;
  /** Starts a program that is not tlsboot, and that listens on a port. */
  listenElsewhere(): Promise<number>;
  /** Runs doctor and returns its errors and warnings. */
  findProblems(targets: readonly string[]): Promise<readonly Finding[]>;
  /** Copies the backup to the place where doctor looks for one, and returns its path. */
  copyBackup(): Promise<string>;
}

/** Creates a CA that is signed by another one or by itself. */
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

/** Creates an untrusted CA that is valid for five years, and returns its certificate. */
export async function makeCaPem(commonName: string): Promise<string> {
  return encodePem("CERTIFICATE", (await makeAuthority(commonName, 5 * YEAR_MS)).certificate.der);
}

/**
 * Creates the folder: an instance with a machine, a backup, a restored data directory, and an instance whose CA ends
 * soon.
 */
export async function createDoctorFixture(): Promise<DoctorFixture> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder());
  const instance = stack.use(await spawnInstance(folder, ["--auto-approve"]));
  let clockAheadMs = 0;

  function run(args: readonly string[]): Promise<Finished> {
    const system = createSystemClock();
    const clock: Clock = { ...system, now: () => new Date(system.now().getTime() + clockAheadMs) };
    return runCaptured(args, { cwd: folder.path, clock, random });
  }

  async function succeed(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 0, `${args.join(" ")}\n${stderr}`);
    return stdout;
  }

  async function renewToken(): Promise<void> {
    await rm(folder.join("n1.kubeconfig"), { force: true });
    await succeed([
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

  async function writeChain(
    name: string,
    order: readonly ChainPart[],
  ): Promise<void> {
    await mkdir(folder.join(name), { recursive: true });
    const root = await makeAuthority("root", 5 * YEAR_MS);
    const intermediate = await makeAuthority("intermediate", 4 * YEAR_MS, root);
    const identity = { commonName: "web", organizations: [], lifetimeMs: YEAR_MS };
    const clock = { now: () => new Date(Date.now() - 2 * HOUR_MS) };
    const leaf = await issueClientPair({ ...intermediate, intermediates: [] }, identity, { clock, random });
    const pem = (authority: Authority): string => encodePem("CERTIFICATE", authority.certificate.der);
    const parts = { leaf: leaf.certificatePem, intermediate: pem(intermediate), root: pem(root) };
    await writeFile(folder.join(`${name}/web.crt`), order.map((part) => parts[part]).join(""));
    await writeFile(folder.join(`${name}/web.key`), leaf.keyPem.reveal(), { mode: 0o600 });
    await writeFile(folder.join(`${name}/intermediate.crt`), pem(intermediate));
    await writeFile(folder.join(`${name}/root.crt`), pem(root));
  }

  async function runFix(command: string): Promise<void> {
    // A test must not set the clock of this computer, so `date` sets that of the machine under test.
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

  async function listenElsewhere(): Promise<number> {
    const script =
      `require("node:net").createServer((socket) => socket.destroy()).listen(0, "127.0.0.1", function () { console.log(this.address().port); });`;
    await writeFile(folder.join("other.cjs"), script);
    const isDeno = process.versions["deno"] !== undefined;
    const running = owned.use(start(process.execPath, [...(isDeno ? ["run", "-A"] : []), folder.join("other.cjs")]));
    return Number((await running.waitFor(/^(\d+)$/m))[1]);
  }

  async function findProblems(targets: readonly string[]): Promise<readonly Finding[]> {
    const { code, stdout, stderr } = await run(["doctor", "-o", "json", ...targets]);
    const { findings }: { findings: readonly Finding[] } = JSON.parse(stdout);
    assert.equal(code, findings.some(({ severity }) => severity === "error") ? 1 : 0, stderr);
    return findings.filter(({ severity }) => severity === "error" || severity === "warning");
  }

  async function copyBackup(): Promise<string> {
    const path = folder.join("tlsboot.backup");
    await copyFile(folder.join("kept/tlsboot.backup"), path);
    return path;
  }

  await renewToken();
  await succeed([
    ...["bootstrap", "--bootstrap-kubeconfig", "n1.kubeconfig", "--hostname-override", "n1"],
    ...["--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"],
  ]);
  await writeFile(folder.join("passphrase"), "correct horse battery staple\n", { mode: 0o600 });
  await mkdir(folder.join("kept"));
  await succeed(["backup", "kept/tlsboot.backup", "--data-dir", "data", "--passphrase-file", "passphrase"]);
  await succeed([
    ...["restore", "kept/tlsboot.backup", "--data-dir", "stopped", "--passphrase-file", "passphrase"],
  ]);
  // An instance whose CA ends soon, and its machine.
  await succeed(["ca", "init", "--data-dir", "short", "--duration", "4000h"]);
  const short = ["up", "--data-dir", "short", "--secure-port", "0", "--auto-approve"];
  await stack.use(startTlsboot(short, { cwd: folder.path })).waitFor(/is up at/);
  await succeed([
    ...["bootstrap", "--bootstrap-kubeconfig", "short/bootstrap.kubeconfig", "--hostname-override", "s1"],
    ...["--kubeconfig", "s1/kubeconfig", "--cert-dir", "s1/pki"],
  ]);
  const owned = stack.move();
  return {
    folder,
    instance,
    get clockAheadMs() {
      return clockAheadMs;
    },
    set clockAheadMs(ms) {
      clockAheadMs = ms;
    },
    run,
    succeed,
    renewToken,
    edit,
    readAuthority,
    writeChain,
    runFix,
    listenElsewhere,
    findProblems,
    copyBackup,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
