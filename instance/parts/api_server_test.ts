import assert from "node:assert/strict";
import { test } from "node:test";
import { createVersionInfo } from "./api_server.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const BUILT = { commit: COMMIT, date: "2026-01-31T12:00:00Z" };
const LINUX = { platform: "linux", arch: "x64", versions: { node: "24.21.0" } };

for (
  const { name, build, system, want } of [
    {
      name: "a released file",
      build: BUILT,
      system: LINUX,
      want: {
        gitCommit: COMMIT,
        gitTreeState: "clean",
        buildDate: "2026-01-31T12:00:00Z",
        goVersion: "node24.21.0",
        compiler: "v8",
        platform: "linux/amd64",
      },
    },
    {
      name: "a build of changed sources",
      build: { ...BUILT, commit: `${COMMIT}-modified` },
      system: { ...LINUX, platform: "win32", arch: "arm64" },
      want: { gitCommit: COMMIT, gitTreeState: "dirty", platform: "windows/arm64" },
    },
    {
      name: "sources that run directly",
      build: { commit: "unknown", date: "unknown" },
      system: { ...LINUX, versions: { node: "24.15.0", deno: "2.9.6" } },
      want: { gitCommit: "", gitTreeState: "", buildDate: "1970-01-01T00:00:00Z", goVersion: "deno2.9.6" },
    },
  ]
) {
  test(`createVersionInfo() describes ${name}`, () =>
    assert.partialDeepStrictEqual(createVersionInfo(build, system), want));
}
