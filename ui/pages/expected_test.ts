import assert from "node:assert/strict";
import { test } from "node:test";
import "../../scripts/jsx_on_node.ts";
import { HASHED_NAMES, SSH_VECTORS } from "../../tests/support/ssh_vectors.ts";

const { parseExpectedMachines } = await import("./expected.tsx");

const [ED25519 = "", P256 = ""] = SSH_VECTORS.map(({ type, publicKey }) => `${type} ${publicKey}`);

test("parseExpectedMachines() lists the machines of known_hosts, unless their names are hashed", () => {
  const listed = `n1,10.0.0.1 ${ED25519}\nn2 ${P256}\n`;
  assert.deepEqual(parseExpectedMachines(listed), { ok: true, value: ["n1", "n2"] });
  assert.deepEqual(parseExpectedMachines(`${HASHED_NAMES.n1} ${ED25519}\nn2 ${P256}\n`), {
    ok: false,
    error: ["the names of the machines are hashed; give their names"],
  });
});
