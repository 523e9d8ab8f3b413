import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstat, mkdtemp, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { isAppError } from "../core/errors.ts";
import { createFilePort, findLineStart, isContent, readNamedFile, readStickFile, tryTemporaryNames } from "./files.ts";

const files = createFilePort();

async function inTemp(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-files-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("writeAtomic() replaces a file with its mode, and leaves no temporary file", () =>
  inTemp(async (folder) => {
    const path = join(folder, "a");
    await files.writeAtomic(path, "one", 0o644);
    await files.writeAtomic(path, "two", 0o600);
    assert.equal(await files.readText(path), "two");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ["a"]);
  }));

test("writeAtomic() works when a crash has left a temporary file", () =>
  inTemp(async (folder) => {
    const path = join(folder, "a");
    await writeFile(join(folder, ".a.0.tmp"), "half");
    await files.writeAtomic(path, "whole", 0o600);
    assert.equal(await files.readText(path), "whole");
  }));

for (const code of ["EEXIST", "file_exists"]) {
  test(`tryTemporaryNames() skips names that fail with ${code}, and has a hint after the last one`, async () => {
    const inUse = Object.assign(new Error("it exists"), { code });
    assert.equal(
      await tryTemporaryNames("/d/a", (number) => number < 3 ? Promise.reject(inUse) : Promise.resolve(number)),
      3,
    );
    await assert.rejects(tryTemporaryNames("/d/a", () => Promise.reject(inUse)), {
      code: "io",
      message: 'cannot write "/d/a": 1000 temporary files are left next to it',
      hint: /begin with "\.a\."/,
    });
  });
}

for (
  const { text, end, want } of [
    { text: "", want: 0 },
    { text: "half", want: 0 },
    { text: "\n", want: 1 },
    { text: "one\ntwo", want: 4 },
    { text: "one\ntwo\n", want: 8 },
    { text: "one\ntwo\n", end: 7, want: 4 },
    { text: `a\n${"x".repeat(65_535)}`, want: 2 },
    { text: `a\n${"x".repeat(65_536)}`, want: 2 },
    { text: `one\n${"x".repeat(200_000)}`, want: 4 },
    { text: "x".repeat(200_000), want: 0 },
  ]
) {
  const length = end ?? text.length;
  test(`findLineStart() finds ${want} before ${length} of ${text.length} bytes`, () =>
    inTemp(async (folder) => {
      const path = join(folder, "log");
      await writeFile(path, text);
      const handle = await open(path, "a+");
      try {
        assert.equal(findLineStart(handle.fd, length), want);
      } finally {
        await handle.close();
      }
    }));
}

test("writeAtomic() keeps the old file when it cannot replace it", () =>
  inTemp(async (folder) => {
    await files.makeDirectory(join(folder, "d"), 0o755);
    await assert.rejects(files.writeAtomic(join(folder, "d"), "x", 0o600), (error) => isAppError(error, "io"));
    assert.deepEqual(await readdir(folder), ["d"]);
  }));

test("createExclusive() never replaces a file", () =>
  inTemp(async (folder) => {
    const path = join(folder, "key");
    await files.createExclusive(path, "one", 0o600);
    await assert.rejects(files.createExclusive(path, "two", 0o600), (error) => isAppError(error, "file_exists"));
    assert.equal(await files.readText(path), "one");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  }));

test("symlink(), rename(), lstat() and stat() distinguish links from files", () =>
  inTemp(async (folder) => {
    const [target, link, moved] = [join(folder, "a"), join(folder, "l"), join(folder, "m")];
    await files.writeAtomic(target, "x", 0o600);
    await files.symlink(target, link);
    await files.writeAtomic(moved, "old", 0o600);
    await files.rename(link, moved);
    assert.equal((await files.lstat(moved))?.kind, "symlink");
    assert.deepEqual(await files.stat(moved), { kind: "file", mode: 0o600, isOwnedByOther: false });
    assert.ok((await lstat(moved)).isSymbolicLink());
    assert.equal(await files.lstat(link), undefined);
  }));

test("a missing file is undefined to readers, and unlink() accepts it", () =>
  inTemp(async (folder) => {
    const path = join(folder, "none");
    assert.equal(await files.readText(path), undefined);
    assert.equal(await files.stat(path), undefined);
    await files.unlink(path);
    await files.symlink(path, join(folder, "dangling"));
    assert.equal(await files.readText(join(folder, "dangling")), undefined);
  }));

test("failures contain the path and have a hint", () =>
  inTemp(async (folder) => {
    const path = join(folder, "no", "such");
    await assert.rejects(files.writeAtomic(path, "x", 0o600), (error) => {
      assert.ok(isAppError(error, "io"));
      assert.equal(error.message, `cannot write "${path}": the folder does not exist`);
      assert.equal(error.hint, "create the folder first");
      return true;
    });
  }));

test("createExclusive() writes whole files and never replaces one", () =>
  inTemp(async (folder) => {
    const path = join(folder, "key");
    await files.createExclusive(path, "one", 0o600);
    await assert.rejects(files.createExclusive(path, "two", 0o600), (error) => isAppError(error, "file_exists"));
    assert.equal(await files.readText(path), "one");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ["key"]);
  }));

test("readLink() distinguishes a link from anything else", () =>
  inTemp(async (folder) => {
    await files.symlink("..data/a", join(folder, "link"));
    await files.writeAtomic(join(folder, "file"), "x", 0o600);
    assert.equal(await files.readLink(join(folder, "link")), "..data/a");
    for (const name of ["file", "nothing", "file/below", "."]) {
      assert.equal(await files.readLink(join(folder, name)), undefined, name);
    }
  }));

test("readStickFile() has a hint for a file that is too large, and readNamedFile() reads no more than its limit", () =>
  inTemp(async (folder) => {
    const path = join(folder, "f");
    const { signal } = new AbortController();
    await writeFile(path, "x".repeat((1 << 20) + 1));
    await assert.rejects(readStickFile(path, files), (error) => {
      assert.ok(isAppError(error, "io"));
      assert.match(error.message, /: it is larger than 1048576 bytes$/);
      assert.equal(error.hint, "remove it from the folder, and run the command again");
      return true;
    });
    assert.equal((await readNamedFile("f", { path, maxBytes: (1 << 20) + 1 }, signal)).length, (1 << 20) + 1);
    for (const [name, file] of [["f", path], ["/dev/zero", "/dev/zero"]] as const) {
      await assert.rejects(readNamedFile(name, { path: file, maxBytes: 1 << 20 }, signal), {
        code: "invalid",
        message: `cannot read "${name}": it is larger than 1048576 bytes`,
      });
    }
    for (const [file, why] of [[folder, "it is a folder"], [join(folder, "none"), "no such file"]] as const) {
      await assert.rejects(readNamedFile("f", { path: file, maxBytes: 1 }, signal), {
        code: "io",
        message: `cannot read "f": ${why}`,
      });
    }
  }));

test("readOpened() reads files, and neither follows links nor waits at pipes", () =>
  inTemp(async (folder) => {
    const [file, link, pipe] = [join(folder, "f"), join(folder, "l"), join(folder, "p")];
    await files.writeAtomic(file, "x", 0o640);
    await files.symlink(file, link);
    execFileSync("mkfifo", [pipe]);
    assert.deepEqual(await files.readOpened(file), {
      facts: { kind: "file", mode: 0o640, isOwnedByOther: false },
      text: "x",
    });
    assert.deepEqual([(await files.readOpened(link))?.facts.kind, (await files.readOpened(link))?.text], [
      "symlink",
      "",
    ]);
    assert.deepEqual([(await files.readOpened(pipe))?.facts.kind, (await files.readOpened(pipe))?.text], ["other", ""]);
    assert.equal((await files.readOpened(folder))?.facts.kind, "directory");
    assert.equal(await files.readOpened(join(folder, "none")), undefined);
  }));

for (
  const [text, want] of [
    ["apiVersion: v1\nkind: Config\n", true],
    ["apiVersion: v1", true],
    ['{"apiVersion":"v1"}', true],
    ['{ "users": [] }', true],
    ["{apiVersion: v1, users: []}", true],
    ["{'apiVersion': v1}", true],
    ["a\rb", true],
    ["", false],
    ["admin.kubeconfig", false],
    ["/home/anna/{site}/my kubeconfig", false],
    ["C:\\Users\\anna\\config", false],
  ] as const
) {
  test(`isContent() is ${want} for ${JSON.stringify(text)}`, () => assert.equal(isContent(text), want));
}

test("no file operation quotes content that was given in place of a path", async () => {
  const contents = ["apiVersion: v1\nclient-key-data: c2VjcmV0\n", '{"users":[{"token":"c2VjcmV0"}]}'];
  for (const content of contents.flatMap((text) => [text, `/srv/${text}`])) {
    for (
      const attempt of [
        files.readText(content),
        files.readOpened(content),
        files.writeAtomic(content, "x", 0o600),
        files.createExclusive(content, "x", 0o600),
        files.symlink("x", content),
        files.readLink(content),
        files.realPath(content),
        files.rename(content, "x"),
        files.unlink(content),
        files.makeDirectory(content, 0o700),
        files.stat(content),
        files.lstat(content),
        readNamedFile(content, { path: content, maxBytes: 10 }, AbortSignal.timeout(60_000)),
      ]
    ) {
      const error = await attempt.then(() => undefined, (caught: unknown) => caught);
      assert.ok(isAppError(error, "io"));
      assert.doesNotMatch(inspect(error), /c2VjcmV0/);
    }
  }
});
