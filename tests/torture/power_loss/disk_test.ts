import assert from "node:assert/strict";
import { test } from "node:test";
import type { DiskRecord } from "../../support/interop/recorded_disk.ts";
import { createSeededRandom } from "../../support/seeded_random.ts";
import { CHANCE, Disk, EXTREMES, type Survival, type Tree } from "./disk.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const create = (path: string, inode: number): DiskRecord => ({
  kind: "create",
  path: `/r/${path}`,
  inode,
  mode: 0o600,
});
const write = (inode: number, text: string, offset = 0): DiskRecord => ({
  kind: "write",
  inode,
  offset,
  bytes: bytes(text),
});
const rename = (from: string, to: string): DiskRecord => ({ kind: "rename", from: `/r/${from}`, to: `/r/${to}` });
let syncs = 0;
const sync = (inode: number): readonly DiskRecord[] => {
  const name = `${++syncs}`;
  return [{ kind: "syncBegins", inode, sync: name }, { kind: "syncEnds", inode, sync: name }];
};
const ROOT = 1;

function show({ leaves }: Tree): string {
  const texts = [...leaves].map(([path, leaf]) =>
    `${path}=${leaf.kind === "link" ? leaf.target : new TextDecoder().decode(leaf.bytes).replaceAll("\0", "0")}`
  );
  return texts.sort().join(" ");
}

/** Lists the states that a crash may leave after some changes. */
function crash(
  changes: readonly DiskRecord[],
  survivals: readonly Survival[] = [...EXTREMES, ...Array(100).fill(CHANCE)],
) {
  const disk = new Disk("/r", ROOT);
  for (const change of changes) disk.apply(change);
  const random = createSeededRandom();
  return [...new Set(survivals.map((survival) => show(disk.crash(survival, random))))].sort();
}

for (
  const { name, changes, want } of [
    {
      name: "a file that was not synced may be missing, empty, or zeros",
      changes: [create("a", 2), write(2, "one")],
      want: ["", "a=", "a=000", "a=one"],
    },
    {
      name: "a file whose name alone was synced is there",
      changes: [create("a", 2), write(2, "one"), ...sync(ROOT)],
      want: ["a=", "a=000", "a=one"],
    },
    {
      name: "a file whose content alone was synced may be missing",
      changes: [create("a", 2), write(2, "one"), ...sync(2)],
      want: ["", "a=one"],
    },
    {
      name: "a file that was synced with its folder is there",
      changes: [create("a", 2), write(2, "one"), ...sync(2), ...sync(ROOT)],
      want: ["a=one"],
    },
    {
      name: "a rename without a sync of the content may show an empty file",
      changes: [create("t", 2), ...sync(ROOT), write(2, "new"), rename("t", "a"), ...sync(ROOT)],
      want: ["a=", "a=000", "a=new"],
    },
    {
      name: "a rename without a sync of the folder may be undone, and is atomic",
      changes: [create("t", 2), write(2, "new"), ...sync(2), ...sync(ROOT), rename("t", "a")],
      want: ["a=new", "t=new"],
    },
    {
      name: "a removed file may come back until its folder is synced",
      changes: [create("a", 2), ...sync(ROOT), { kind: "remove", path: "/r/a" }],
      want: ["", "a="],
    },
    {
      name: "a write during a sync is not safe after it",
      changes: [
        create("a", 2),
        ...sync(ROOT),
        write(2, "one"),
        { kind: "syncBegins", inode: 2, sync: "x" },
        write(2, "two"),
        { kind: "syncEnds", inode: 2, sync: "x" },
      ],
      want: ["a=one", "a=two"],
    },
    {
      name: "bytes that a synced truncation removed do not come back",
      changes: [
        create("a", 2),
        ...sync(ROOT),
        write(2, "old"),
        { kind: "truncate", inode: 2, length: 0 },
        ...sync(2),
        write(2, "n"),
      ],
      want: ["a=", "a=0", "a=n"],
    },
  ] satisfies readonly { name: string; changes: readonly DiskRecord[]; want: readonly string[] }[]
) test(`Disk.crash(): ${name}`, () => assert.deepEqual(crash(changes), want));

test("Disk.crash(): pages of a file reach the disk in any order, and one that was being written may be torn", () => {
  const [first, second] = ["a".repeat(4_096), "b".repeat(4_096)];
  const states = crash(
    [create("f", 2), ...sync(ROOT), write(2, first), write(2, second, 4_096)],
    Array(400).fill(CHANCE),
  )
    .map((text) => text.slice(2));
  const is = (state: string, from: number, letter: string) => state.slice(from, from + 4_096) === letter.repeat(4_096);
  assert.ok(states.some((state) => is(state, 0, "0") && is(state, 4_096, "b")), "the second page alone");
  assert.ok(states.some((state) => is(state, 0, "a") && state.length === 4_096), "the first page alone");
  assert.ok(states.some((state) => /^(?:0{512}|a{512})+$/.test(state) && /0a/.test(state) && /a0/.test(state)), "torn");
});

test("Disk.apply() refuses a record with a gap", () => {
  const disk = new Disk("/r", ROOT);
  assert.throws(() => disk.apply(write(7, "x")), /no inode 7/);
  assert.throws(() => disk.apply(rename("a", "b")), /no \/r\/a/);
});
