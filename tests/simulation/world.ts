/** The world of a simulation: its hosts, who runs on them, and what happens to them until its end. */
import { createAuthority } from "../../core/pki/authority.ts";
import { verifyCertificateSignature } from "../../core/pki/certificate.ts";
import type { CredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { generatePrivateKey } from "../../core/pki/keys.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { createStoredValues } from "../../server/registry/stored_values.ts";
import { createMemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import { createMemoryFiles } from "../support/memory_files.ts";
import { EPOCH_MS, Host } from "./host.ts";
import { Network } from "./network.ts";
import { createNodeProgram, NODE_FILES } from "./node.ts";
import { installRuntime } from "./runtime.ts";
import { Scheduler } from "./scheduler.ts";
import { API_HOST, BOOTSTRAP_KUBECONFIG, createServerProgram } from "./server.ts";

/** What a run simulates. */
export interface WorldOptions {
  readonly seed: number;
  readonly days: number;
  readonly nodes: number;
  /** The file of the trace; undefined to keep its digest alone. */
  readonly tracePath?: string | undefined;
}

/** The account of a run. */
export interface WorldReport {
  readonly digest: string;
  readonly lines: number;
  readonly events: number;
  readonly certificates: number;
  /** The promises that were broken. */
  readonly faults: readonly string[];
}

const DAY_MS = 86_400_000;
/** The lifetime that nodes request, so that each renews about once a day. */
const CERTIFICATE_MS = DAY_MS;
/** The time in which the nodes of a run are switched on. */
const ARRIVAL_MS = 3_600_000;

/** Runs a world to its end. */
export async function runWorld({ seed, days, nodes, tracePath }: WorldOptions): Promise<WorldReport> {
  const scheduler = new Scheduler(seed, tracePath);
  const network = new Network(scheduler);
  installRuntime(scheduler, network);
  const faults: string[] = [];
  const authority = await scheduler.perform(async () =>
    createAuthority({
      commonName: "kubernetes",
      notBefore: new Date(EPOCH_MS - DAY_MS),
      notAfter: new Date(EPOCH_MS + 10 * 365 * DAY_MS),
      key: await generatePrivateKey("ecdsa-p256"),
      serial: Uint8Array.of(1),
    })
  );
  const addHost = (name: string): Host => {
    const host = new Host(name, scheduler, createMemoryFiles());
    network.add(host);
    return host;
  };
  const server = addHost("server-0");
  network.name(API_HOST, [server.name]);
  let isReady = false;
  server.start(createServerProgram({
    network,
    authority,
    openStorage: ({ clock, logger }) =>
      Promise.resolve({
        storage: createMemoryStorage({ clock, logger, values: createStoredValues(STORED_RESOURCES) }),
        contents: undefined,
      }),
    onReady: () => void (isReady = true),
  }));
  await scheduler.run(60_000, () => isReady);
  if (!isReady) throw new Error("no server has started within a minute");

  let certificates = 0;
  const pairs = new Map<string, CredentialPair>();
  const program = createNodeProgram({
    durationMs: CERTIFICATE_MS,
    onPair(own, pair) {
      if (pairs.get(own.name)?.certificatePem !== pair.certificatePem) certificates++;
      pairs.set(own.name, pair);
    },
  });
  for (let number = 0; number < nodes; number++) {
    const host = addHost(`node-${number}`);
    scheduler.schedule(scheduler.random.float() * ARRIVAL_MS, () => {
      const copied = server.files.readText(BOOTSTRAP_KUBECONFIG).then((text) =>
        host.files.writeAtomic(NODE_FILES.bootstrapKubeconfig, text ?? "", 0o600)
      );
      copied.then(() => host.start(program), (error: unknown) => scheduler.fail(error));
    });
  }
  await scheduler.run(days * DAY_MS);
  for (let number = 0; number < nodes; number++) {
    const name = `node-${number}`;
    const leaf = pairs.get(name)?.leaf;
    if (leaf === undefined) faults.push(`${name} has no certificate`);
    else if (leaf.notAfter.getTime() < EPOCH_MS + scheduler.nowMs) faults.push(`${name} has an expired certificate`);
    else if (!verifyCertificateSignature(leaf, authority.certificate)) faults.push(`${name}: another CA has signed`);
  }
  const { lines } = scheduler.trace;
  return { digest: scheduler.trace.end(), lines, events: scheduler.steps, certificates, faults };
}
