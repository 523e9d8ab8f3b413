/** A disk error at every call in turn while CAs are created: no CA is incomplete, and none replaces another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFilePort, type FilePort } from "../../client/files.ts";
import { isAppError } from "../../core/errors.ts";
import { createCapturedIo } from "../../tests/support/captured_io.ts";
import { createFailingFiles, FILE_FAULTS } from "../../tests/support/failing_files.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { completeCaSwap, toSlotPaths } from "./ca_swap.ts";
import {
  createAuthorityFiles,
  createSingleAuthority,
  createSplitAuthorities,
  type NewAuthority,
  readAuthority,
} from "./files.ts";
import { authorityPaths, SPLIT_PURPOSES } from "./layout.ts";
import { createCaKeys } from "../../cli/passphrases/passphrase.ts";

/** A limit above the number of calls in any of these runs. */
const MAX_CALLS = 120;
const NEW_CA: NewAuthority = { commonName: "instance", keyAlgorithm: "ecdsa-p256", lifetimeMs: 86_400_000 };

function createDeps(files: FilePort) {
  const io = createCapturedIo();
  const settings = { caPassphraseFile: undefined };
  const keys = createCaKeys(settings, { ...io, files, signal: new AbortController().signal });
  return { files, clock: io.clock, random: io.random, keys };
}

for (
  const [kind, create, purposes, minFailures] of [
    ["the CA for everything", createSingleAuthority, ["serving"], { nothing: 5, half: 3, all: 6 }],
    ["a CA for each purpose", createSplitAuthorities, ["serving", ...SPLIT_PURPOSES], {
      nothing: 5,
      half: 11,
      all: 22,
    }],
  ] as const
) {
  for (const fault of FILE_FAULTS) {
    test(`${kind} is complete or absent after ${fault.name} at each call in turn, and the next run completes it`, async () => {
      const files = createFilePort();
      let failures = 0;
      for (let call = 0, isOver = false; !isOver; call++) {
        assert.ok(call < MAX_CALLS);
        await using folder = await createTempFolder();
        const failing = createFailingFiles(files, call, fault);
        try {
          await create(folder.path, NEW_CA, createDeps(failing.files));
        } catch (error) {
          assert.ok(isAppError(error) && error.message.includes(fault.text), String(error));
          failures++;
        }
        isOver = !failing.hasFailed();
        const deps = createDeps(files);
        const made = await findAll(folder.path, purposes, deps);
        await create(folder.path, NEW_CA, deps).catch((error: unknown) => {
          assert.ok(isAppError(error, "file_exists"), String(error));
        });
        const after = await findAll(folder.path, purposes, deps);
        for (const [index, certificatePem] of after.entries()) {
          assert.notEqual(certificatePem, undefined, `${purposes[index]} after call ${call}`);
          assert.ok(made[index] === undefined || made[index] === certificatePem, "the first one stays");
        }
      }
      assert.ok(failures >= minFailures[fault.done], `${failures}`);
    });
  }
}

test("readAuthority() explains how to complete a swap of files during which a program was killed", async () => {
  await using folder = await createTempFolder();
  const deps = createDeps(createFilePort());
  const paths = authorityPaths(folder.path);
  await createSingleAuthority(folder.path, NEW_CA, deps);
  const next = toSlotPaths(paths, "next");
  await createAuthorityFiles(next, NEW_CA, deps);
  await deps.files.rename(next.key, paths.key);
  const read = () => readAuthority(paths, deps.files, deps.keys);
  await assert.rejects(read(), { code: "ca_invalid", hint: /^restore a certificate/ });
  await deps.files.writeAtomic(folder.join("pki/.ca.swap"), "next\n", 0o644);
  await assert.rejects(read(), { code: "ca_invalid", hint: /start the server, or run the stopped/ });
  await completeCaSwap(paths, deps.files);
  await read();
});

/** Reads the CAs that exist. A CA whose certificate exists but that cannot be read fails the test. */
async function findAll(
  dataDir: string,
  purposes: readonly (Parameters<typeof authorityPaths>[1])[],
  deps: ReturnType<typeof createDeps>,
): Promise<readonly (string | undefined)[]> {
  return await Promise.all(purposes.map(async (purpose) => {
    const paths = authorityPaths(dataDir, purpose);
    if (await deps.files.lstat(paths.certificate) === undefined) return undefined;
    return (await readAuthority(paths, deps.files, deps.keys)).certificatePem;
  }));
}
