/**
 * `deno task dashboard-svg`: draws `packaging/mixin/tlsboot.dashboard.json` as a picture for the guide to monitoring, with
 * what a real Prometheus answers to the queries of its panels. Prometheus scrapes `tlsboot up` for some minutes, in which
 * nodes bootstrap and renew, requests are approved, denied or stay pending, a node is revoked, and the server restarts.
 */
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { createSystemPorts } from "../../cli/library/defaults.ts";
import {
  bootstrap,
  CLIENT_STORE_PREFIX,
  createCertificateRequester,
  createConnector,
  createFilePort,
  createFixedSource,
  createKubeconfigFinder,
  openCredentialStore,
  readCluster,
  runCertificateManager,
} from "../../client/mod.ts";
import { getKubeletUsages, parseNodeName, toNodeSubject } from "../../core/bootstrap/node_name.ts";
import { AppError } from "../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/certificates_v1.ts";
import { type Series } from "../../tests/bench/svg.ts";
import { runTlsboot, start } from "../../tests/support/child.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { type InstanceProcess, readIdentity, startInstanceProcess } from "../../tests/support/instance_process.ts";
import { servingRequest, submitAs } from "../../tests/support/node_requests.ts";
import { ensureDebianProgram } from "../../tests/support/peers/debian_programs.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../../tests/support/temp.ts";
import { type Dashboard, drawDashboard, formatLegend } from "./panels_svg.ts";

const DASHBOARD = "packaging/mixin/tlsboot.dashboard.json";
const PICTURE = join("docs", "images", "dashboard.svg");
/** A larger picture would make every clone of the repository slower. */
const MAX_BYTES = 200_000;

const NODES = 30;
const MINUTES = 8;
const SCRAPE_SECONDS = 5;
/** How often a node asks the server who it is, as a kubelet is in touch with its server. */
const CONTACT_MS = 10_000;
/** With it a node renews every two to four minutes: the five minutes of backdating are a part of the lifetime. */
const LIFETIME = "5m";

/** One node, from its first request until the signal fires or the server accepts it no more. */
async function runNode(name: string, folder: TempFolder, data: string, signal: AbortSignal): Promise<void> {
  const nodeName = parseNodeName(name);
  if (!nodeName.ok) throw new Error(nodeName.error);
  const ports = createSystemPorts();
  const files = createFilePort();
  const connect = createConnector({ files, clock: ports.clock, userAgent: "tlsboot" });
  const kubeconfigPath = folder.join(name, "kubeconfig");
  const certDir = folder.join(name, "pki");
  const findCluster = createKubeconfigFinder(join(data, "bootstrap.kubeconfig"), files);
  const options = { ...ports, files, connect, findCluster, kubeconfigPath, certDir, nodeName: nodeName.value };
  // As a service manager does: the next attempt continues the request of the last one.
  while (await bootstrap(options, signal).catch(ignoreAppError) === undefined) {
    await setTimeout(CONTACT_MS, undefined, { signal });
  }
  await Promise.all([
    runCertificateManager({
      ...ports,
      purpose: "client",
      store: await openCredentialStore({ files, clock: ports.clock, certDir, prefix: CLIENT_STORE_PREFIX }),
      template: createFixedSource({ ...toNodeSubject(nodeName.value), dnsNames: [], ipAddresses: [] }),
      requestCertificate: createCertificateRequester({
        ...ports,
        signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
        usages: (algorithm) => getKubeletUsages("renewal", algorithm),
        connect: async () => await connect(await readCluster(kubeconfigPath, files)),
      }),
    }, signal),
    keepInTouch(kubeconfigPath, signal),
  ]);
}

/** Asks now and then who the node is, also while the server is away. */
async function keepInTouch(kubeconfig: string, signal: AbortSignal): Promise<never> {
  while (true) {
    await setTimeout(CONTACT_MS, undefined, { signal });
    await readIdentity(kubeconfig).catch(ignoreAppError);
  }
}

/** Ignores that the server is away, or refuses a node. */
function ignoreAppError(error: unknown): undefined {
  if (!(error instanceof AppError)) throw error;
}

/** Gets certificates that live longer than those of the nodes. */
async function issueLongerOnes(folder: TempFolder, { data }: InstanceProcess): Promise<void> {
  await mustRun(folder, ["request", "www.home.arpa", "--duration", "90d", "--data-dir", data]);
  await mustRun(folder, ["request", "git.home.arpa", "--data-dir", data]);
  await mustRun(folder, ["kubeconfig", "user", "alice", "--data-dir", data]);
}

async function mustRun(folder: TempFolder, words: readonly string[]): Promise<void> {
  const { code, stderr } = await runTlsboot(words, { cwd: folder.path });
  if (code !== 0) throw new Error(`tlsboot ${words.join(" ")}: ${stderr}`);
}

/** Starts nodes one after the other, and does meanwhile what people do. Ends with the time. */
async function live(folder: TempFolder, data: string, restart: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const startedAt = Date.now();
  const untilMinute = (minute: number) =>
    setTimeout(Math.max(0, startedAt + minute * 60_000 - Date.now()), undefined, { signal });
  const tlsboot = (...words: readonly string[]) => mustRun(folder, [...words, "--data-dir", data]);

  async function decide(): Promise<void> {
    await untilMinute(1.5);
    for (const node of ["node-1", "node-2", "node-3", "node-4", "node-5"]) {
      await submitAs(join(data, "admin.kubeconfig"), await servingRequest(node), signal);
      await setTimeout(8_000, undefined, { signal });
    }
    await tlsboot("approve", "serving-node-1", "serving-node-2");
    await tlsboot("deny", "serving-node-3");
    await untilMinute(3.5);
    await tlsboot("revoke", "node/node-5", "--reason", "keyCompromise", "--yes");
    await untilMinute(5);
    await restart();
    await untilMinute(MINUTES);
  }

  const nodes = Array.from({ length: NODES }, async (_, index) => {
    await untilMinute(0.3 + index * 0.07);
    await runNode(`node-${index + 1}`, folder, data, signal);
  });
  try {
    await Promise.race([decide(), Promise.all(nodes)]);
  } finally {
    stop.abort();
    await Promise.allSettled(nodes);
  }
}

/** A Prometheus that scrapes one server. */
interface Prometheus extends AsyncDisposable {
  readonly version: string;
  /** Answers a query for every few seconds since it was started; x is in minutes. */
  query(expression: string, legend: string): Promise<readonly Series[]>;
}

async function startPrometheus(folder: TempFolder, target: string, token: string): Promise<Prometheus> {
  const config = {
    global: { scrape_interval: `${SCRAPE_SECONDS}s` },
    scrape_configs: [{
      job_name: "tlsboot",
      scheme: "https",
      authorization: { credentials: token },
      tls_config: { ca_file: folder.join("data", "pki", "ca.crt") },
      static_configs: [{ targets: [target], labels: { instance: "boot" } }],
    }],
  };
  // JSON is YAML.
  await writeFile(folder.join("prometheus.yml"), JSON.stringify(config), { mode: 0o600 });
  const address = `127.0.0.1:${await findServerPort()}`;
  const program = join(await ensureDebianProgram("prometheus"), "usr", "bin", "prometheus");
  const running = start(program, [
    `--config.file=${folder.join("prometheus.yml")}`,
    `--storage.tsdb.path=${folder.join("tsdb")}`,
    `--web.listen-address=${address}`,
  ]);
  const read = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`http://${address}/api/v1/${path}`);
    const body = await answer.json() as { readonly status: string; readonly error?: string; readonly data: T };
    if (body.status !== "success") throw new Error(`Prometheus: ${body.error}`);
    return body.data;
  };
  try {
    const { version } = await eventually("Prometheus answers", async () => {
      if (running.hasEnded()) throw new Error(running.stderr());
      return await read<{ readonly version: string }>("status/buildinfo").catch(() => undefined);
    }, 180_000);
    const startedAt = Math.floor(Date.now() / 1_000);
    return {
      version,
      async query(expression, legend) {
        const ticks = Math.floor((Date.now() / 1_000 - startedAt) / SCRAPE_SECONDS);
        const times = Array.from({ length: ticks }, (_, index) => startedAt + (index + 1) * SCRAPE_SECONDS);
        const range = { start: String(times[0]), end: String(times.at(-1)), step: String(SCRAPE_SECONDS) };
        const { result } = await read<{ readonly result: readonly Answer[] }>(
          `query_range?${new URLSearchParams({ query: expression, ...range })}`,
        );
        return result.map(({ metric, values }) => {
          const known = new Map(values.map(([time, value]) => [time, Number(value)]));
          const toPoint = (time: number) => ({ x: (time - startedAt) / 60, y: known.get(time) ?? NaN });
          return { name: formatLegend(legend, metric), points: times.map(toPoint) };
        });
      },
      [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
    };
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

interface Answer {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [time: number, value: string])[];
}

/** Fills in the variables of the dashboard as Grafana does for all instances. */
function fillVariables(expression: string): string {
  return expression.replaceAll("$instance", ".*").replaceAll("$__rate_interval", `${4 * SCRAPE_SECONDS}s`);
}

async function main(): Promise<void> {
  const dashboard = JSON.parse(await readFile(DASHBOARD, "utf8")) as Dashboard;
  await using folder = await createTempFolder();
  const token = randomUUID();
  await writeFile(folder.join("tokens.csv"), `${token},prometheus,1,"system:monitoring"\n`, { mode: 0o600 });
  const port = await findServerPort();
  const startUp = (...args: readonly string[]) =>
    startInstanceProcess(folder, [
      ...["--secure-port", String(port), "--token-auth-file", folder.join("tokens.csv"), "--auto-approve"],
      ...["--web-domain", "home.arpa", ...args],
    ]);
  await using stack = new AsyncDisposableStack();
  let instance = stack.use(await startUp());
  await issueLongerOnes(folder, instance);
  const restart = async () => {
    await instance.end("SIGTERM");
    // So long that the gap is seen.
    await setTimeout(4 * SCRAPE_SECONDS * 1_000);
    instance = stack.use(await startUp("--cluster-signing-duration", LIFETIME));
  };
  await restart();
  await using prometheus = await startPrometheus(folder, `127.0.0.1:${port}`, token);
  await live(folder, instance.data, restart);
  const data = await Promise.all(
    dashboard.panels.map(async ({ targets }) =>
      (await Promise.all(targets.map(({ expr, legendFormat }) => prometheus.query(fillVariables(expr), legendFormat))))
        .flat()
    ),
  );
  const note = `${DASHBOARD.split("/").at(-1)} with the data of a Prometheus ${prometheus.version}; time in minutes`;
  const picture = drawDashboard(dashboard, data, note);
  if (picture.length > MAX_BYTES) throw new Error(`the picture has ${picture.length} bytes`);
  await writeFile(PICTURE, picture);
}

await main();
