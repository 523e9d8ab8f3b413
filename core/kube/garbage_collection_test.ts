import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObjectMeta } from "./meta.ts";
import { type CollectionPlan, type Dependent, type OwnerState, planCollection } from "./garbage_collection.ts";

const DELETED = { deletionTimestamp: "2026-01-01T00:00:00Z" };
const owner = (uid: string) => ({ apiVersion: "v1", kind: "Node", name: uid, uid });
const dependent = (key: string, state: Partial<Dependent> = {}): Dependent => ({
  key,
  isBlocking: false,
  isWaiting: false,
  ...state,
});

interface Case {
  readonly name: string;
  readonly metadata: ObjectMeta;
  readonly dependents?: readonly Dependent[];
  readonly want: CollectionPlan;
}

/** The uid of an owner is its state and a number. */
const getState = ({ uid }: { readonly uid: string }) => uid.split("-")[0] as OwnerState;

const CASES: readonly Case[] = [
  { name: "an object without owners stays", metadata: {}, want: { kind: "none" } },
  {
    name: "an object whose owner exists stays",
    metadata: { ownerReferences: [owner("solid-1")] },
    want: { kind: "none" },
  },
  {
    name: "an object whose owners are all gone is deleted in the background",
    metadata: { ownerReferences: [owner("absent-1"), owner("absent-2")] },
    want: { kind: "delete", policy: "Background", unblock: false },
  },
  {
    name: "an object that is already being deleted waits for its finalizers",
    metadata: { ...DELETED, finalizers: ["example.com/hold"], ownerReferences: [owner("absent-1")] },
    want: { kind: "none" },
  },
  {
    name: "an object stays while the state of one of its owners is unknown",
    metadata: { ownerReferences: [owner("absent-1"), owner("unknown-1")] },
    want: { kind: "none" },
  },
  {
    name: "an object with a remaining owner loses the references to owners that are gone or wait for it",
    metadata: { ownerReferences: [owner("solid-1"), owner("absent-1"), owner("waiting-1")] },
    want: { kind: "dropOwners", uids: new Set(["absent-1", "waiting-1"]) },
  },
  {
    name: "an existing finalizer of the collector determines the deletion policy (orphan)",
    metadata: { finalizers: ["orphan"], ownerReferences: [owner("absent-1")] },
    want: { kind: "delete", policy: "Orphan", unblock: false },
  },
  {
    name: "an existing finalizer of the collector determines the deletion policy (foreground)",
    metadata: { finalizers: ["foregroundDeletion"], ownerReferences: [owner("absent-1")] },
    want: { kind: "delete", policy: "Foreground", unblock: false },
  },
  {
    name: "an object that its owner waits for is deleted in the background when nothing depends on it",
    metadata: { ownerReferences: [owner("waiting-1")] },
    want: { kind: "delete", policy: "Background", unblock: false },
  },
  {
    name: "an object that its owner waits for is deleted in the foreground when something depends on it",
    metadata: { ownerReferences: [owner("waiting-1"), owner("absent-1")] },
    dependents: [dependent("a")],
    want: { kind: "delete", policy: "Foreground", unblock: false },
  },
  {
    name: "an object whose dependent waits as well stops blocking, for they may wait for each other",
    metadata: { ownerReferences: [owner("waiting-1")] },
    dependents: [dependent("a", { isWaiting: true })],
    want: { kind: "delete", policy: "Foreground", unblock: true },
  },
  {
    name: "an object deleted in the foreground waits for blocking dependents, and processes those that are not waiting",
    metadata: { ...DELETED, finalizers: ["foregroundDeletion"] },
    dependents: [
      dependent("a"),
      dependent("b", { isBlocking: true }),
      dependent("c", { isBlocking: true, isWaiting: true }),
    ],
    want: { kind: "await", dependents: [dependent("b", { isBlocking: true })] },
  },
  {
    name: "an object deleted in the foreground is released when no dependent blocks",
    metadata: { ...DELETED, finalizers: ["example.com/hold", "foregroundDeletion"] },
    dependents: [dependent("a")],
    want: { kind: "release", finalizer: "foregroundDeletion" },
  },
  {
    name: "an object deleted with Orphan has its dependents orphaned",
    metadata: { ...DELETED, finalizers: ["orphan"] },
    dependents: [dependent("a")],
    want: { kind: "orphan", dependents: [dependent("a")] },
  },
  {
    name: "an object deleted with Orphan is released when no dependent remains",
    metadata: { ...DELETED, finalizers: ["orphan"] },
    want: { kind: "release", finalizer: "orphan" },
  },
  {
    name: "a finalizer of the collector means nothing before the deletion",
    metadata: { finalizers: ["orphan", "foregroundDeletion"] },
    dependents: [dependent("a")],
    want: { kind: "none" },
  },
];

for (const { name, metadata, dependents = [], want } of CASES) {
  test(`planCollection(): ${name}`, () => assert.deepEqual(planCollection(metadata, getState, dependents), want));
}
