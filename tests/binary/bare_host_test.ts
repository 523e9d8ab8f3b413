/** The file on a host with glibc and nothing else, and its connections there. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ensureOldLibraries } from "../support/peers/debian.ts";
import { createTempFolder } from "../support/temp.ts";
import { type BareRoot, createBareRoot, DATA, type User } from "../support/binary/bare_root.ts";
import { hostFile } from "../support/binary/released.ts";

const USERS: readonly { readonly who: string; readonly user: User }[] = [
  { who: "root", user: "0:0" },
  { who: "an ordinary user", user: "65534:65534" },
];

for (const { who, user } of USERS) {
  test(`the file runs server and client as ${who} on a bare host, and connects to loopback alone`, async () => {
    await using folder = await createTempFolder();
    const host = await createBareRoot(hostFile(), folder);
    await assertServes(host, user);
  });

  test(`the file reports to ${who} the path that it cannot write on a read-only root`, async () => {
    await using folder = await createTempFolder();
    const host = await createBareRoot(hostFile(), folder);
    const { code, stderr } = await host.run(["up"], user);
    assert.equal(code, 1);
    assert.match(stderr, /^tlsboot: error: cannot create "\/tlsboot-data": the file system is read-only$/m);
    assert.match(stderr, /^tlsboot: hint: /m);
  });
}

test("the file runs the demo with nothing but its libraries, and connects to loopback alone", async () => {
  await using folder = await createTempFolder();
  const host = await createBareRoot(hostFile(), folder);
  const { code, stdout, stderr, calls } = await host.trace(["demo", "--data-dir", `${DATA}/demo`], "65534:65534");
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(stdout, /all 3 certificates are signed by the CA/);
  assertLoopback(calls);
});

test("the file needs no network for local commands", async () => {
  await using folder = await createTempFolder();
  const host = await createBareRoot(hostFile(), folder);
  for (
    const args of [["version"], ["--help"], ["ca", "init", "--data-dir", `${DATA}/instance`], ["completion", "bash"]]
  ) {
    const { code, stderr, calls } = await host.trace(args, "65534:65534");
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    assert.deepEqual(calls.flatMap((call) => parseAddress(call) ?? []), [], args.join(" "));
  }
});

test("the file runs server and client with the oldest glibc that can be had", async () => {
  await using folder = await createTempFolder();
  const libraries = await ensureOldLibraries();
  const host = await createBareRoot(hostFile(), folder, libraries);
  const libc = await readFile(host.findPath("libc.so.6"), "latin1");
  assert.match(libc, /GNU C Library \(Debian GLIBC 2\.31-/);
  await assertServes(host, "65534:65534");
});

/** Starts a server, whose calls of the network and those of a client must be to loopback alone. */
async function assertServes(host: BareRoot, user: User): Promise<void> {
  await using server = host.start(["up", "--data-dir", `${DATA}/instance`], user);
  await server.running.waitFor(/is up at https:\/\/127\.0\.0\.1:6443/);
  const asked = await server.trace(["get", "csr", "--data-dir", `${DATA}/instance`], user);
  assert.deepEqual({ code: asked.code, stderr: asked.stderr }, { code: 0, stderr: "No resources found\n" });
  assertLoopback(asked.calls);
  assertLoopback(await server.calls());
}

function assertLoopback(calls: readonly string[]): void {
  const addresses = calls.flatMap((call) => parseAddress(call) ?? []);
  assert.ok(addresses.includes("127.0.0.1"), "the trace has what the command itself connects to");
  assert.deepEqual(addresses.filter((address) => address !== "127.0.0.1"), []);
}

/** The address of the Internet in a call; undefined for sockets of files and of the kernel. */
function parseAddress(call: string): string | undefined {
  return /inet_addr\("([^"]+)"\)/.exec(call)?.[1] ?? /inet_pton\(AF_INET6, "([^"]+)"/.exec(call)?.[1];
}
