import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createFakeAfter } from "../../../tests/support/fake_after.ts";
import { createFakeClock, settle } from "../../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../../tests/support/memory_logger.ts";
import { EtcdMirror, type MirrorClient, readCurrentRevision, type SentChange } from "./mirror.ts";
import type { EtcdKeyValue, WatchResponse } from "./wire.ts";
import type { StoredValues } from "./contents.ts";
import type { EtcdObserver } from "./client.ts";

const VALUES: StoredValues = {
  root: "/registry/",
  prefixes: ["/registry/"],
  encode: (_key, object) => Buffer.from(JSON.stringify(object)),
  decode: (_key, value) => JSON.parse(new TextDecoder().decode(value)),
  isDecoded: () => true,
};

interface FakeWatch {
  readonly startRevision: number;
  respond(response: Partial<WatchResponse>): void;
  readonly end: (error: unknown) => void;
  progressAsked: number;
  ended: boolean;
}

function kv(name: string, modRevision: number, text = `{"metadata":{"name":"${name}"}}`): EtcdKeyValue {
  return { key: `/registry/${name}`, modRevision, version: 1, value: Buffer.from(text) };
}

/** Creates an etcd whose answers the test controls. */
function createFakeEtcd(kvs: readonly EtcdKeyValue[] = [], compacted = 0, values = VALUES) {
  const watches: FakeWatch[] = [];
  const etcd = {
    revision: 1,
    compacted,
    kvs,
    /** How many reads still find their revision compacted. */
    compactedReads: 0,
    /** The error with which reads fail. */
    fault: undefined as Error | undefined,
    watches,
    /** Whether etcd confirms a watch and its progress at once. */
    answers: true,
  };
  const client: MirrorClient = {
    async range({ key, limit = Infinity }) {
      if (etcd.fault !== undefined) throw etcd.fault;
      if (etcd.compactedReads-- > 0) throw new Error("etcdserver: mvcc: required revision has been compacted");
      const kvs = etcd.kvs.filter((each) => each.key >= key);
      return { revision: etcd.revision, kvs: kvs.slice(0, limit), more: kvs.length > limit, count: 0 };
    },
    async compactedRevision() {
      if (etcd.fault !== undefined) throw etcd.fault;
      return etcd.compacted;
    },
    watch(_prefix, startRevision, onResponse, onEnd) {
      const end = (error: unknown) => {
        if (watch.ended) return;
        watch.ended = true;
        onEnd(error);
      };
      const watch: FakeWatch = {
        startRevision,
        progressAsked: 0,
        ended: false,
        end,
        respond: (response) =>
          void (watch.ended || onResponse({
            revision: etcd.revision,
            created: false,
            canceled: false,
            compactRevision: 0,
            cancelReason: "",
            events: [],
            ...response,
          })),
      };
      watches.push(watch);
      if (etcd.answers) queueMicrotask(() => watch.respond({ created: true }));
      return {
        requestProgress() {
          watch.progressAsked++;
          if (etcd.answers) queueMicrotask(() => watch.respond({}));
        },
        stop: end,
      };
    },
  };
  const timers = createFakeAfter();
  const logger = createMemoryLogger();
  const clock = createFakeClock();
  const observed: string[] = [];
  const observer: EtcdObserver = {
    called: () => undefined,
    caughtUp: (seconds) => void observed.push(`caught up after ${seconds} s`),
    watchBroke: () => void observed.push("broke"),
  };
  const open = () =>
    EtcdMirror.open({
      client,
      values,
      clock,
      logger,
      observer,
      historyMs: 300_000,
      after: timers.after,
    });
  return { etcd, open, timers, logger, clock, observed, newest: () => watches.at(-1)! };
}

test("EtcdMirror.open() leaves neither a watch nor a timer when it fails", async () => {
  const { etcd, open, timers, newest } = createFakeEtcd();
  etcd.answers = false;
  etcd.revision = 5;
  const opening = assert.rejects(open(), /its watch is at revision 1, before 5/);
  await timers.advance(10_000);
  await opening;
  assert.equal(newest().ended, true);
  assert.equal(timers.pending, 0);
});

test("EtcdMirror.open() reads every page, and begins again up to four times when etcd compacts what it reads", async () => {
  const names = Array.from({ length: 2_001 }, (_, index) => `n${String(index).padStart(4, "0")}`);
  const { etcd, open } = createFakeEtcd(names.map((name) => kv(name, 2)), 2);
  etcd.revision = 2;
  etcd.compactedReads = 4;
  const mirror = await open();
  assert.deepEqual(
    mirror.engine.list("/registry/", {}).items.map(({ key }) => key),
    names.map((name) => `/registry/${name}`),
  );
  mirror.close();
  etcd.compactedReads = 5;
  await assert.rejects(open(), /has been compacted/);
  etcd.compactedReads = 0;
  etcd.fault = new Error("etcd is away");
  await assert.rejects(open(), /etcd is away/);
});

test("EtcdMirror.open() reads nothing from an uncompacted etcd, and follows once its watch is confirmed", async () => {
  const { etcd, open, newest, logger } = createFakeEtcd([kv("a", 2)]);
  etcd.answers = false;
  const mirror = await open();
  assert.deepEqual([mirror.engine.list("/registry/", {}).items, newest().startRevision], [[], 2]);
  newest().respond({});
  assert.equal(mirror.isFollowing, false);
  for (let count = 0; count < 2; count++) newest().respond({ created: true });
  assert.equal(mirror.isFollowing, true);
  assert.deepEqual(logger.messages("debug"), ["etcd watch started"]);
  newest().respond({ events: [{ isDeletion: false, kv: kv("a", 2) }] });
  assert.equal(mirror.engine.get("/registry/a")?.revision, 2);
  mirror.close();
});

test("readCurrentRevision() reads no value", async () => {
  const asked: unknown[] = [];
  const revision = await readCurrentRevision({
    async range(request) {
      asked.push(request);
      return { revision: 7, kvs: [], more: false, count: 1 };
    },
  });
  assert.deepEqual([revision, asked], [7, [{ key: "compact_rev_key", countOnly: true }]]);
});

test("EtcdMirror ignores changes of a revision that it has applied already", async () => {
  const { open, newest } = createFakeEtcd();
  const mirror = await open();
  const put = (name: string, revision: number, text?: string) => ({ isDeletion: false, kv: kv(name, revision, text) });
  newest().respond({ revision: 3, events: [put("a", 2), put("a", 3, `{"metadata":{"name":"newer"}}`), put("b", 3)] });
  const seen: string[] = [];
  mirror.watchers.add("/registry/", 3, [], (events) => seen.push(...events.map(({ key }) => key)));
  newest().respond({ revision: 4, events: [put("a", 2), put("c", 4)] });
  assert.deepEqual([mirror.engine.revision, mirror.engine.get("/registry/a")?.object.metadata.name], [4, "newer"]);
  assert.deepEqual(seen, ["/registry/c"]);
  mirror.close();
});

test("EtcdMirror decodes no value that this server wrote, unless decoding changes it or another server wrote a newer one", async () => {
  const decoded: string[] = [];
  const values: StoredValues = {
    ...VALUES,
    decode(key, value) {
      decoded.push(key);
      return VALUES.decode(key, value);
    },
    isDecoded: (_key, { metadata }) => metadata.name !== "odd",
  };
  const { etcd, open, newest } = createFakeEtcd([], 0, values);
  const mirror = await open();
  const write = (name: string, modRevision: number, event = kv(name, modRevision)) => {
    const object = { metadata: { name } };
    const key = `/registry/${name}`;
    const forget = mirror.expect([{ key, value: VALUES.encode(key, object), object }]);
    newest().respond({ events: [{ isDeletion: false, kv: event }] });
    forget();
    const stored = mirror.engine.get(key)!;
    return [new TextDecoder().decode(stored.bytes), decoded.splice(0).length];
  };
  etcd.revision = 9;
  assert.deepEqual(write("a", 2), ['{"metadata":{"name":"a","resourceVersion":"2"}}', 0]);
  assert.deepEqual(write("odd", 3), ['{"metadata":{"name":"odd","resourceVersion":"3"}}', 1]);
  const other = kv("a", 4, '{"metadata":{"name":"a","uid":"of another server"}}');
  assert.deepEqual(write("a", 4, other), [
    '{"metadata":{"name":"a","uid":"of another server","resourceVersion":"4"}}',
    1,
  ]);
  // Earlier writes are forgotten.
  newest().respond({ events: [{ isDeletion: false, kv: kv("a", 5) }] });
  assert.equal(decoded.splice(0).length, 1);
  // The end of an earlier write of the same key does not affect a later one.
  const [key, object] = ["/registry/a", { metadata: { name: "a" } }];
  const [forget] = [0, 1].map(() => mirror.expect([{ key, value: VALUES.encode(key, object), object }]));
  forget!();
  newest().respond({ events: [{ isDeletion: false, kv: kv("a", 6) }] });
  assert.deepEqual(decoded, []);
  mirror.close();
});

test("EtcdMirror drops the object of a replaced state, and decodes it again when it is read", async () => {
  let decoded = 0;
  const decode: StoredValues["decode"] = (key, value) => {
    decoded++;
    return VALUES.decode(key, value);
  };
  const { open, newest } = createFakeEtcd([], 0, { ...VALUES, decode });
  const mirror = await open();
  newest().respond({ events: [{ isDeletion: false, kv: kv("a", 2) }] });
  const replaced = mirror.engine.get("/registry/a")!;
  newest().respond({ events: [{ isDeletion: true, kv: kv("a", 3) }] });
  assert.equal(decoded, 1);
  assert.equal(replaced.object.metadata.name, "a");
  assert.equal(decoded, 2);
  mirror.close();
});

/** A step: our transactions are answered, the watch delivers a message, the watch breaks, or the next one begins. */
type Step = readonly ["answered" | "watched", ...revisions: readonly number[]] | readonly ["broken" | "followed"];

/** Transactions that are answered are ours, and the others are those of another server. Revision 8 deletes a key. */
const SCENARIOS: readonly {
  readonly name: string;
  /** Each step, and the revisions that were reported by then. */
  readonly steps: readonly (readonly [step: Step, reported: string])[];
  /** The revisions that were decoded. */
  readonly decoded: string;
}[] = [
  { name: "the answer is first", steps: [[["answered", 2], "2"], [["watched", 2], "2"]], decoded: "" },
  { name: "the watch is first", steps: [[["watched", 2], "2"], [["answered", 2], "2"]], decoded: "" },
  {
    name: "answers come in another order",
    steps: [[["answered", 3], ""], [["answered", 2], "2 3"], [["watched", 2, 3, 4], "2 3 4"]],
    decoded: "4",
  },
  {
    name: "another server writes in between",
    steps: [[["answered", 3], ""], [["watched", 2], "2 3"], [["watched", 3, 4], "2 3 4"], [["answered", 5], "2 3 4 5"]],
    decoded: "2 4",
  },
  {
    name: "a change waits for two of another server, and the watch delivers it with them",
    steps: [[["answered", 4], ""], [["watched", 2], "2"], [["watched", 3, 4], "2 3 4"]],
    decoded: "2 3",
  },
  {
    name: "a deletion",
    steps: [[["watched", 7], "7"], [["answered", 8], "7 8"], [["watched", 8, 9], "7 8 9"]],
    decoded: "7 9",
  },
  {
    name: "the next watch begins after the answer",
    steps: [[["broken"], ""], [["answered", 2], "2"], [["followed"], "2"], [["watched", 3], "2 3"]],
    decoded: "3",
  },
  {
    name: "the next watch begins before the answer",
    steps: [[["broken"], ""], [["followed"], ""], [["answered", 2], "2"], [["watched", 2, 3], "2 3"]],
    decoded: "3",
  },
  {
    name: "the watch breaks before it delivers what the answer waits for",
    steps: [[["answered", 3], ""], [["broken"], ""], [["followed"], ""], [["watched", 2, 3], "2 3"]],
    decoded: "2",
  },
];
for (const { name, steps, decoded } of SCENARIOS) {
  test(`EtcdMirror reports our transaction once, in order, and no later than its answer: ${name}`, async () => {
    const found: string[] = [];
    const values: StoredValues = {
      ...VALUES,
      decode(key, value) {
        found.push(key.slice("/registry/".length));
        return VALUES.decode(key, value);
      },
    };
    const { etcd, open, newest, timers } = createFakeEtcd([], 0, values);
    const mirror = await open();
    etcd.answers = false;
    const reported: number[] = [];
    mirror.watchers.add("/registry/", 1, [], (events) => reported.push(...events.map(({ revision }) => revision)));
    const toName = (revision: number) => String(revision === 8 ? 7 : revision);
    const toOwn = (revision: number): SentChange => {
      const { key, value } = kv(toName(revision), revision);
      return revision === 8
        ? { key, value: undefined, object: undefined }
        : { key, value, object: { metadata: { name: toName(revision) } } };
    };
    const answered = steps.flatMap(([[kind, ...revisions]]) => kind === "answered" ? revisions : []);
    const transactions = new Map(answered.map((revision) => [revision, [toOwn(revision)]] as const));
    const forget = mirror.expect([...transactions.values()].flat());
    const taken: Promise<void>[] = [];
    for (const [[kind, ...revisions], want] of steps) {
      if (kind === "broken") newest().end(new Error("gone"));
      else if (kind === "followed") await timers.advance(200);
      else if (kind === "answered") {
        for (const revision of revisions) taken.push(mirror.take(revision, transactions.get(revision)!));
      } else {
        const events = revisions.map((revision) => ({
          isDeletion: revision === 8,
          kv: kv(toName(revision), revision),
        }));
        newest().respond({ events });
      }
      assert.equal(reported.join(" "), want);
    }
    await Promise.all(taken);
    forget();
    assert.equal(found.join(" "), decoded);
    assert.equal(mirror.engine.revision, reported.at(-1));
    mirror.close();
    assert.equal(timers.pending, 0);
  });
}

test("EtcdMirror.take() resolves without the changes after ten seconds, and the next watch delivers them", async () => {
  const { etcd, open, newest, timers } = createFakeEtcd();
  const mirror = await open();
  etcd.answers = false;
  const seen: number[] = [];
  mirror.watchers.add("/registry/", 1, [], (events) => seen.push(...events.map(({ revision }) => revision)));
  const taken = mirror.take(3, [{ key: "/registry/b", value: kv("b", 3).value, object: { metadata: { name: "b" } } }]);
  await timers.advance(9_999);
  assert.deepEqual([newest().ended, newest().progressAsked], [false, 0]);
  await timers.advance(1);
  await taken;
  assert.deepEqual(seen, []);
  await timers.advance(200);
  assert.deepEqual([etcd.watches.length, newest().startRevision], [2, 2]);
  for (const revision of [2, 3]) {
    newest().respond({ events: [{ isDeletion: false, kv: kv("b", revision) }] });
    assert.equal(seen.at(-1), revision);
  }
  mirror.close();
});

test("EtcdMirror resumes its watch if it made the compacted changes itself, and reloads only if a change is unknown", async () => {
  const { etcd, open, newest, timers, logger } = createFakeEtcd();
  const mirror = await open();
  newest().end(new Error("gone"));
  etcd.answers = false;
  await timers.advance(200);
  assert.equal(newest().startRevision, 2);
  for (const revision of [2, 3]) {
    await mirror.take(revision, [{ key: "/registry/a", value: undefined, object: undefined }]);
  }
  newest().respond({ compactRevision: 3, canceled: true });
  await timers.advance(400);
  assert.equal(newest().startRevision, 4);
  assert.deepEqual(logger.messages("warn"), Array(2).fill("etcd watch broke"));
  etcd.fault = new Error("etcd is away");
  newest().respond({ compactRevision: 4, canceled: true });
  const own = { key: "/registry/a", value: kv("a", 4).value, object: { metadata: { name: "a" } } };
  const taken = mirror.take(4, [own]);
  await settle();
  assert.equal(mirror.engine.revision, 3, "the old state does not change while everything is read again");
  etcd.fault = undefined;
  etcd.compacted = 6;
  await timers.advance(2_000);
  await taken;
  assert.equal(newest().startRevision, 7);
  mirror.close();
});

test("EtcdMirror omits a value that cannot be read, at the start and later, and logs its key", async () => {
  const { etcd, open, newest, logger } = createFakeEtcd([kv("a", 2), kv("b", 3, "k8s:enc:")], 3);
  etcd.revision = 3;
  const mirror = await open();
  assert.equal(mirror.engine.get("/registry/a")?.revision, 2);
  assert.equal(mirror.engine.get("/registry/b"), undefined);
  newest().respond({ events: [{ isDeletion: false, kv: kv("a", 4, "k8s:enc:") }] });
  assert.equal(mirror.engine.get("/registry/a"), undefined);
  assert.deepEqual(
    logger.entries.filter(({ level }) => level === "error").map(({ fields }) => fields.key),
    ["/registry/b", "/registry/a"],
  );
  mirror.close();
});

test("EtcdMirror logs why etcd cancelled its watch, and retries with growing pauses", async () => {
  const { open, timers, newest, logger, etcd } = createFakeEtcd();
  const mirror = await open();
  etcd.answers = false;
  newest().respond({ canceled: true, cancelReason: "etcdserver: permission denied" });
  for (const [attempt, waitMs] of [200, 400, 800, 1600, 2000, 2000].entries()) {
    await timers.advance(waitMs - 1);
    assert.equal(etcd.watches.length, attempt + 1);
    await timers.advance(1);
    assert.equal(etcd.watches.length, attempt + 2);
    newest().respond({ created: true, canceled: true, cancelReason: "etcdserver: permission denied" });
  }
  assert.deepEqual(logger.entries.filter(({ level }) => level === "warn").map(({ fields }) => fields), [
    { error: "etcdserver: permission denied" },
  ]);
  mirror.close();
});

test("EtcdMirror grows the pause further if etcd confirms a watch that then breaks without a message", async () => {
  const { open, timers, newest, etcd } = createFakeEtcd();
  const mirror = await open();
  etcd.answers = false;
  for (const [attempt, waitMs] of [200, 400, 800].entries()) {
    newest().end(new Error("gone"));
    await timers.advance(waitMs - 1);
    assert.equal(etcd.watches.length, attempt + 1);
    await timers.advance(1);
    assert.equal(etcd.watches.length, attempt + 2);
    newest().respond({ created: true });
  }
  mirror.close();
});

test("EtcdMirror requests progress from a confirmed watch, while a caller waits that asked for it", async () => {
  const { open, timers, newest, etcd } = createFakeEtcd();
  const mirror = await open();
  etcd.answers = false;
  const asked = async (afterMs: number) => {
    await timers.advance(afterMs);
    return newest().progressAsked;
  };
  assert.equal(await asked(1_000), 0);
  const patient = mirror.reach(2, false);
  assert.equal(await asked(1_000), 0);
  const waiting = mirror.reach(2, true);
  assert.deepEqual([await asked(0), await asked(49), await asked(1)], [1, 1, 2]);
  newest().respond({ revision: 2 });
  await Promise.all([patient, waiting]);
  assert.deepEqual([await asked(1_000), timers.pending], [2, 0]);
  newest().end(new Error("gone"));
  const later = mirror.reach(3, true);
  assert.equal(await asked(300), 0);
  newest().respond({ created: true });
  assert.equal(await asked(0), 1);
  newest().respond({ revision: 3 });
  await later;
  mirror.close();
});

test("EtcdMirror.reach() ends the watch once when it times out; shorter waits continue with the next one", async () => {
  const { open, timers, newest, etcd } = createFakeEtcd();
  const mirror = await open();
  etcd.answers = false;
  const first = newest();
  etcd.revision = 9;
  const failed = assert.rejects(mirror.reach(9, true), /at revision 1, before 9/);
  await timers.advance(5_000);
  const later = mirror.reach(9, true);
  const tooFar = assert.rejects(mirror.reach(99, true), /at revision 9, before 99/);
  await timers.advance(5_000);
  await failed;
  assert.equal(first.ended, true);
  await timers.advance(200);
  assert.notEqual(newest(), first);
  newest().respond({ created: true });
  assert.ok(newest().progressAsked > 0);
  newest().respond({});
  await later;
  await timers.advance(4_800);
  await tooFar;
  assert.equal(newest().ended, false);
  const { progressAsked } = newest();
  await timers.advance(1_000);
  assert.deepEqual([newest().progressAsked, timers.pending], [progressAsked, 0], "nobody waits any more");
  mirror.close();
});

test("EtcdMirror reads again after a compaction: one watch, tried until it succeeds, then watches are lost", async () => {
  const { open, timers, newest, etcd, logger } = createFakeEtcd([kv("a", 2)], 2);
  etcd.revision = 2;
  const mirror = await open();
  const lost: string[] = [];
  mirror.watchers.add("/registry/", 2, [], () => undefined, (error) => void lost.push(error.message));
  const first = newest();
  etcd.fault = new Error("etcd is away");
  etcd.compacted = 50;
  etcd.revision = 50;
  etcd.kvs = [kv("b", 50)];
  first.respond({ compactRevision: 50, canceled: true });
  assert.equal(first.ended, true);
  first.end(new Error("again"));
  await timers.advance(1_000);
  assert.equal(etcd.watches.length, 1);
  assert.deepEqual(lost, []);
  assert.equal(mirror.engine.get("/registry/a")?.revision, 2);
  assert.deepEqual(logger.messages("error"), Array(3).fill("cannot read etcd again"));
  etcd.fault = undefined;
  await timers.advance(1_000);
  assert.deepEqual(lost, ["cannot read revision 2: history starts at 50"]);
  assert.equal(mirror.engine.get("/registry/b")?.revision, 50);
  assert.equal(etcd.watches.length, 2);
  assert.equal(newest().startRevision, 51);
  assert.equal(mirror.isFollowing, true);
  mirror.close();
});

for (const fault of [undefined, new Error("etcd is away")]) {
  test(`EtcdMirror opens no watch if it is closed while it reads again${fault ? " in vain" : ""}`, async () => {
    const { open, newest, etcd, timers, logger } = createFakeEtcd();
    const mirror = await open();
    etcd.fault = fault;
    newest().respond({ compactRevision: 50, canceled: true });
    mirror.close();
    await settle();
    assert.equal(etcd.watches.length, 1);
    assert.equal(timers.pending, 0);
    assert.deepEqual(logger.messages("error"), []);
  });
}

test("EtcdMirror ends its watch and its timers when it is closed, and rejects the waiting callers", async () => {
  const { open, timers, newest, etcd } = createFakeEtcd();
  const mirror = await open();
  etcd.answers = false;
  const seen: unknown[] = [];
  mirror.watchers.add("/registry/", 1, [], (events) => seen.push(...events));
  const waiting = assert.rejects(mirror.reach(9, true), /the storage is closed/);
  mirror.close();
  await waiting;
  assert.equal(newest().ended, true);
  await mirror.take(2, [{ key: "/registry/a", value: kv("a", 2).value, object: { metadata: { name: "a" } } }]);
  assert.deepEqual(seen, []);
  assert.equal(timers.pending, 0);
});

test("EtcdMirror logs each new fault of its watch, reports a broken watch once, and retries soon after a success", async () => {
  const { open, timers, newest, etcd, logger, clock, observed } = createFakeEtcd();
  const mirror = await open();
  etcd.answers = false;
  clock.jump(1_000);
  const reached = mirror.reach(9, false);
  clock.jump(1_500);
  newest().respond({ revision: 9 });
  await reached;
  for (const fault of ["gone", "gone", "refused"]) {
    newest().end(new Error(fault));
    assert.equal(mirror.isFollowing, false);
    await timers.advance(2_000);
  }
  newest().respond({ created: true });
  newest().respond({});
  const known = etcd.watches.length;
  newest().end(undefined);
  await timers.advance(199);
  assert.equal(etcd.watches.length, known);
  await timers.advance(1);
  assert.equal(etcd.watches.length, known + 1);
  assert.deepEqual(logger.entries.flatMap(({ level, fields }) => level === "warn" ? [fields.error] : []), [
    "gone",
    "refused",
  ]);
  assert.deepEqual(observed, ["caught up after 0 s", "caught up after 1.5 s", "broke", "broke"]);
  mirror.close();
});

test("EtcdMirror reports the deletion of a known key, and only advances its revision for an unknown one", async () => {
  const { open, newest, etcd } = createFakeEtcd([kv("a", 2)], 2);
  etcd.revision = 2;
  const mirror = await open();
  const seen: string[] = [];
  mirror.watchers.add("/registry/", 2, [], (events) => {
    seen.push(...events.map(({ key, current, previous }) => `${key} ${previous?.revision}>${current?.revision}`));
  });
  for (const [name, revision] of [["none", 7], ["a", 8]] as const) {
    newest().respond({ events: [{ isDeletion: true, kv: kv(name, revision) }] });
    assert.equal(mirror.engine.revision, revision);
  }
  assert.deepEqual(seen, ["/registry/a 2>undefined"]);
  assert.equal(mirror.engine.get("/registry/a"), undefined);
  mirror.close();
});
