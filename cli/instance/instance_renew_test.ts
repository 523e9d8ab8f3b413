import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createFilePort, type FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { readShownCertificate } from "../../tests/support/shown_certificate.ts";
import { createInstanceDeps } from "../../tests/support/instance_deps.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { SERVER_FLAGS } from "../flags/server.ts";
import { createSystemClock } from "../system.ts";
import { getDefaultSettings, startInstance } from "./instance.ts";

const MOST_OF_A_YEAR_MS = 300 * 86_400_000;

test("renew() serves a pair that an earlier renewal wrote before it failed", async () => {
  await using folder = await createTempFolder();
  const [system, real] = [createSystemClock(), createFilePort()];
  let [aheadMs, isFailing] = [0, false];
  const clock: Clock = { ...system, now: () => new Date(system.now().getTime() + aheadMs) };
  const files: FilePort = {
    ...real,
    async writeAtomic(path, text, mode) {
      await real.writeAtomic(path, text, mode);
      if (isFailing && path.endsWith("apiserver.crt")) throw new AppError("io", `cannot write "${path}": EIO, fsync`);
    },
  };
  await using instance = await startInstance(
    { ...getDefaultSettings(SERVER_FLAGS), dataDir: folder.join("data"), securePort: 0 },
    createInstanceDeps(folder.path, { files, clock }),
    () => [],
  );
  const before = await readShownCertificate(instance.server.port);
  [aheadMs, isFailing] = [MOST_OF_A_YEAR_MS, true];
  await assert.rejects(instance.renew(), { code: "io" });
  assert.equal(await readShownCertificate(instance.server.port), before);
  isFailing = false;
  await instance.renew();
  const pem = await readFile(folder.join("data/pki/apiserver.crt"), "utf8");
  const written = pem.replaceAll(/-----[^-]+-----|\s/g, "");
  assert.notEqual(written, before);
  assert.equal(await readShownCertificate(instance.server.port), written);
});
