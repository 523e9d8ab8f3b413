import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileFacts } from "./files.ts";
import { findSecretFault } from "./private_file.ts";

const OWN: FileFacts = { kind: "file", mode: 0o600, isOwnedByOther: false };

for (
  const { name, facts, want } of [
    { name: "a private file of this user", facts: {}, want: undefined },
    { name: "a read-only file of this user", facts: { mode: 0o400 }, want: undefined },
    { name: "a link", facts: { kind: "symlink", mode: 0o777 }, want: "it is a symbolic link" },
    { name: "a pipe", facts: { kind: "other" }, want: "it is not a file" },
    { name: "a folder", facts: { kind: "directory", mode: 0o700 }, want: "it is not a file" },
    { name: "another user's file", facts: { isOwnedByOther: true }, want: "it belongs to another user" },
    { name: "a file that the group may read", facts: { mode: 0o640 }, want: "others may read it (mode 640)" },
    { name: "a Secret's file in a pod", facts: { mode: 0o440, isOwnedByRoot: true }, want: undefined },
    {
      name: "root's file that its group may write",
      facts: { mode: 0o660, isOwnedByRoot: true },
      want: "others may read it (mode 660)",
    },
    {
      name: "root's file that all may read",
      facts: { mode: 0o444, isOwnedByRoot: true },
      want: "others may read it (mode 444)",
    },
    { name: "a file that all may write", facts: { mode: 0o602 }, want: "others may read it (mode 602)" },
  ] satisfies readonly { name: string; facts: Partial<FileFacts>; want: string | undefined }[]
) {
  test(`findSecretFault() checks ${name}`, () => assert.equal(findSecretFault({ ...OWN, ...facts }), want));
}
