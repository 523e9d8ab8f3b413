import assert from "node:assert/strict";
import { test } from "node:test";
import type { DiskRecord } from "../../support/interop/recorded_disk.ts";
import { createSeededRandom } from "../../support/seeded_random.ts";
import { Disk, type Leaf, type Tree } from "./disk.ts";
import { type Mark, PowerLossLedger } from "./ledger.ts";

const file = (text: string): Leaf => ({ kind: "file", bytes: new TextEncoder().encode(text), mode: 0o600 });
const tree = (leaves: Readonly<Record<string, string>>): Tree => ({
  folders: new Map(),
  leaves: new Map(Object.entries(leaves).map(([path, text]) => [path, file(text)])),
});
const mark = (text: Mark): DiskRecord => ({ kind: "mark", text: JSON.stringify(text) });

/** A key, a certificate and a log, which are settled, and another certificate. */
const CHANGES: readonly DiskRecord[] = [
  { kind: "makeFolder", path: "/r/d", inode: 2, mode: 0o700 },
  ...write("key", 3, "K"),
  ...write("crt", 4, "one"),
  { kind: "create", path: "/r/d/issued.jsonl", inode: 5, mode: 0o600 },
  { kind: "write", inode: 5, offset: 0, bytes: new TextEncoder().encode("line\n") },
  mark({ kind: "settled", under: "d" }),
  ...write("crt", 6, "two"),
];

function write(name: string, inode: number, text: string): readonly DiskRecord[] {
  return [
    { kind: "create", path: `/r/d/.${name}.0.tmp`, inode, mode: 0o600 },
    { kind: "write", inode, offset: 0, bytes: new TextEncoder().encode(text) },
    { kind: "rename", from: `/r/d/.${name}.0.tmp`, to: `/r/d/${name}` },
  ];
}

function follow(changes: readonly DiskRecord[], earlier?: PowerLossLedger): PowerLossLedger {
  const [disk, ledger] = [new Disk("/r", 1), new PowerLossLedger("/r", earlier)];
  for (const change of changes) {
    disk.apply(change);
    ledger.apply(change, disk);
  }
  assert.equal(disk.crash({ names: "none", content: "none" }, createSeededRandom()).leaves.size, 0);
  return ledger;
}

const ledger = follow(CHANGES, follow(CHANGES));
const GOOD = { "d/key": "K", "d/crt": "one", "d/issued.jsonl": "line\n" };

for (
  const { name, leaves, want } of [
    { name: "the settled files", leaves: GOOD, want: [] },
    { name: "a later content", leaves: { ...GOOD, "d/crt": "two" }, want: [] },
    { name: "an unfinished file", leaves: { ...GOOD, "d/.crt.0.tmp": "tw" }, want: [] },
    { name: "a torn line at the end", leaves: { ...GOOD, "d/issued.jsonl": "line\nli" }, want: [] },
    { name: "a torn file", leaves: { ...GOOD, "d/crt": "t" }, want: ["d/crt is torn: 1 bytes"] },
    {
      name: "a lost file",
      leaves: { "d/crt": "one", "d/issued.jsonl": "line\n" },
      want: ["d/key is lost, although it was acknowledged"],
    },
    {
      name: "a lost line",
      leaves: { ...GOOD, "d/issued.jsonl": "lin" },
      want: ["d/issued.jsonl has lost acknowledged lines"],
    },
  ]
) {
  test(`findFileFaults(): ${name}`, () => assert.deepEqual(ledger.findFileFaults(tree(leaves)), want));
}

test("findFileFaults(): old content after newer content was settled, and a removed file", () => {
  const more = [...CHANGES, { kind: "remove", path: "/r/d/key" } as const, mark({ kind: "settled", under: "d" })];
  const later = follow(more, follow(more));
  assert.deepEqual(later.findFileFaults(tree(GOOD)), [
    "d/key came back after its removal",
    "d/crt has its old content again",
  ]);
  assert.deepEqual(later.findFileFaults(tree({ "d/crt": "two", "d/issued.jsonl": "line\n" })), []);
});

test("findObjectFaults(): an object is as acknowledged, or as requested since", () => {
  const requested = (name: string, value?: string): DiskRecord =>
    mark({ kind: "requested", name, ...(value === undefined ? {} : { value }) });
  const done = (name: string, value?: string): DiskRecord =>
    mark({ kind: "acknowledged", name, ...(value === undefined ? {} : { value }) });
  const changes = [
    requested("a", "1"),
    done("a", "1"),
    requested("a", "2"),
    requested("b", "1"),
    requested("c", "1"),
    done("c", "1"),
    requested("c"),
    done("c"),
  ];
  const found = follow(changes);
  assert.deepEqual(found.findObjectFaults(new Map([["a", "1"]])), []);
  assert.deepEqual(found.findObjectFaults(new Map([["a", "2"], ["b", "1"]])), []);
  assert.deepEqual(found.findObjectFaults(new Map([["c", "1"], ["x", "1"]])), [
    "object a is absent, and 1 is lost, which was acknowledged",
    "object c is 1, and absent is lost, which was acknowledged",
    "object x was never requested",
  ]);
});
