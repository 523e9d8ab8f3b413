/**
 * Honest clients, in a separate process so that no attacker takes their time: an administrator with requests on an open
 * connection, a health check on a new connection each time, and new nodes that request a certificate, with the
 * token that the attackers have. None waits for another. Prints a line of JSON for each answer.
 *
 * Usage: honest.ts PORT ADMIN_KUBECONFIG BOOTSTRAP_TOKEN
 */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import process from "node:process";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { Kind } from "./account.ts";
import { bearer, CSRS } from "./asking.ts";
import { createNodeRequest } from "./node_request.ts";

const PAUSE_MS: Readonly<Record<Kind, number>> = { admin: 50, probe: 250, node: 500 };
const LOOK_EVERY_MS = 50;
/** The longest time that one answer may take. */
const ANSWERED_WITHIN_MS = 20_000;
/** The longest time from a request to its certificate. */
const ISSUED_WITHIN_MS = 60_000;

interface Asked {
  readonly path: string;
  readonly agent: Agent;
  readonly token?: string;
  /** The JSON body of a POST request; other requests have none. */
  readonly body?: object;
}

async function main(): Promise<void> {
  const [port = "", kubeconfig = "", token = ""] = process.argv.slice(2);
  const text = await readFile(kubeconfig, "utf8");
  const pem = (name: string) => Buffer.from(new RegExp(`${name}: "?([A-Za-z0-9+/=]+)`).exec(text)?.[1] ?? "", "base64");
  const ca = pem("certificate-authority-data");
  const cert = pem("client-certificate-data");
  const kept = new Agent({ keepAlive: true, maxSockets: 1, ca, cert, key: pem("client-key-data") });
  const ask = (asked: Asked) => toAnswer(Number(port), asked);
  let nodes = 0;

  await Promise.all([
    every("admin", async () => (await ask({ path: `${CSRS}?limit=10`, agent: kept })).code),
    every("probe", async () => (await ask({ path: "/readyz", agent: new Agent({ keepAlive: false, ca }) })).code),
    every("node", async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
      try {
        return await bootstrap(`honest-${nodes++}`, (asked) => ask({ ...asked, agent, token }));
      } finally {
        agent.destroy();
      }
    }),
  ]);
}

async function every(kind: Kind, act: () => Promise<number>): Promise<void> {
  while (true) {
    const startedAt = performance.now();
    const code = await act();
    process.stdout.write(`${JSON.stringify({ kind, code, ms: performance.now() - startedAt })}\n`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS[kind]));
  }
}

/** Requests a certificate and waits for it, without retrying a refusal; returns 200 once it is there. */
async function bootstrap(
  name: string,
  ask: (asked: Omit<Asked, "agent" | "token">) => Promise<{ readonly code: number; readonly text: string }>,
): Promise<number> {
  const created = await ask({ path: CSRS, body: await createNodeRequest(name) });
  if (created.code !== 201) return created.code;
  for (const end = performance.now() + ISSUED_WITHIN_MS; performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const { code, text } = await ask({ path: `${CSRS}/${name}` });
    if (code !== 200) return code;
    if ((JSON.parse(text) as CertificateSigningRequest).status?.certificate !== undefined) return 200;
  }
  return 0;
}

function toAnswer(
  port: number,
  { path, agent, token, body }: Asked,
): Promise<{ readonly code: number; readonly text: string }> {
  const { promise, resolve } = Promise.withResolvers<{ readonly code: number; readonly text: string }>();
  const fail = () => resolve({ code: 0, text: "" });
  const options = {
    ...{ host: "127.0.0.1", port, path, agent, timeout: ANSWERED_WITHIN_MS },
    method: body === undefined ? "GET" : "POST",
    headers: token === undefined ? {} : bearer(token),
  };
  const sent = request(options, (answer) => {
    let text = "";
    answer.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
    answer.on("end", () => resolve({ code: answer.statusCode ?? 0, text }));
    answer.on("error", fail);
  });
  sent.on("timeout", () => sent.destroy());
  sent.on("error", fail);
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
