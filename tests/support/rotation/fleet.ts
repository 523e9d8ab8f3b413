/** A fleet of machines that renew their certificates, in a few processes, each machine with its own files and connections. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { parseKubeconfig } from "../../../core/kube/kubeconfig.ts";
import { parseCaBundle } from "../../../core/pki/ca_bundle.ts";
import { parseCertificateChain } from "../../../core/bootstrap/credential_pair.ts";
import type { CertificateFacts } from "../../../core/pki/certificate.ts";
import { NODE_FLAGS, ROOT, type Running, start } from "../child.ts";

/** A machine of the fleet, by its files. */
export interface FleetMachine {
  readonly name: string;
  readonly kubeconfig: string;
  /** Reads the certificates that it trusts for the server; none before it has a kubeconfig. */
  readTrusted(): Promise<readonly CertificateFacts[]>;
  /** Reads its client certificate; undefined before it has one. */
  readCertificate(): Promise<CertificateFacts | undefined>;
}

/** A running fleet. Disposing ends it. */
export interface Fleet extends AsyncDisposable {
  readonly machines: readonly FleetMachine[];
  /** Lists the machines whose command has ended, which none may. */
  ended(): readonly string[];
  output(): string;
}

/** The number of machines in one process. */
const MACHINES_PER_PROCESS = 100;

/** Starts the machines; each begins with its bootstrap. */
export function startFleet(folder: string, bootstrapKubeconfig: string, count: number): Fleet {
  const script = join(ROOT, "tests", "support", "rotation", "fleet_process.ts");
  const node = process.env["TLSBOOT_TEST_NODE"];
  const processes: Running[] = [];
  for (let first = 0; first < count; first += MACHINES_PER_PROCESS) {
    const args = [folder, bootstrapKubeconfig, `${first}`, `${Math.min(MACHINES_PER_PROCESS, count - first)}`];
    processes.push(
      node === undefined
        ? start(process.execPath, ["run", "-A", "--no-check", "--quiet", script, ...args])
        : start(node, [...NODE_FLAGS, script, ...args]),
    );
  }
  const output = (): string => processes.map((one) => one.stdout() + one.stderr()).join("");
  return {
    machines: Array.from({ length: count }, (_, index) => openMachine(folder, `n${index}`)),
    ended: () => [
      ...output().split("\n").filter((line) => line.includes(" has ended with ")),
      ...processes.filter((one) => one.hasEnded()).map((one) => `a process has ended: ${one.stderr()}`),
    ],
    output,
    async [Symbol.asyncDispose]() {
      for (const one of processes) await one[Symbol.asyncDispose]();
    },
  };
}

/** Reads the files of a machine, or of a kubelet whose files have the same names. */
export function openMachine(folder: string, name: string): FleetMachine {
  const kubeconfig = join(folder, name, "kubeconfig");
  return {
    name,
    kubeconfig,
    async readTrusted() {
      const text = await readFile(kubeconfig, "utf8").catch(() => "");
      const config = parseKubeconfig(text, kubeconfig);
      const cluster = config.ok ? config.value.clusters[0]?.cluster : undefined;
      const path = cluster?.certificateAuthority;
      const pem = cluster?.certificateAuthorityData ?? (path === undefined ? "" : await readFile(path, "utf8"));
      const bundle = parseCaBundle(pem);
      return bundle.ok ? bundle.value : [];
    },
    async readCertificate() {
      const path = join(folder, name, "pki", "kubelet-client-current.pem");
      const chain = parseCertificateChain(await readFile(path, "utf8").catch(() => ""));
      return chain.ok ? chain.value[0] : undefined;
    },
  };
}
