/** A fleet of machines in one process, which renew their certificates. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { parseKubeconfig } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import { parseCertificateChain } from "../../../core/machine/credential_pair.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { NODE_FLAGS, ROOT, start } from "../child.ts";

/** A machine and its files. */
export interface FleetMachine {
  readonly name: string;
  readonly kubeconfig: string;
  /** Reads the certificates that it trusts for the server; none before it has a kubeconfig. */
  readTrusted(): Promise<readonly CertificateFacts[]>;
  /** Reads its client certificate; undefined before it has one. */
  readCertificate(): Promise<CertificateFacts | undefined>;
}

/** A running fleet. Disposing it ends it. */
export interface Fleet extends AsyncDisposable {
  readonly machines: readonly FleetMachine[];
  /** Lists the machines whose command has ended; none should. */
  ended(): readonly string[];
  output(): string;
}

/** Starts the machines, which begin with a bootstrap. */
export function startFleet(folder: string, bootstrapKubeconfig: string, count: number): Fleet {
  const script = join(ROOT, "tests", "support", "rotation", "fleet_process.ts");
  const args = [script, folder, bootstrapKubeconfig, `${count}`];
  const node = process.env["TLSBOOT_TEST_NODE"];
  const running = node === undefined
    ? start(process.execPath, ["run", "-A", "--no-check", "--quiet", ...args])
    : start(node, [...NODE_FLAGS, ...args]);
  return {
    machines: Array.from({ length: count }, (_, index) => openMachine(folder, `n${index}`)),
    ended: () => [
      ...running.stdout().split("\n").filter((line) => line.includes(" has ended with ")),
      ...(running.hasEnded() ? [`the process has ended: ${running.stderr()}`] : []),
    ],
    output: () => running.stdout() + running.stderr(),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
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
