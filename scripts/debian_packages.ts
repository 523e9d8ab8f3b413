/**
 * Installs what the tests of the released file need from Debian: an emulator and libraries for arm64, and tools that
 * make a bare host. Does nothing where they are there; needs root and apt where they are not.
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { mustRun } from "./_run.ts";

/** Package by a file that it brings. */
const PACKAGES: Readonly<Record<string, string>> = {
  "/usr/bin/qemu-aarch64-static": "qemu-user-static",
  "/usr/aarch64-linux-gnu/lib/libc.so.6": "libc6-arm64-cross",
  "/usr/aarch64-linux-gnu/lib/libstdc++.so.6": "libstdc++6-arm64-cross",
  "/usr/aarch64-linux-gnu/lib/libgcc_s.so.1": "libgcc-s1-arm64-cross",
  "/usr/bin/strace": "strace",
  "/usr/bin/unshare": "util-linux",
  "/bin/ip": "iproute2",
};

async function main(): Promise<void> {
  const missing = Object.entries(PACKAGES).flatMap(([file, name]) => existsSync(file) ? [] : [name]);
  if (missing.length === 0) return;
  await mustRun("apt-get", ["update", "-qq"]);
  await mustRun("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
