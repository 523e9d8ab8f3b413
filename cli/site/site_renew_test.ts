import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { connect } from "node:tls";
import { createFilePort, type FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { createPlainKeys } from "../../tests/support/ca_keys.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { SERVER_FLAGS } from "../commands/server_flags.ts";
import { createSystemClock, createSystemRandom } from "../system.ts";
import { defaultsOf, startSite } from "./site.ts";

const MOST_OF_A_YEAR_MS = 300 * 86_400_000;

/** The certificate that a server shows, base64. */
function shownBy(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    resolve(Buffer.from(raw).toString("base64"));
  });
  socket.once("error", reject);
  return promise;
}

test("renew() serves a pair that a look before it has written and then failed", async () => {
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
  await using site = await startSite(
    { ...defaultsOf(SERVER_FLAGS), dataDir: folder.join("data"), securePort: 0 },
    {
      files,
      clock,
      random: createSystemRandom(),
      logger: createMemoryLogger(),
      cwd: folder.path,
      keys: createPlainKeys(),
      heap: undefined,
      stdout: { write: () => {} },
    },
    () => [],
  );
  const before = await shownBy(site.server.port);
  [aheadMs, isFailing] = [MOST_OF_A_YEAR_MS, true];
  await assert.rejects(site.renew(), { code: "io" });
  assert.equal(await shownBy(site.server.port), before);
  isFailing = false;
  await site.renew();
  const pem = await readFile(folder.join("data/pki/apiserver.crt"), "utf8");
  const written = pem.replaceAll(/-----[^-]+-----|\s/g, "");
  assert.notEqual(written, before);
  assert.equal(await shownBy(site.server.port), written);
});
