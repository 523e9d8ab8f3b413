import { strict as assert } from "node:assert";
import { test } from "node:test";
import { createFilePort } from "../../client/files.ts";
import { createCapturedIo } from "../../tests/support/captured_io.ts";
import type { Passphrases } from "../../instance/authority/keys.ts";
import { createPassphrases } from "./passphrase.ts";

const signal = new AbortController().signal;

function typedOn(isTerminal: boolean, stdin: string): Passphrases & { readonly stderr: () => string } {
  const io = createCapturedIo({ isTerminal, stdin, cwd: "/home/me" });
  return { ...createPassphrases(undefined, { ...io, files: createFilePort(), signal }), stderr: io.stderrText };
}

test("createPassphrases() prompts once, for all keys", async () => {
  const passphrases = typedOn(true, "open sesame\n");
  assert.equal((await passphrases.getForOpening("/home/me/pki/ca.key")).reveal(), "open sesame");
  assert.equal((await passphrases.getForOpening("/home/me/pki/client-ca.key")).reveal(), "open sesame");
  assert.equal(passphrases.stderr(), "Passphrase of pki/ca.key: \n");
});

test("createPassphrases() does not prompt after stopPrompting(), but keeps the passphrase", async () => {
  const silent = typedOn(true, "open sesame\n");
  silent.stopPrompting();
  await assert.rejects(silent.getForOpening("ca.key"), { code: "passphrase_missing" });
  assert.equal(silent.stderr(), "");
  const asked = typedOn(true, "open sesame\n");
  await asked.getForOpening("ca.key");
  asked.stopPrompting();
  assert.equal((await asked.getForOpening("ca.key")).reveal(), "open sesame");
});

test("createPassphrases() throws without a terminal and without a file", async () => {
  const passphrases = typedOn(false, "open sesame\n");
  assert.equal(passphrases.isGiven, false);
  await assert.rejects(passphrases.getForOpening("ca.key"), {
    code: "passphrase_missing",
    message: /there is no passphrase$/,
  });
  await assert.rejects(passphrases.getForCreating("ca.key"), { code: "passphrase_missing" });
});
