import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../core/machine/node_name.ts";
import { HASHED_NAMES, SSH_VECTORS } from "../../tests/support/ssh_vectors.ts";
import { readMachines } from "./new_tokens.ts";

const [ED25519 = "", P256 = ""] = SSH_VECTORS.map(({ type, publicKey }) => `${type} ${publicKey}`);
const LISTED = `n1,10.0.0.1 ${ED25519}\nn2 ${P256}\n`;
const HASHED = `${HASHED_NAMES.n1} ${ED25519}\nn2 ${P256}\n`;

async function read(text: string, only?: string): Promise<readonly string[]> {
  return await readMachines("/known_hosts", only as NodeName | undefined, { readText: () => Promise.resolve(text) });
}

test("readMachines() lists the machines of known_hosts, and accepts a machine whose name is hashed", async () => {
  assert.deepEqual(await read(LISTED), ["n1", "n2"]);
  assert.deepEqual(await read(HASHED, "n1"), ["n1"]);
  await assert.rejects(read(HASHED, "n3"), { code: "not_found" });
  await assert.rejects(read(HASHED), {
    code: "config_invalid",
    message: "/known_hosts: the names of the machines are hashed; give their names",
  });
});
