/** Tests that the simulation depends only on its seed, and finds planted bugs. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createECDH, createPrivateKey, createPublicKey, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { NODE_FLAGS, runProgram } from "../support/child.ts";
import { isFullRun } from "../support/full_run.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { createTempFolder } from "../support/temp.ts";
import { deriveKey, signDeterministically } from "./crypto.ts";

const FAULTY = ["--nodes", "1", "--clients", "3", "--hours", "1", "--lifetime", "1", "--faults", "30"];

async function simulate(...args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  return await runProgram(await ensureNode(), [
    ...NODE_FLAGS,
    join("tests", "simulation", "simulate_process.ts"),
    ...args,
  ]);
}

async function simulateWithTrace(seed: string): Promise<string> {
  await using folder = await createTempFolder();
  const path = folder.join("trace");
  const { code, stdout } = await simulate("--seed", seed, ...FAULTY, "--trace", path);
  assert.equal(code, 0, stdout);
  return await readFile(path, "utf8");
}

test("simulate: one server keeps its promises through 30 faults, and two processes write the same trace", async () => {
  const [one = "", two] = await Promise.all(["1", "1"].map(simulateWithTrace));
  assert.ok(one.includes("certificate renewed purpose=client"), one.slice(0, 2_000));
  assert.ok(one === two, "the traces of one seed differ");
  if (isFullRun) assert.notEqual(one, await simulateWithTrace("2"), "two seeds have the same trace");
});

test("signDeterministically() signs as in RFC 6979, appendix A.2.5, and OpenSSL verifies the signature", () => {
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

test("simulate: three servers keep their promises through 30 faults, while credentials are revoked", async () => {
  const { code, stdout } = await simulate("--seed", "1", ...FAULTY, "--servers", "3", "--revokers", "1");
  assert.equal(code, 0, stdout);
  assert.match(stdout, /[1-9]\d* uses were refused and [1-9]\d* watches ended/);
});

test("simulate: finds a planted bug", async () => {
  const { code, stdout } = await simulate("--plant", "write-behind", "--seed", "1", ...FAULTY, "--revokers", "1");
  assert.equal(code, 1, stdout);
  assert.match(stdout, /was acknowledged \S+ at revision \d+, which was not committed/);
});
