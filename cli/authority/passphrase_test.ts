import { strict as assert } from "node:assert";
import { test } from "node:test";
import { createFilePort } from "../../client/files.ts";
import { createCapturedIo } from "../../tests/support/captured_io.ts";
import { createPassphrases, type Passphrases } from "./passphrase.ts";

const signal = new AbortController().signal;

function typedOn(isTerminal: boolean, stdin: string): Passphrases & { readonly stderr: () => string } {
  const io = createCapturedIo({ isTerminal, stdin, cwd: "/home/me" });
  return { ...createPassphrases(undefined, io, createFilePort(), signal), stderr: io.stderrText };
}

test("createPassphrases() asks a person once, for all keys", async () => {
  const passphrases = typedOn(true, "open sesame\n");
  assert.equal((await passphrases.toOpen("/home/me/pki/ca.key")).reveal(), "open sesame");
  assert.equal((await passphrases.toOpen("/home/me/pki/client-ca.key")).reveal(), "open sesame");
  assert.equal(passphrases.stderr(), "Passphrase of pki/ca.key: \n");
});

test("createPassphrases() asks nobody any more once a server runs, but remembers", async () => {
  const silent = typedOn(true, "open sesame\n");
  silent.stopAsking();
  await assert.rejects(silent.toOpen("ca.key"), { code: "passphrase_missing" });
  assert.equal(silent.stderr(), "");
  const asked = typedOn(true, "open sesame\n");
  await asked.toOpen("ca.key");
  asked.stopAsking();
  assert.equal((await asked.toOpen("ca.key")).reveal(), "open sesame");
});

test("createPassphrases() has none where there is no terminal and no file", async () => {
  const passphrases = typedOn(false, "open sesame\n");
  assert.equal(passphrases.isGiven, false);
  await assert.rejects(passphrases.toOpen("ca.key"), {
    code: "passphrase_missing",
    message: /there is no passphrase$/,
  });
  await assert.rejects(passphrases.toMake("ca.key"), { code: "passphrase_missing" });
});
