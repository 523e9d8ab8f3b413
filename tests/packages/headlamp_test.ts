/**
 * The plugin for Headlamp as it is handed out, in Chromium, beside `tlsboot up`. Its page gives it what Headlamp gives: the
 * library `pluginLib` with React, and the cluster behind a path of the page's own server.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import type { Page } from "puppeteer-core";
import { createFilePort } from "../../client/files.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { createSystemClock } from "../../cli/system.ts";
import { parseRequest, verifyRequest } from "../../core/csr/request.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { KEY_ALGORITHMS } from "../../core/pki/key_algorithm.ts";
import type { Transport, TransportRequest } from "../../core/ports.ts";
import { buildHeadlampPlugin } from "../../scripts/package/headlamp.ts";
import { startBrowser, type TestBrowser, type WatchedPage } from "../support/browser.ts";
import { runTlsboot } from "../support/child.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { connectWith, type InstanceProcess, startInstanceProcess } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** Names that would be an element, and that would turn the text around. */
const HOSTILE_NAME = '<img src="x" onerror="document.title=1">\u202eevil';
const { signal } = new AbortController();

const stack = new AsyncDisposableStack();
let folder: TempFolder;
let instance: InstanceProcess;
let browser: TestBrowser;
let origin: string;
let shown: WatchedPage;

before(async () => {
  folder = stack.use(await createTempFolder());
  instance = stack.use(await startInstanceProcess(folder));
  browser = stack.use(await startBrowser());
  origin = await serveHost(await buildHeadlampPlugin(folder.path));
  shown = await browser.openPage();
});
after(() => stack.disposeAsync());

/** Serves the page, the plugin, and the cluster with the rights of the administrator, as Headlamp's own server does. */
async function serveHost(plugin: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ["packaging/headlamp/test/host.tsx"],
    bundle: true,
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "react",
    define: { "process.env.NODE_ENV": '"production"' },
    write: false,
  });
  const files: Readonly<Record<string, readonly [type: string, text: string]>> = {
    "/": [
      "text/html",
      '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="root"></div>' +
      '<script type="module" src="/host.js"></script>',
    ],
    "/host.js": ["text/javascript", outputFiles[0]!.text],
    "/plugin/main.js": ["text/javascript", await readFile(`${plugin}/main.js`, "utf8")],
  };
  const clock = createSystemClock();
  const port = createFilePort();
  const connect = createConnector({ files: port, clock, userAgent: "test" });
  const cluster = stack.use(await connect(await readCluster(`${instance.data}/admin.kubeconfig`, port)));
  const server = createServer((request, response) => {
    const file = files[(request.url ?? "").replace(/^\/\?.*/, "/")];
    // A page that is left does not wait for its answers.
    if (file === undefined) return void forward(cluster, request, response).catch(() => response.destroy());
    response.setHeader("content-type", file[0]).end(file[1]);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

async function forward(cluster: Transport, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const headers = Object.fromEntries(
    ["accept", "content-type"].flatMap((name) => {
      const value = request.headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
  const answer = await cluster.send({
    method: request.method as TransportRequest["method"],
    path: (request.url ?? "").replace(/^\/clusters\/main/, ""),
    headers,
    ...(chunks.length === 0 ? {} : { body: new Uint8Array(Buffer.concat(chunks)) }),
  }, signal);
  response.statusCode = answer.status;
  response.setHeader("content-type", answer.headers["content-type"] ?? "application/json");
  for await (const chunk of answer.body) response.write(chunk);
  response.end();
}

/** Creates requests with the rights of a machine that has a bootstrap token. */
async function createRequests(...requests: readonly CertificateSigningRequest[]): Promise<void> {
  await using machine = await connectWith(`${instance.data}/bootstrap.kubeconfig`);
  for (const body of requests) await machine.api.requestObject({ method: "POST", path: CSRS, body }, signal);
}

async function readStored(name: string): Promise<CertificateSigningRequest> {
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  return await admin.api.requestObject({ method: "GET", path: `${CSRS}/${name}` }, signal);
}

async function openPath(path: string): Promise<Page> {
  const { page } = shown;
  // Another query is another document; a fragment alone is not.
  await page.goto(`${origin}/?${encodeURIComponent(path)}#${path}`);
  return page;
}

async function readText(page: Page): Promise<string> {
  return await page.$eval("main", (element) => (element as unknown as { innerText: string }).innerText);
}

test("headlamp: the list has every request in words, and hostile names stay text", async () => {
  await createRequests(
    await buildCsr({ name: "of-n1" }),
    await buildCsr({
      name: "hostile",
      commonName: HOSTILE_NAME,
      organizations: [],
      signerName: "kubernetes.io/kube-apiserver-client",
    }),
  );
  const page = await openPath("/certificate-requests");
  await page.waitForSelector("tbody tr");
  const text = await readText(page);
  assert.match(text, /of-n1\s+node n1\s+kubelet client\s+\S+.*pending/);
  assert.match(text, /<img src="x" onerror=.*\\u202eevil|<img src="x" onerror=.*U\+202E/);
  assert.notEqual(await page.title(), "1");
});

test("headlamp: a request has the sentence and the warnings that describe csr has", async () => {
  const page = await openPath("/certificate-requests/of-n1");
  await page.waitForSelector("dl");
  const text = await readText(page);
  const { stdout } = await runTlsboot(["describe", "csr", "of-n1", "--data-dir", instance.data]);
  const [, sentence = ""] = /^Summary:\s+(.+)$/m.exec(stdout) ?? [];
  assert.notEqual(sentence, "", stdout);
  assert.ok(withoutAge(text).includes(withoutAge(sentence)), `"${sentence}" is not in:\n${text}`);
  assert.match(text, /User\s+system:bootstrap:/);
  assert.match(text, /SHA-256 of the key\s+[0-9a-f]{64}/);
  assert.match(text, /Signature\s+ECDSA-SHA256/);
});

/** Removes how long ago the token was made, which grows while the two are compared. */
function withoutAge(text: string): string {
  return text.toLowerCase().replace(/ that was made [^,]*,/, "");
}

test("headlamp: a request is approved and another one denied, as Headlamp's user", async () => {
  let page = await openPath("/certificate-requests/of-n1");
  await (await page.waitForSelector("aria/Approve[role='button']"))!.click();
  await page.waitForFunction("/issued|approved/.test(document.querySelector('strong')?.innerText ?? '')");
  assert.equal((await readStored("of-n1")).status?.conditions?.[0]?.type, "Approved");

  page = await openPath("/certificate-requests/hostile");
  await (await page.waitForSelector("aria/Reason of a denial"))!.type("no machine has this name");
  await (await page.waitForSelector("aria/Deny[role='button']"))!.click();
  await page.waitForFunction("/denied/.test(document.querySelector('strong')?.innerText ?? '')");
  const [denied] = (await readStored("hostile")).status?.conditions ?? [];
  assert.equal(denied?.type, "Denied");
  assert.match(denied?.message ?? "", /^no machine has this name \(denied by user "kubernetes-admin" with /);
  assert.deepEqual(shown.problems, []);
});

test("headlamp: a browser verifies the signature of each kind of key that Node verifies", async () => {
  const requests = await Promise.all(KEY_ALGORITHMS.map(async (keyAlgorithm) => {
    const good = await buildCsr({ name: `key-${keyAlgorithm}`, keyAlgorithm });
    return { keyAlgorithm, good };
  }));
  for (const { keyAlgorithm, good } of requests) {
    const parsed = parseRequest(good.spec.request);
    assert.ok(parsed.ok && verifyRequest(parsed.value).ok, keyAlgorithm);
  }
  await createRequests(...requests.map(({ good }) => good));
  for (const { keyAlgorithm, good } of requests) {
    const page = await openPath(`/certificate-requests/${good.metadata.name}`);
    await page.waitForSelector("dl");
    const [, signature] = /\nSignature\s+([^\n]+)/.exec(await readText(page)) ?? [];
    assert.match(signature ?? "", /^(SHA\d+-RSA|ECDSA-SHA\d+|Ed25519)$/, keyAlgorithm);
  }
});
