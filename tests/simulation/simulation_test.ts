/** The simulation depends on its seed alone, and refuses to wait for the real world. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createECDH, createPrivateKey, createPublicKey, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { NODE_FLAGS, runProgram } from "../support/child.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { createTempFolder } from "../support/temp.ts";
import { deriveKey, signDeterministically } from "./crypto.ts";

/** A few renewals of two nodes. */
const SMALL = ["--nodes", "2", "--hours", "2", "--lifetime", "1"];

async function simulate(...args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  return await runProgram(await ensureNode(), [
    ...NODE_FLAGS,
    join("tests", "simulation", "simulate_process.ts"),
    ...args,
  ]);
}

test("simulate: two processes with the same seed write the same trace, and another seed another one", async () => {
  await using folder = await createTempFolder();
  const runs = [["7", "one"], ["7", "two"], ["8", "three"]].map(async ([seed = "", name = ""]) => {
    const path = join(folder.path, name);
    const { code, stdout } = await simulate("--seed", seed, ...SMALL, "--trace", path);
    assert.equal(code, 0, stdout);
    return await readFile(path, "utf8");
  });
  const [one = "", two, three] = await Promise.all(runs);
  assert.ok(one.includes("certificate rotated purpose=client"), one.slice(0, 2_000));
  assert.ok(one === two, "the traces of one seed differ");
  assert.notEqual(one, three);
});

test("signDeterministically() signs as RFC 6979, appendix A.2.5, and OpenSSL verifies it", () => {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", "hex");
  const point = ecdh.getPublicKey();
  const key = createPrivateKey({
    format: "jwk",
    key: {
      kty: "EC",
      crv: "P-256",
      d: ecdh.getPrivateKey().toString("base64url"),
      x: point.subarray(1, 33).toString("base64url"),
      y: point.subarray(33).toString("base64url"),
    },
  });
  const signature = signDeterministically("sha256", Buffer.from("sample"), key, "ieee-p1363");
  assert.equal(
    signature.toString("hex").toUpperCase(),
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716" +
      "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
  );
  const random = createSeededRandom(1);
  for (let count = 0; count < 50; count++) {
    const derived = deriveKey(random);
    const data = random.bytes(20);
    assert.ok(verify("sha256", data, createPublicKey(derived), signDeterministically("sha256", data, derived)));
  }
});

const FAULTY = ["--nodes", "1", "--clients", "3", "--hours", "1", "--lifetime", "1", "--faults", "30"];

test("simulate: one server keeps its promises through 30 faults, in the same way twice", async () => {
  const runs = [1, 2].map(() => simulate("--seed", "1", ...FAULTY));
  const [one, two] = await Promise.all(runs);
  assert.equal(one!.code, 0, one!.stdout);
  const digest = /SHA-256 \w+/.exec(one!.stdout)?.[0];
  assert.ok(digest !== undefined && two!.stdout.includes(digest), "the traces of one seed differ");
});

test("simulate: three servers keep their promises through 30 faults, while credentials are revoked", async () => {
  const { code, stdout } = await simulate("--seed", "1", ...FAULTY, "--servers", "3", "--revokers", "1");
  assert.equal(code, 0, stdout);
  assert.match(stdout, /[1-9]\d* uses were refused and [1-9]\d* watches ended/);
});

for (
  const { plant, want } of [
    { plant: "write-behind", want: /was acknowledged \S+ at revision \d+, which was not committed/ },
    { plant: "revocation-forgotten-at-restart", want: /revoked by its \w+, was accepted as system:node:/ },
    { plant: "revoked-connection-stays", want: /is open \d+ ms after the acknowledgement/ },
  ]
) {
  test(`simulate: the planted bug ${plant} is found`, async () => {
    const { code, stdout } = await simulate("--plant", plant, "--seed", "1", ...FAULTY, "--revokers", "1");
    assert.equal(code, 1, stdout);
    assert.match(stdout, want);
  });
}
