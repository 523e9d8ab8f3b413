/**
 * An honest client, in a process of its own so that no attacker takes its time: an administrator who asks on an open
 * connection, and a health check on a connection of its own each time. Prints a line of JSON for each answer.
 *
 * Usage: honest.ts PORT KUBECONFIG
 */
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import process from "node:process";

const ASK_EVERY_MS = 50;
const PROBE_EVERY = 5;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=10";

async function main(): Promise<void> {
  const [port = "", kubeconfig = ""] = process.argv.slice(2);
  const text = await readFile(kubeconfig, "utf8");
  const pem = (name: string) => Buffer.from(new RegExp(`${name}: "?([A-Za-z0-9+/=]+)`).exec(text)?.[1] ?? "", "base64");
  const tls = {
    ca: pem("certificate-authority-data"),
    cert: pem("client-certificate-data"),
    key: pem("client-key-data"),
  };
  const kept = new Agent({ keepAlive: true, maxSockets: 1, ...tls });
  for (let turn = 0;; turn++) {
    const isProbe = turn % PROBE_EVERY === 0;
    const agent = isProbe ? new Agent({ keepAlive: false, ca: tls.ca }) : kept;
    const startedAt = performance.now();
    const code = await ask(Number(port), isProbe ? "/readyz" : CSRS, agent);
    const line = { kind: isProbe ? "probe" : "admin", code, ms: performance.now() - startedAt };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

function ask(port: number, path: string, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const sent = request({ host: "127.0.0.1", port, path, agent, timeout: 20_000 }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode ?? 0));
      answer.on("error", () => resolve(0));
    });
    sent.on("timeout", () => sent.destroy());
    sent.on("error", () => resolve(0));
    sent.end();
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
