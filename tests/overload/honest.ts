/**
 * Honest clients, in their own process so that attackers do not slow them: an administrator on one connection, a health
 * check on a new connection each time, nodes that request a certificate with the token of the attackers, and machines
 * that prove their identity. They do not wait for each other. Each answer is printed as a line of JSON.
 *
 * Usage: honest.ts PORT ADMIN_KUBECONFIG BOOTSTRAP_TOKEN FOLDER_OF_HOST_KEYS
 */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import process from "node:process";
import { createSystemClock } from "../../cli/system.ts";
import { attest } from "../../client/attestation/attest.ts";
import { createSshProver } from "../../client/attestation/ssh_prover.ts";
import { createFilePort } from "../../client/files.ts";
import { createConnector } from "../../client/transport/connect.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { runMain } from "../support/command_line.ts";
import { ask as send, type Asked, type Reply } from "../support/https_request.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Kind } from "./observation.ts";
import { createNodeRequest, CSRS } from "./requests.ts";
import { nameMachine } from "./proofs.ts";

const PAUSE_MS: Readonly<Record<Kind, number>> = { admin: 50, probe: 250, node: 500, proof: 1_000 };
const POLL_MS = 50;
/** The longest time for one answer. */
const ANSWERED_WITHIN_MS = 20_000;
/** The longest time from a request to its certificate, or from a proof to its token. */
const ISSUED_WITHIN_MS = 60_000;

/** An answer; the code is 0 if there was none. */
type Answered = Pick<Reply, "code" | "text">;

async function main(): Promise<never> {
  const [port = "", kubeconfig = "", token = "", hostKeys = ""] = process.argv.slice(2);
  const text = await readFile(kubeconfig, "utf8");
  const pem = (name: string) => Buffer.from(new RegExp(`${name}: "?([A-Za-z0-9+/=]+)`).exec(text)?.[1] ?? "", "base64");
  const ca = pem("certificate-authority-data");
  const cert = pem("client-certificate-data");
  const keepAlive = new Agent({ keepAlive: true, maxSockets: 1, ca, cert, key: pem("client-key-data") });
  const ask = (asked: Asked): Promise<Answered> =>
    send({ ...asked, port, timeout: ANSWERED_WITHIN_MS }).catch(() => ({ code: 0, text: "" }));
  const prove = await createProver(`https://127.0.0.1:${port}`, ca.toString(), hostKeys);
  let [nodes, proofs] = [0, 0];

  return await Promise.race([
    every("admin", async () => (await ask({ path: `${CSRS}?limit=10`, agent: keepAlive })).code),
    every("probe", async () => (await ask({ path: "/readyz", ca })).code),
    every("node", async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
      try {
        return await bootstrap(`honest-${nodes++}`, (asked) => ask({ ...asked, agent, token }));
      } finally {
        agent.destroy();
      }
    }),
    every("proof", () => prove(nameMachine(proofs++))),
  ]);
}

/** Creates a function that exchanges a proof for a token, as `tlsboot attest` does; it returns 200, or 0 on failure. */
async function createProver(
  server: string,
  caPem: string,
  hostKeys: string,
): Promise<(machine: string) => Promise<number>> {
  const bundle = parseCaBundle(caPem);
  if (!bundle.ok) throw new Error(bundle.error);
  const files = createFilePort();
  const clock = createSystemClock();
  const key = await generatePrivateKey("ecdsa-p256");
  const run = () => Promise.reject(new Error("no key is in an agent"));
  const rest = {
    server,
    pins: bundle.value.map(publicKeyPin),
    key,
    connect: createConnector({ files, clock, userAgent: "honest" }),
    clock,
    waitSeconds: ISSUED_WITHIN_MS / 1_000,
  };
  return (machine) => {
    const prover = createSshProver({ path: join(hostKeys, machine), files, run });
    const proving = attest({ ...rest, nodeName: machine as NodeName, prover }, new AbortController().signal);
    return proving.then(() => 200, () => 0);
  };
}

async function every(kind: Kind, act: () => Promise<number>): Promise<never> {
  while (true) {
    const startedAt = performance.now();
    const code = await act();
    process.stdout.write(`${JSON.stringify({ kind, code, ms: performance.now() - startedAt })}\n`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS[kind]));
  }
}

/** Requests a certificate and waits for it, without retrying a refusal; returns 200 once it is issued. */
async function bootstrap(name: string, ask: (asked: Asked) => Promise<Answered>): Promise<number> {
  const created = await ask({ path: CSRS, body: await createNodeRequest(name) });
  if (created.code !== 201) return created.code;
  for (const end = performance.now() + ISSUED_WITHIN_MS; performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const { code, text } = await ask({ path: `${CSRS}/${name}` });
    if (code !== 200) return code;
    if ((JSON.parse(text) as CertificateSigningRequest).status?.certificate !== undefined) return 200;
  }
  return 0;
}

runMain("honest clients", main);
