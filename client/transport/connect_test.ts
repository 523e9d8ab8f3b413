import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { isAppError } from "../../core/errors.ts";
import { startFakeApi } from "../../tests/support/fake_api.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createMemoryFiles } from "../../tests/support/memory_files.ts";
import { createConnector } from "./connect.ts";

const { signal } = new AbortController();

test("createConnector() reads a file of CAs again when it changes, and keeps the CAs of before while it is broken", async () => {
  const newCa = await createIssuingCa(new Date());
  await using api = await startFakeApi();
  const files = createMemoryFiles({ "/ca.crt": api.ca.caPem });
  const put = (text: string): void => void files.entries.set("/ca.crt", { kind: "file", text, mode: 0o644 });
  const connect = createConnector({ files, clock: createSystemClock(), userAgent: "test" });
  await using transport = await connect({
    server: api.server,
    insecureSkipTlsVerify: false,
    ca: { kind: "file", path: "/ca.crt" },
  });
  const ask = async (): Promise<number> => {
    const answer = await transport.send({ method: "GET", path: "/healthz", headers: {} }, signal);
    for await (const _ of answer.body);
    return answer.status;
  };
  assert.equal(await ask(), 200);
  for (const broken of ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]) {
    put(broken);
    assert.equal(await ask(), 200);
  }
  files.entries.delete("/ca.crt");
  assert.equal(await ask(), 200);
  put(newCa.caPem);
  await assert.rejects(ask(), (error) => isAppError(error, "tls_untrusted"));
  put(newCa.caPem + api.ca.caPem);
  assert.equal(await ask(), 200);
});
