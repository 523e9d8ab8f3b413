import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { createTlsTransport } from "../../client/transport/tls_transport.ts";
import { isAppError } from "../../core/errors.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { TransportRequest } from "../../core/ports.ts";
import { startFakeApi } from "../support/fake_api.ts";
import { createIssuingCa } from "../support/issuing_ca.ts";
import { createTempFolder } from "../support/temp.ts";
import { createHistoryWriter, HISTORY_FILE, type HistoryRecord } from "./history.ts";
import { createObserver } from "./observed.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const CLUSTER = {} as ResolvedCluster; // the test's connection does not read it
const encoder = new TextEncoder();

function configMap(resourceVersion: string, write = "w1") {
  return { metadata: { namespace: "default", name: "a", uid: "u", resourceVersion }, data: { write } };
}

/** Sends one request, answers it with a status and the chunks of a body, and returns what was recorded. */
async function record(
  request: Omit<TransportRequest, "headers"> & { readonly headers?: Readonly<Record<string, string>> },
  answer: { readonly status: number; readonly chunks: readonly (string | Uint8Array)[]; readonly isCut?: boolean },
): Promise<readonly HistoryRecord[]> {
  await using folder = await createTempFolder();
  const path = folder.join(HISTORY_FILE);
  {
    using history = createHistoryWriter(path, { title: "test" });
    let elapsedMs = 0;
    const observe = createObserver({ history, clock: { elapsedMs: () => ++elapsedMs } });
    await using transport = await observe(() =>
      Promise.resolve({
        send: () =>
          Promise.resolve({
            status: answer.status,
            headers: {},
            body: (async function* () {
              for (const chunk of answer.chunks) yield typeof chunk === "string" ? encoder.encode(chunk) : chunk;
              if (answer.isCut === true) throw new Error("cut off");
            })(),
          }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }), "client")(CLUSTER);
    const { body } = await transport.send({ headers: {}, ...request }, AbortSignal.timeout(120_000));
    await (async () => {
      for await (const _chunk of body);
    })().catch(() => {});
  }
  return (await readFile(path, "utf8")).trimEnd().split("\n").slice(1).map((line) => JSON.parse(line));
}

test("observe() records a write with its preconditions, its name and the state in the answer", async () => {
  const [call] = await record(
    { method: "PUT", path: `${CONFIG_MAPS}/a`, body: configMap("4", "w2") },
    { status: 200, chunks: [JSON.stringify(configMap("5", "w2"))] },
  );
  assert.deepEqual({ ...call, object: undefined }, {
    ...{ kind: "call", client: "client", resource: "configmaps", namespace: "default", name: "a", verb: "update" },
    ...{ begin: 1_000, end: 2_000, status: 200, object: undefined },
    sent: { uid: "u", resourceVersion: "4", write: "w2" },
  });
});

test("observe() gives equal states the same digest at any revision, and different states different ones", async () => {
  const items = [configMap("5"), configMap("6"), configMap("7", "w2")];
  const [call] = await record(
    { method: "GET", path: `${CONFIG_MAPS}?limit=3&resourceVersion=7&resourceVersionMatch=Exact` },
    { status: 200, chunks: [JSON.stringify({ metadata: { resourceVersion: "7", continue: "more" }, items })] },
  );
  assert.ok(call?.kind === "call");
  assert.deepEqual([call.verb, call.limit, call.resourceVersion, call.resourceVersionMatch], ["list", 3, "7", "Exact"]);
  assert.deepEqual([call.list?.resourceVersion, call.list?.continue], [7, "more"]);
  const [first, second, third] = call.list?.items ?? [];
  assert.equal(first?.digest, second?.digest);
  assert.notEqual(first?.digest, third?.digest);
});

test("observe() records no outcome for a call whose answer was cut off", async () => {
  const [call] = await record(
    { method: "DELETE", path: `${CONFIG_MAPS}/a`, body: { preconditions: { uid: "u" } } },
    { status: 200, chunks: ['{"kind":"Status",'], isCut: true },
  );
  assert.ok(call?.kind === "call");
  assert.deepEqual([call.verb, call.status, call.sent], ["delete", undefined, { uid: "u" }]);
});

test("observe() omits a call that was never sent, but no other call without an answer", async () => {
  const silent = createServer((socket) => void socket.once("data", () => socket.destroy()).on("error", () => {}));
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const { port } = silent.address() as AddressInfo;
  const closed = createServer();
  await once(closed.listen(0, "127.0.0.1"), "listening");
  const { port: unused } = closed.address() as AddressInfo;
  closed.close();
  await using api = await startFakeApi();
  api.intercept = () => "destroy";
  const authority = await createIssuingCa(new Date());
  try {
    for (
      const [server, caPem, recorded] of [
        [`https://127.0.0.1:${unused}`, api.ca.caPem, 0],
        [`https://127.0.0.1:${port}`, api.ca.caPem, 0],
        [api.server, authority.caPem, 0],
        [api.server, api.ca.caPem, 1],
      ] as const
    ) {
      const written: HistoryRecord[] = [];
      const observe = createObserver({
        history: { write: (one) => void written.push(one), [Symbol.dispose]() {} },
        clock: { elapsedMs: () => 0 },
      });
      const connect = () => Promise.resolve(createTlsTransport({ server, caPem, userAgent: "test" }));
      await using transport = await observe(connect, "client")(CLUSTER);
      const body = configMap("4");
      const request = { method: "POST", path: CONFIG_MAPS, headers: {}, body } as const;
      await assert.rejects(transport.send(request, AbortSignal.timeout(120_000)), isAppError);
      assert.equal(written.length, recorded, server);
    }
  } finally {
    silent.close();
  }
});

test("observe() records the reason of a refusal and the uid of a deletion", async () => {
  const [refused] = await record({ method: "DELETE", path: `${CONFIG_MAPS}/a` }, {
    status: 409,
    chunks: ['{"kind":"Status","reason":"Conflict"}'],
  });
  const [deleted] = await record({ method: "DELETE", path: `${CONFIG_MAPS}/a` }, {
    status: 200,
    chunks: ['{"kind":"Status","details":{"uid":"u"}}'],
  });
  assert.ok(refused?.kind === "call" && deleted?.kind === "call");
  assert.deepEqual([refused.status, refused.reason, deleted.deleted], [409, "Conflict", "u"]);
});

test("observe() records each complete event of a watch, wherever its bytes are split", async () => {
  const object = { ...configMap("5"), data: { write: "wé" } };
  const bookmark = { metadata: { resourceVersion: "9", annotations: { "k8s.io/initial-events-end": "true" } } };
  const bytes = encoder.encode(
    [{ type: "ADDED", object }, { type: "BOOKMARK", object: bookmark }, { type: "ERROR", object: { code: 410 } }]
      .map((event) => `${JSON.stringify(event)}\n`).join("") + '{"type":"ADDED"',
  );
  for (const size of [1, 7, 100, bytes.length]) {
    const chunks = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, index) => bytes.subarray(index * size, (index + 1) * size),
    );
    const records = await record(
      { method: "GET", path: `${CONFIG_MAPS}?watch=true&sendInitialEvents=true&labelSelector=a%3Db` },
      { status: 200, chunks, isCut: true },
    );
    assert.deepEqual(records.map(({ kind }) => kind), ["watch", "event", "event", "event", "end"]);
    const [watch, added, marked, failed] = records;
    assert.ok(watch?.kind === "watch" && watch.sendInitialEvents === true && watch.labelSelector === "a=b");
    assert.ok(added?.kind === "event" && added.object?.write === "wé" && added.object.resourceVersion === 5);
    assert.ok(marked?.kind === "event" && marked.revision === 9 && marked.initialEventsEnd === true);
    assert.ok(failed?.kind === "event" && failed.status === 410);
  }
});

test("observe() records neither dry runs nor other paths", async () => {
  const answer = { status: 201, chunks: [JSON.stringify(configMap("5"))] };
  assert.deepEqual(await record({ method: "POST", path: `${CONFIG_MAPS}?dryRun=All` }, answer), []);
  assert.deepEqual(await record({ method: "GET", path: "/version" }, answer), []);
});
