/** The file on a host with glibc and nothing else, and what it connects to there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTempFolder } from "../support/temp.ts";
import { createBareRoot, DATA, type User } from "./support/bare_root.ts";
import { hostFile } from "./support/released.ts";

const USERS: readonly { readonly who: string; readonly user: User }[] = [
  { who: "root", user: "0:0" },
  { who: "an ordinary user", user: "65534:65534" },
];

for (const { who, user } of USERS) {
  test(`the file runs the demo as ${who} with nothing but its libraries, and connects to loopback alone`, async () => {
    await using folder = await createTempFolder();
    const host = await createBareRoot(hostFile(), folder);
    const { code, stdout, stderr, calls } = await host.trace(["demo", "--data-dir", `${DATA}/demo`], user);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /all 3 certificates are the CA's/);
    assert.equal(stderr, "");
    const addresses = calls.flatMap((call) => addressOf(call) ?? []);
    assert.ok(addresses.includes("127.0.0.1"), "the trace has what the demo itself connects to");
    assert.deepEqual(addresses.filter((address) => address !== "127.0.0.1"), []);
  });

  test(`the file tells ${who} what it cannot write on a read-only root`, async () => {
    await using folder = await createTempFolder();
    const host = await createBareRoot(hostFile(), folder);
    const { code, stderr } = await host.run(["up"], user);
    assert.equal(code, 1);
    assert.match(stderr, /^tlsboot: error: cannot create "\/tlsboot-data": the file system is read-only$/m);
    assert.match(stderr, /^tlsboot: hint: /m);
  });
}

test("the file asks no network for what needs none", async () => {
  await using folder = await createTempFolder();
  const host = await createBareRoot(hostFile(), folder);
  for (const args of [["version"], ["--help"], ["ca", "init", "--data-dir", DATA], ["completion", "bash"]]) {
    const { code, stderr, calls } = await host.trace(args, "65534:65534");
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    assert.deepEqual(calls.flatMap((call) => addressOf(call) ?? []), [], args.join(" "));
  }
});

/** The address of the Internet in a call; undefined for sockets of files and of the kernel. */
function addressOf(call: string): string | undefined {
  return /inet_addr\("([^"]+)"\)/.exec(call)?.[1] ?? /inet_pton\(AF_INET6, "([^"]+)"/.exec(call)?.[1];
}
