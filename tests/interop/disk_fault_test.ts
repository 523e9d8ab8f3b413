/**
 * A disk that fails under the real program, at every system call in turn. The server refuses with a Status of 5xx and
 * goes on, or ends with a clear message where the disk did not keep a write; it acknowledges nothing that it has not
 * stored. A node's files are whole always.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { createApi } from "../../client/api.ts";
import { createConnector, readCluster } from "../../client/connect.ts";
import { createFilePort } from "../../client/files.ts";
import { createSystemClock } from "../../cli/system.ts";
import { parseCredentialPair } from "../../core/bootstrap/credential_pair.ts";
import type { ConfigMap } from "../../core/kube/core_v1.ts";
import { NODE_FLAGS, ROOT, type Running, runTlsboot, startTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { createTempFolder, findFreePort } from "../support/temp.ts";
import { createFaultyDisk, FAULTS, type FaultyDisk } from "./support/faulty_disk.ts";
import { startSite, waitUntilUp } from "./support/site.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
/** More than anything here makes. */
const MAX_CALLS = 400;

interface Refusal {
  readonly code: number;
  readonly message: string;
}

interface Client extends AsyncDisposable {
  /** Undefined when it was acknowledged, else the refusal. */
  create(name: string, bytes: number): Promise<Refusal | undefined>;
  names(): Promise<ReadonlySet<string>>;
  /** The newest revision. */
  revision(): Promise<string>;
  isReady(): Promise<boolean>;
}

async function connect(dataDir: string): Promise<Client> {
  const clock = createSystemClock();
  const files = createFilePort();
  const cluster = await readCluster(`${dataDir}/admin.kubeconfig`, files);
  const transport = await createConnector({ files, clock, userAgent: "test" })(cluster);
  const api = createApi(transport, { clock });
  const signal = AbortSignal.timeout(300_000);
  return {
    async create(name, bytes) {
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { x: "x".repeat(bytes) } };
      const body = new TextEncoder().encode(JSON.stringify(object));
      // Without the retries that clients make by themselves.
      const headers = { "content-type": "application/json" };
      const answer = await transport.send({ method: "POST", path: CONFIG_MAPS, headers, body }, signal);
      let text = "";
      for await (const chunk of answer.body) text += new TextDecoder().decode(chunk);
      if (answer.status === 201) return undefined;
      const { kind, code, message } = JSON.parse(text);
      assert.deepEqual([kind, code], ["Status", answer.status]);
      return { code, message };
    },
    async names() {
      const { items } = await api.requestList<ConfigMap>({ method: "GET", path: CONFIG_MAPS }, signal);
      return new Set(items.map(({ metadata }) => metadata.name ?? ""));
    },
    async revision() {
      const { metadata } = await api.requestList<ConfigMap>({ method: "GET", path: CONFIG_MAPS }, signal);
      return metadata.resourceVersion ?? "";
    },
    async isReady() {
      return (await transport.send({ method: "GET", path: "/readyz", headers: {} }, signal)).status === 200;
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

function startUp(dataDir: string, port: number, disk?: FaultyDisk): Running {
  const args = ["up", "--secure-port", `${port}`, "--data-dir", dataDir];
  return startTlsboot(args, disk === undefined ? {} : { env: disk.env });
}

/** A new site's own controllers fill it; from then on only the test writes. */
async function quiet(client: Client): Promise<void> {
  let last = "";
  let since = Date.now();
  await eventually("nobody writes", async () => {
    const revision = await client.revision();
    if (revision !== last) since = Date.now();
    last = revision;
    return Date.now() - since > 1_500 || undefined;
  });
}

/** A clear refusal: 5xx, and nothing of the program's inside. */
function assertRefusal(refusal: Refusal, what: string): void {
  assert.ok(refusal.code >= 500, `${what}: ${refusal.code} ${refusal.message}`);
  assert.doesNotMatch(refusal.message, /\n {4}at /, what);
}

function assertClearEnd({ code, stderr }: { readonly code: number; readonly stderr: string }, what: string): void {
  assert.equal(code, 1, `${what}: ${stderr}`);
  assert.match(stderr, /^tlsboot: error: \S.*/m, what);
  assert.doesNotMatch(stderr, /\n {4}at /, what);
}

/** A server, and somebody who asks it. */
interface Life extends AsyncDisposable {
  readonly running: Running;
  readonly client: Client;
}

async function begin(dataDir: string, port: number, disk?: FaultyDisk): Promise<Life> {
  const running = startUp(dataDir, port, disk);
  await waitUntilUp(running);
  const client = await connect(dataDir);
  return {
    running,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
    },
  };
}

test("up on a disk that fails at every call in turn acknowledges nothing that it has not stored, and goes on or ends clearly", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("data"), await findFreePort()];
  const acknowledged = new Set<string>();
  const refused = new Set<string>();
  /** Refused since all was well. */
  const doubtful = new Set<string>();
  let ends = 0;
  let life = await begin(dataDir, port, disk);
  try {
    await quiet(life.client);
    const create = async (name: string, bytes: number): Promise<Refusal | undefined> => {
      const refusal = await life.client.create(name, bytes).catch(async (error: unknown) => {
        await eventually(
          `the end of a server that answers nothing: ${error}`,
          async () => life.running.hasEnded() || undefined,
        );
        return { code: 503, message: "the server has ended" };
      });
      if (refusal === undefined) acknowledged.add(name);
      else for (const names of [refused, doubtful]) names.add(name);
      return refusal;
    };
    const recover = async (name: string): Promise<void> => {
      await disk.disarm();
      const isReady = () => life.client.isReady().catch(() => false);
      await eventually("ready again, or its end", async () => life.running.hasEnded() || await isReady() || undefined);
      if (life.running.hasEnded()) {
        ends++;
        const { code, stderr } = await life.running.finished();
        assertClearEnd({ code, stderr }, name);
        assert.match(stderr, /the disk did not keep a write/);
        await life[Symbol.asyncDispose]();
        life = await begin(dataDir, port, disk);
        // What it was for may be there, as after any end.
        for (const one of doubtful) refused.delete(one);
      }
      doubtful.clear();
      assert.equal(await create(name, 10), undefined, name);
    };
    for (const [index, fault] of FAULTS.entries()) {
      for (const needle of ["tlsboot.db-wal$", "tlsboot.db$"]) {
        for (let call = 0, isOver = false; !isOver; call++) {
          assert.ok(call < MAX_CALLS);
          const name = `f${index}-${needle.length}-${call}`;
          await disk.arm({ ...fault, needle }, call);
          // The database file itself is written at a checkpoint only, some megabytes later.
          const isCheckpoint = needle === "tlsboot.db$";
          let refusal: Refusal | undefined;
          let hits: readonly string[] = [];
          for (let number = 0; number < (isCheckpoint ? 20 : 1) && hits.length === 0; number++) {
            refusal = await create(`${name}-${number}`, isCheckpoint ? 400_000 : 10);
            hits = await disk.hits();
          }
          isOver = hits.length === 0 || (isCheckpoint && call > 1);
          if (refusal !== undefined) assertRefusal(refusal, `${fault.name} ${hits}`);
          // What reaches the journal is not acknowledged; half a write is gone on with.
          if (!isCheckpoint && fault.isShort !== true) {
            assert.equal(refusal !== undefined, hits.length > 0, `${fault.name} at call ${call}: ${hits}`);
          }
          await recover(`${name}-after`);
        }
      }
      // Down for a while, as a full disk is.
      await disk.arm({ ...fault, needle: "tlsboot.db" }, 0, 1_000_000);
      for (let number = 0; number < 3; number++) {
        const refusal = await create(`f${index}-down-${number}`, 10);
        if (refusal !== undefined) assertRefusal(refusal, fault.name);
        else assert.ok(fault.isShort, `${fault.name} for a while`);
      }
      await recover(`f${index}-down-after`);
    }
    const names = await life.client.names();
    assert.deepEqual([...acknowledged].filter((name) => !names.has(name)), []);
    assert.deepEqual([...refused].filter((name) => names.has(name)), []);
    process.kill(life.running.pid, "SIGKILL");
    await life.running.finished();
  } finally {
    await life[Symbol.asyncDispose]();
  }
  assert.ok(refused.size > 10, `${refused.size} refusals`);
  assert.ok(ends > 2, `${ends} ends`);
  await using again = await begin(dataDir, port);
  const names = await again.client.names();
  assert.deepEqual([...acknowledged].filter((name) => !names.has(name)), []);
});

test("up that cannot put on the disk what a killed one left leaves it to the next start", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("data"), await findFreePort()];
  const log = join(dataDir, "tlsboot.db-wal");
  const names = ["a", "b", "c"];
  {
    await using life = await begin(dataDir, port);
    for (const name of names) assert.equal(await life.client.create(name, 10), undefined);
    process.kill(life.running.pid, "SIGKILL");
    await life.running.finished();
  }
  const left = await readFile(log);
  assert.ok(left.length > 0);
  let failures = 0;
  for (let call = 0, isOver = false; !isOver; call++) {
    await disk.arm({ errno: "EIO", kinds: "s", needle: "tlsboot.db-wal$" }, call);
    await using running = startUp(dataDir, port, disk);
    const isUp = await waitUntilUp(running).then(() => true, () => false);
    const hits = await disk.hits();
    if (isUp) {
      isOver = true;
      await using client = await connect(dataDir);
      const found = await client.names();
      assert.deepEqual(names.filter((name) => !found.has(name)), []);
    } else {
      failures++;
      assert.ok(hits.length > 0, running.stderr());
      assertClearEnd(await running.finished(), `${hits}`);
      assert.deepEqual(await readFile(log), left);
    }
  }
  assert.ok(failures >= 2, `${failures} failures`);
});

/** What `up` makes, and which of its calls are tried; the journal has hundreds, all alike. */
const STARTING = [
  { needle: "/site$", calls: undefined },
  { needle: "/pki", calls: undefined },
  { needle: "kubeconfig", calls: undefined },
  { needle: "tlsboot.db$", calls: undefined },
  { needle: "tlsboot.db-wal$", calls: [0, 1, 2, 3, 10, 50] },
];

test("up that starts on a disk that fails at every call in turn ends with a clear message, and starts on a good one", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  const [dataDir, port] = [folder.join("site"), await findFreePort()];
  let failures = 0;
  for (const { needle, calls } of STARTING) {
    for (let round = 0, isOver = false; !isOver; round++) {
      assert.ok(round < MAX_CALLS);
      const call = calls === undefined ? round : calls[round]!;
      const { errno } = FAULTS[round % FAULTS.length]!;
      await disk.arm({ errno, kinds: "owstn", needle }, call);
      const what = `${errno} at call ${call} on ${needle}`;
      {
        await using running = startUp(dataDir, port, disk);
        const isUp = await waitUntilUp(running).then(() => true, () => false);
        const hits = await disk.hits();
        isOver = hits.length === 0 || round + 1 === calls?.length;
        if (!isUp) {
          failures++;
          assert.ok(hits.length > 0, `${what}: ${running.stderr()}`);
          assertClearEnd(await running.finished(), `${what}: ${hits}`);
        }
      }
      await disk.disarm();
      {
        await using again = startUp(dataDir, port);
        await waitUntilUp(again).catch((error: unknown) => assert.fail(`after ${what}: ${error}`));
      }
      await rm(dataDir, { recursive: true });
    }
  }
  assert.ok(failures > 15, `${failures} failures`);
});

test("bootstrap on a disk that fails at every call in turn says so, and the next run succeeds", async () => {
  await using site = await startSite({ args: ["--auto-approve"] });
  const disk = await createFaultyDisk(site.folder);
  let failures = 0;
  for (let call = 0, isOver = false; !isOver; call++) {
    assert.ok(call < MAX_CALLS);
    const node = `n${call}`;
    const home = site.folder.join(node);
    const args = [
      ...["bootstrap", "--bootstrap-kubeconfig", site.bootstrapKubeconfig, "--kubeconfig", `${home}/kubeconfig`],
      ...["--cert-dir", `${home}/pki`, "--hostname-override", node],
    ];
    const { errno } = FAULTS[call % FAULTS.length]!;
    await disk.arm({ errno, kinds: "owstn", needle: `/${node}` }, call);
    const first = await runTlsboot(args, { env: disk.env });
    isOver = (await disk.hits()).length === 0;
    if (first.code !== 0) {
      failures++;
      assertClearEnd(first, `${errno} at call ${call}: ${await disk.hits()}`);
    }
    await disk.disarm();
    const second = await runTlsboot(args);
    assert.equal(second.code, 0, second.stderr);
    const combined = await readFile(`${home}/pki/kubelet-client-current.pem`, "utf8");
    const pair = parseCredentialPair(combined, combined);
    assert.ok(pair.ok, `call ${call}`);
    assert.equal(pair.value.leaf.subject.commonName, `system:node:${node}`);
  }
  assert.ok(failures > 10, `${failures} failures`);
});

test("pairs and kubeconfigs on a disk that fails at every call in turn are the old ones or the new ones", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  await using program = startUpdater(folder.path, disk);
  const read = {
    pki: async () => {
      const combined = await readFile(folder.join("pki", "kubelet-client-current.pem"), "utf8");
      return commonNameOf(combined, combined);
    },
    pair: async () => {
      const [certificate, key, combined] = await Promise.all(
        ["tls.crt", "tls.key", "tls.pem"].map((name) => readFile(folder.join("pair", name), "utf8")),
      );
      assert.equal(combined, certificate! + key!);
      return commonNameOf(certificate!, key!);
    },
    kubeconfig: async () => {
      const text = await readFile(folder.join("kubeconfig"), "utf8");
      return /-----END CERTIFICATE-----\n$/.test(text) ? text : "half of it";
    },
  };
  for (const [target, readNow] of Object.entries(read)) {
    assert.match(await program.update(`${target} first`), /done/);
    for (const [index, fault] of FAULTS.entries()) {
      for (let call = 0, isOver = false; !isOver; call++) {
        assert.ok(call < MAX_CALLS);
        const before = await readNow();
        const name = `${target}-${index}-${call}`;
        await disk.arm({ ...fault, needle: `${folder.path}/${target}` }, call);
        const said = await program.update(`${target} ${name}`);
        const hits = await disk.hits();
        isOver = hits.length === 0;
        const after = await readNow();
        const isNew = after !== before;
        if (target !== "kubeconfig") assert.equal(after, isNew ? name : before);
        if (!isNew) assert.match(said, /failed cannot /, `${fault.name}: ${hits}`);
        if (/failed/.test(said)) assert.doesNotMatch(said, /badly/);
        await disk.disarm();
        assert.match(await program.update(`${target} ${name}-after`), /done/, `after ${fault.name}: ${hits}`);
        assert.notEqual(await readNow(), after);
      }
    }
  }
});

function commonNameOf(certificatePem: string, keyPem: string): string {
  const pair = parseCredentialPair(certificatePem, keyPem);
  return pair.ok ? pair.value.leaf.subject.commonName ?? "" : pair.error;
}

interface Updater extends AsyncDisposable {
  update(line: string): Promise<string>;
}

/** `update_on_demand.ts` on Node, whose file calls are libc's. */
function startUpdater(folder: string, disk: FaultyDisk): Updater {
  const node = process.env["TLSBOOT_TEST_NODE"] ?? process.execPath;
  const program = join(ROOT, "tests", "support", "update_on_demand.ts");
  assert.ok(existsSync(program));
  const child: ChildProcess = spawn(node, [...NODE_FLAGS, program, folder], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...disk.env },
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    async update(line) {
      child.stdin!.write(`${line}\n`);
      return (await lines.next()).value ?? "ended";
    },
    async [Symbol.asyncDispose]() {
      child.stdin!.end();
      await new Promise((resolve) => child.once("close", resolve));
    },
  };
}
