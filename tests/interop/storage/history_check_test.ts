/**
 * The checker of histories finds each kind of broken promise in a manipulated history, and nothing in histories that only
 * look unusual.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createTempFolder } from "../../support/temp.ts";
import { createHistoryWriter, HISTORY_FILE, type HistoryRecord, type RecordedState } from "../../torture/history.ts";
import { checkHistory, listVerdictFaults, type Verdict } from "../../torture/history_check.ts";

const TARGET = { resource: "configmaps", namespace: "default" } as const;

/** How long the servers of a history keep revisions. */
interface Promised {
  readonly keptMs?: number;
}

const KEPT: Promised = { keptMs: 300_000 };

function writeHistory(path: string, records: readonly HistoryRecord[], promised: Promised): void {
  using history = createHistoryWriter(path, { title: "manipulated", ...promised });
  for (const record of records) history.write(record);
}

async function check(records: readonly HistoryRecord[], promised = KEPT): Promise<Verdict> {
  await using folder = await createTempFolder();
  writeHistory(folder.join(HISTORY_FILE), records, promised);
  return await checkHistory(folder.path);
}

type Labels = Readonly<Record<string, string>>;

/** Creates a state of the object `name`, written at a revision by the write `w<revision>`. */
function state(name: string, resourceVersion: number, labels?: Labels): RecordedState {
  const write = `w${resourceVersion}`;
  const uid = `uid-${name}`;
  return {
    namespace: "default",
    name,
    uid,
    resourceVersion,
    digest: write,
    write,
    ...labels === undefined ? {} : { labels },
  };
}

type Call = Extract<HistoryRecord, { kind: "call" }>;
type Watched = Extract<HistoryRecord, { kind: "watch" }>;
type Event = Extract<HistoryRecord, { kind: "event" }>;

function call(begin: number, end: number, verb: Call["verb"], rest: Partial<Call>): Call {
  return { kind: "call", client: "client", begin, end, verb, ...TARGET, status: 200, ...rest };
}

/** A write that is acknowledged with the state of a revision. */
function write(at: number, verb: "create" | "update", object: RecordedState, guard?: number): Call {
  const sent = { write: object.write!, ...guard === undefined ? {} : { resourceVersion: `${guard}` } };
  return call(at, at + 5, verb, { name: object.name, sent, object });
}

/** A call without an answer. */
function open(at: number, verb: Call["verb"], rest: Partial<Call>): Call {
  const { status: _status, ...unanswered } = call(at, at + 5, verb, rest);
  return unanswered;
}

function list(at: number, resourceVersion: number, items: readonly RecordedState[], rest: Partial<Call> = {}): Call {
  return call(at, at + 5, "list", { ...rest, list: { resourceVersion, items, ...rest.list } });
}

function watch(number: number, begin: number, resourceVersion: number, rest: Partial<Watched> = {}): Watched {
  const end = begin + 1;
  return {
    kind: "watch",
    client: "watcher",
    watch: number,
    begin,
    end,
    ...TARGET,
    resourceVersion: `${resourceVersion}`,
    status: 200,
    ...rest,
  };
}

function event(number: number, at: number, type: Event["type"], object: RecordedState): Event {
  return { kind: "event", watch: number, at, type, object };
}

function bookmark(number: number, at: number, revision: number, rest: Partial<Event> = {}): Event {
  return { kind: "event", watch: number, at, type: "BOOKMARK", revision, ...rest };
}

const A2 = state("a", 2, { color: "red" });
const A3 = state("a", 3, { color: "blue" });
const B4 = state("b", 4, { color: "red" });
/** A deletion event shows the last state with the revision of the deletion. */
const A5 = { ...A3, resourceVersion: 5 };
const RED = { labelSelector: "color=red" };

/**
 * A correct history: it creates a, updates it, creates b and deletes a, with watches, one of them with a selector, a
 * streaming list, reads and pages.
 */
const CORRECT = {
  empty: list(10, 1, []),
  watch: watch(1, 20, 1),
  red: watch(2, 20, 1, RED),
  create: write(100, "create", A2),
  added: event(1, 106, "ADDED", A2),
  redAdded: event(2, 106, "ADDED", A2),
  get: call(110, 115, "get", { name: "a", object: A2 }),
  update: write(200, "update", A3, 2),
  modified: event(1, 206, "MODIFIED", A3),
  redGone: event(2, 206, "DELETED", { ...A2, resourceVersion: 3 }),
  marked: bookmark(1, 210, 3),
  conflict: call(220, 225, "update", { name: "a", status: 409, sent: { resourceVersion: "2", write: "late" } }),
  second: write(300, "create", B4),
  secondAdded: event(1, 306, "ADDED", B4),
  redSecond: event(2, 306, "ADDED", B4),
  first: list(310, 4, [A3], { limit: 1, list: { resourceVersion: 4, items: [A3], continue: "token", remaining: 1 } }),
  delete: call(400, 405, "delete", { name: "a", deleted: "uid-a" }),
  deleted: event(1, 406, "DELETED", A5),
  rest: list(410, 4, [B4], { limit: 1, continue: "token" }),
  newest: list(420, 5, [B4]),
  gone: call(430, 435, "get", { name: "a", status: 404 }),
  exact: list(440, 3, [A3], { resourceVersion: "3", resourceVersionMatch: "Exact" }),
  atLeast: list(450, 5, [B4], { resourceVersion: "3", resourceVersionMatch: "NotOlderThan" }),
  redList: list(460, 4, [B4], { resourceVersion: "4", resourceVersionMatch: "Exact", ...RED }),
  old: call(470, 475, "get", { name: "b", resourceVersion: "0", object: B4 }),
  resumed: watch(3, 480, 3),
  resumedSecond: event(3, 481, "ADDED", B4),
  resumedDeleted: event(3, 482, "DELETED", A5),
  streaming: watch(4, 490, 4, { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" }),
  initial: event(4, 491, "ADDED", B4),
  initialEnd: bookmark(4, 492, 5, { initialEventsEnd: true }),
} satisfies Record<string, HistoryRecord>;

type Change = Partial<Record<keyof typeof CORRECT, HistoryRecord | readonly HistoryRecord[] | undefined>>;

/** Returns the correct history with some records replaced or left out. */
function changeHistory(changes: Change): readonly HistoryRecord[] {
  return Object.values({ ...CORRECT, ...changes }).flat().filter((record) => record !== undefined);
}

test("the checker finds no fault in a correct history, and checks every record", async () => {
  const verdict = await check(changeHistory({}));
  assert.deepEqual(listVerdictFaults(verdict), []);
  const { calls, objects, operations, watches, events, reads, unchecked } = verdict;
  assert.deepEqual({ calls, objects, operations, watches, events, reads, unchecked }, {
    ...{ calls: 15, objects: 2, operations: 7, watches: 4, events: 10, reads: 9, unchecked: 0 },
  });
});

const BROKEN: readonly { readonly name: string; readonly changes: Change; readonly want: RegExp }[] = [
  {
    name: "a lost acknowledged write",
    changes: { get: call(110, 115, "get", { name: "a", status: 404 }) },
    want: /^linearizable: configmaps default\/a: no order .* ends before client: get configmaps\/default\/a → 404/,
  },
  {
    name: "a read of the state before an acknowledged write",
    changes: { conflict: call(220, 225, "get", { name: "a", object: A2 }) },
    want: /^linearizable: configmaps default\/a: no order/,
  },
  {
    name: "an update whose precondition did not hold",
    changes: { update: write(200, "update", A3, 1) },
    want: /^linearizable: configmaps default\/a: no order/,
  },
  {
    name: "a conflict although the precondition held",
    changes: {
      conflict: call(220, 225, "update", { name: "a", status: 409, sent: { resourceVersion: "3", write: "late" } }),
    },
    want: /^linearizable: configmaps default\/a: no order/,
  },
  {
    name: "a second creation of an object that exists",
    changes: { second: [CORRECT.second, write(307, "create", { ...state("b", 5), uid: "uid-2" })] },
    want: /^linearizable: configmaps default\/b: no order/,
  },
  {
    name: "a deleted object that is read again",
    changes: { gone: call(430, 435, "get", { name: "a", object: A3 }) },
    want: /^linearizable: configmaps default\/a: no order/,
  },
  {
    name: "a 404 after an unanswered deletion that a watch contradicts",
    changes: {
      conflict: [open(212, "delete", { name: "a" }), call(220, 225, "get", { name: "a", status: 404 })],
    },
    want: /^linearizable: configmaps default\/a: no order/,
  },
  {
    name: "a write at a lower revision than one seen before",
    changes: {
      second: write(300, "create", state("b", 3)),
      update: write(200, "update", state("a", 4), 2),
      ...Object.fromEntries(
        Object.keys(CORRECT).slice(8).filter((name) => name !== "second").map((name) => [name, undefined]),
      ),
    },
    want:
      /^linearizable: client: create configmaps\/default\/b was written at revision 3, after revision 4 had been seen/,
  },
  {
    name: "a write without an answer that appears with different content",
    changes: {
      update: { ...write(200, "update", A3, 2), status: undefined!, object: undefined!, sent: { write: "other" } },
    },
    want: /^nothing else: configmaps default\/a: w3 at revision 3 was written by no call/,
  },
  {
    name: "a refused write that was stored",
    changes: {
      update: call(200, 205, "update", { name: "a", status: 409, sent: { resourceVersion: "2", write: "w3" } }),
    },
    want: /^nothing else: client: update configmaps\/default\/a was refused with 409, and was done at revision 3/,
  },
  {
    name: "an object that vanishes",
    changes: { delete: undefined },
    want: /^nothing else: configmaps default\/a was deleted at revision 5, by no call/,
  },
  {
    name: "a write that is stored twice",
    changes: {
      second: [CORRECT.second, { ...call(301, 302, "get", { name: "b", object: { ...B4, resourceVersion: 6 } }) }],
    },
    want: /^nothing else: configmaps default\/b: w4 was written twice, at revisions 4 and 6/,
  },
  {
    name: "a list that is older than a write before it",
    changes: { newest: list(420, 4, [A3, B4]) },
    want: /^linearizable: client: list .*: shows revision 4, though revision 5 had been seen before it was sent/,
  },
  {
    name: "a list that lacks an object",
    changes: { newest: list(420, 5, []) },
    want: /^reads at a revision: client: list .*: revision 5 lacks default\/b \(revision 4\)/,
  },
  {
    name: "a list that shows a deleted object",
    changes: { newest: list(420, 5, [A3, B4]) },
    want: /^reads at a revision: client: list .*: shows default\/a, which was deleted before revision 5/,
  },
  {
    name: "an exact list of another revision",
    changes: { exact: list(440, 4, [A3, B4], { resourceVersion: "3", resourceVersionMatch: "Exact" }) },
    want: /^reads at a revision: client: list .*: shows revision 4/,
  },
  {
    name: "an exact list with the state of another revision",
    changes: { exact: list(440, 3, [A2], { resourceVersion: "3", resourceVersionMatch: "Exact" }) },
    want: /^reads at a revision: .*: shows default\/a as it was at revision 2, but it was written at revision 3/,
  },
  {
    name: "an exact list with a later object",
    changes: { exact: list(440, 3, [A3, B4], { resourceVersion: "3", resourceVersionMatch: "Exact" }) },
    want: /^reads at a revision: .*: shows default\/b as it was later, at revision 4/,
  },
  {
    name: "a list that is older than requested",
    changes: { atLeast: list(450, 3, [A3], { resourceVersion: "4", resourceVersionMatch: "NotOlderThan" }) },
    want: /^reads at a revision: .*: shows the older revision 3/,
  },
  {
    name: "a page of another revision",
    changes: { rest: list(410, 5, [B4], { limit: 1, continue: "token" }) },
    want: /^reads at a revision: .*: the pages of a list are of revisions 4 and 5/,
  },
  {
    name: "a page that starts over",
    changes: { rest: list(410, 4, [A3, B4], { limit: 2, continue: "token" }) },
    want: /^reads at a revision: .*: default\/a comes after default\/a/,
  },
  {
    name: "a wrong number of remaining items",
    changes: {
      first: list(310, 4, [A3], {
        limit: 1,
        list: { resourceVersion: 4, items: [A3], continue: "token", remaining: 2 },
      }),
    },
    want: /^reads at a revision: .*: says that 2 items remain, not 1/,
  },
  {
    name: "a list with an object that is not selected",
    changes: { redList: list(460, 4, [A3, B4], { resourceVersion: "4", resourceVersionMatch: "Exact", ...RED }) },
    want: /^filtered: .*: shows default\/a, which is not selected/,
  },
  {
    name: "two states of one revision",
    changes: { old: call(470, 475, "get", { name: "b", resourceVersion: "0", object: { ...B4, digest: "other" } }) },
    want: /^unique: configmaps: revision 4 is default\/b \(w4\) and also default\/b \(other\)/,
  },
  {
    name: "a repeated event",
    changes: { modified: [CORRECT.modified, CORRECT.modified] },
    want: /^unique: watch 1 .*: revision 3 came twice/,
  },
  {
    name: "an event out of order",
    changes: { added: CORRECT.modified, modified: CORRECT.added, marked: undefined },
    want: /^ordered: watch 1 .*: revision 2 of default\/a came after 3/,
  },
  {
    name: "a missed event",
    changes: { secondAdded: undefined },
    want: /^reliable: watch 1 .*: revision 4 \(ADDED of default\/b\) was missed/,
  },
  {
    name: "an acknowledged deletion that no watch shows",
    changes: {
      deleted: [write(407, "create", state("c", 6)), event(1, 413, "ADDED", state("c", 6))],
      resumedDeleted: undefined,
    },
    want: /^reliable: client: delete configmaps\/default\/a was acknowledged, and no watch shows it/,
  },
  {
    name: "a missed deletion before a bookmark",
    changes: { resumedDeleted: bookmark(3, 482, 5) },
    want: /^bookmarkable: watch 3 .*: revision 5 \(DELETED of default\/a\) was missed/,
  },
  {
    name: "an event that is lost when a watch resumes",
    changes: { resumedSecond: undefined },
    want: /^resumable: watch 3 .*: revision 4 \(ADDED of default\/b\) was missed/,
  },
  {
    name: "an event from before the start of a watch",
    changes: { resumedSecond: [event(3, 481, "MODIFIED", A3), CORRECT.resumedSecond] },
    want: /^resumable: watch 3 .*: revision 3 of default\/a came, though it began after 3/,
  },
  {
    name: "a premature bookmark",
    changes: { marked: bookmark(1, 210, 4) },
    want: /^bookmarkable: watch 1 .*: revision 4 \(ADDED of default\/b\) was missed/,
  },
  {
    name: "a bookmark that goes back",
    changes: { marked: bookmark(1, 210, 2) },
    want: /^bookmarkable: watch 1 .*: a bookmark of 2 came after 3/,
  },
  {
    name: "an event with another state",
    changes: { deleted: event(1, 406, "DELETED", { ...A5, digest: "w2" }) },
    want: /^atomic: watch 1 .*: revision 5 of default\/a shows another state than its change/,
  },
  {
    name: "a MODIFIED event for an object that leaves the selection",
    changes: { redGone: event(2, 206, "MODIFIED", A3) },
    want: /^filtered: watch 2 .*: revision 3 of default\/a came as MODIFIED, not as DELETED/,
  },
  {
    name: "a missed event for an object that leaves the selection",
    changes: { redGone: undefined },
    want: /^reliable: watch 2 .*: revision 3 \(DELETED of default\/a\) was missed/,
  },
  {
    name: "an ADDED event for a change",
    changes: { modified: event(1, 206, "ADDED", A3) },
    want: /^filtered: watch 1 .*: revision 3 of default\/a came as ADDED, not as MODIFIED/,
  },
  {
    name: "a streaming list without an object",
    changes: { initial: undefined },
    want: /^reads at a revision: watcher: list .*: revision 5 lacks default\/b/,
  },
  {
    name: "a streaming list that is older than requested",
    changes: {
      streaming: watch(4, 490, 5, { sendInitialEvents: true }),
      initial: [event(4, 490, "ADDED", A3), CORRECT.initial],
      initialEnd: bookmark(4, 492, 4, { initialEventsEnd: true }),
    },
    want: /^reads at a revision: watcher: list .*: shows the older revision 4/,
  },
  {
    name: "a 410 for a revision that is kept",
    changes: {
      resumed: watch(3, 480, 3, { status: 410, reason: "Expired" }),
      resumedSecond: undefined,
      resumedDeleted: undefined,
    },
    want: /^410 only when older than what is kept: watcher: configmaps resourceVersion=3 was refused as too old/,
  },
];

for (const { name, changes, want } of BROKEN) {
  test(`the checker finds ${name}`, async () => {
    const faults = listVerdictFaults(await check(changeHistory(changes)));
    assert.ok(faults.some((fault) => want.test(fault)), `${want} is not among:\n${faults.join("\n")}`);
  });
}

test("the checker writes a page with the faults, and a porcupine page with the calls for an object", async () => {
  await using folder = await createTempFolder();
  writeHistory(
    folder.join(HISTORY_FILE),
    changeHistory({ get: call(110, 115, "get", { name: "a", status: 404 }) }),
    KEPT,
  );
  const { page } = await checkHistory(folder.path);
  const html = await readFile(page, "utf8");
  assert.match(html, /no order of its \d+ calls explains the answers/);
  const [, name = ""] = /<a href="(object-\d+\.html)">configmaps default\/a<\/a>/.exec(html) ?? [];
  assert.match(await readFile(folder.join(name), "utf8"), /client: get configmaps\/default\/a → 404/);
});

const NOT_RED = { client: "other", labelSelector: "color!=red", limit: 1 };

const UNUSUAL: readonly { readonly name: string; readonly changes: Change }[] = [
  {
    name: "a continue token that two clients use with different selections",
    changes: {
      first: [
        CORRECT.first,
        list(312, 4, [A3], { ...NOT_RED, list: { resourceVersion: 4, items: [A3], continue: "token" } }),
      ],
      rest: [CORRECT.rest, list(412, 4, [], { ...NOT_RED, continue: "token" })],
    },
  },
  {
    name: "a write without an answer that was stored",
    changes: { update: { ...CORRECT.update, status: undefined!, object: undefined! } },
  },
  {
    name: "a write without an answer that was not stored",
    changes: {
      second: [
        {
          ...call(300, 301, "update", { name: "a", sent: { write: "lost", resourceVersion: "3" } }),
          status: undefined!,
        },
        CORRECT.second,
      ],
    },
  },
  {
    name: "an update that changes nothing after a write without an answer",
    changes: {
      update: { ...CORRECT.update, status: undefined!, object: undefined! },
      conflict: { ...write(220, "update", A3, 3), sent: { resourceVersion: "3" } },
    },
  },
  {
    name: "a deletion without an answer that a later read shows",
    changes: {
      gone: [
        CORRECT.gone,
        { ...call(436, 437, "delete", { name: "b" }), status: undefined! },
        call(500, 505, "get", { name: "b", status: 404 }),
      ],
    },
  },
  {
    name: "fifty writes without an answer, none of which was stored",
    changes: {
      initialEnd: [
        CORRECT.initialEnd,
        ...Array.from(
          { length: 50 },
          (_, index) =>
            open(500, index % 5 === 0 ? "delete" : "update", { name: "b", sent: { write: `lost-${index}` } }),
        ),
        call(600, 605, "get", { name: "b", object: B4 }),
        write(700, "update", state("b", 8), 4),
      ],
    },
  },
  {
    name: "a creation that is refused after a creation without an answer",
    changes: {
      initialEnd: [
        CORRECT.initialEnd,
        open(500, "create", { name: "c", sent: { write: "lost" } }),
        call(510, 515, "create", { name: "c", status: 409, sent: { write: "late" } }),
      ],
    },
  },
  {
    name: "a 410 for a compacted revision",
    changes: {
      resumed: [
        { kind: "compaction", begin: 476, end: 477, revision: 4 },
        watch(3, 480, 3, { status: 410, reason: "Expired" }),
      ],
      resumedSecond: undefined,
      resumedDeleted: undefined,
    },
  },
];

for (const { name, changes } of UNUSUAL) {
  test(`the checker accepts ${name}`, async () => {
    assert.deepEqual(listVerdictFaults(await check(changeHistory(changes))), []);
  });
}

test("the checker accepts a 410 for any revision if no history is promised, such as when clocks change", async () => {
  const records = changeHistory({
    resumed: watch(3, 480, 3, { status: 410, reason: "Expired" }),
    resumedSecond: undefined,
    resumedDeleted: undefined,
  });
  assert.deepEqual(listVerdictFaults(await check(records, {})), []);
});

test("the checker accepts a page that counts one object too few, because its deletion may be unobserved", async () => {
  const page = list(400, 10, [A2], {
    limit: 1,
    list: { resourceVersion: 10, items: [A2], continue: "token", remaining: 1 },
  });
  const records = [write(100, "create", A2), write(200, "create", B4), write(300, "create", state("c", 6)), page];
  assert.deepEqual(listVerdictFaults(await check(records)), []);
});

test("the checker accepts a 404 between two objects of the same name, even if no watch saw the deletion", async () => {
  const read = call(250, 255, "get", { name: "a", resourceVersion: "2", status: 404 });
  const deletion = call(200, 205, "delete", { name: "a", deleted: A2.uid });
  const again = { ...state("a", 6), uid: "uid-again" };
  const watched = [watch(1, 400, 6), { kind: "event", watch: 1, at: 500, type: "BOOKMARK", revision: 7 } as const];
  const records = [write(100, "create", A2), deletion, read, write(300, "create", again), ...watched];
  assert.deepEqual(listVerdictFaults(await check(records, {})), []);
});

test("the checker accepts a 404 after a deletion that no watch has seen, but not without a deletion", async () => {
  const read = call(250, 255, "get", { name: "a", resourceVersion: "2", status: 404 });
  const deletion = call(200, 205, "delete", { name: "a", deleted: A2.uid });
  const watched = [watch(1, 90, 1), event(1, 150, "ADDED", A2)];
  const records = [write(100, "create", A2), ...watched, read];
  assert.deepEqual(listVerdictFaults(await check([...records, deletion], {})), []);
  assert.match(listVerdictFaults(await check(records, {})).join(), /found nothing, though it was there at revision 2/);
});

test("the checker applies a field selector for the signer name", async () => {
  const resource = "certificatesigningrequests.certificates.k8s.io";
  const request = (name: string, resourceVersion: number, signerName: string): RecordedState => ({
    ...{ name, uid: name, resourceVersion, digest: name, signerName },
  });
  const [one, other] = [request("one", 2, "example.com/a"), request("other", 3, "example.com/b")];
  const fieldSelector = "spec.signerName=example.com/a";
  const read = (items: readonly RecordedState[]): Call => {
    const { namespace: _namespace, ...selected } = list(200, 3, items, { resource, fieldSelector });
    return selected;
  };
  const { namespace: _namespace, ...whole } = list(100, 3, [one, other], { resource });
  assert.deepEqual(listVerdictFaults(await check([whole, read([one])])), []);
  const faults = listVerdictFaults(await check([whole, read([one, other])]));
  assert.ok(faults.some((fault) => /^filtered: .*: shows other, which is not selected/.test(fault)), faults.join("\n"));
});
